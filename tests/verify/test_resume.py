"""What was measured is not measured again, and is never lost to less."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgesr.errors import VerifyError
from edgesr.recipe import io as recipe_io
from edgesr.verify import many, measure, resume, stage
from edgesr.verify.many import verify_or_keep
from edgesr.verify.request import Request
from edgesr.workspace import write_json


class Timer:
    """Stands for the timing of a file; stops the process where it is asked once too often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 99) -> None:
        self.calls, self.most, self.real = 0, most, measure.speed.speed
        monkeypatch.setattr(measure.speed, "speed", self)

    def __call__(self, *args: Any, **how: Any) -> dict[str, Any]:
        self.calls += 1
        if self.calls > self.most:
            raise KeyboardInterrupt
        return self.real(*args, **how)


@pytest.fixture
def bundle(with_variants: Path, tmp_path: Path) -> Path:
    """A copy of a bundle of three files."""
    return Path(shutil.copytree(with_variants, tmp_path / "exports/small"))


@pytest.fixture
def stopped(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose verification was stopped when two of its files were measured."""
    with monkeypatch.context() as patch:
        Timer(patch, most=2)
        with pytest.raises(KeyboardInterrupt):
            stage.verify(bundle, providers=["cpu"])
    return bundle


def altered(path: Path, **changed: Any) -> None:
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | changed)


def test_a_verification_that_was_stopped_is_gone_on_from(
    stopped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not (stopped / "verify.json").exists()
    kept = resume.Measured.read(resume.file_of(stopped)).rows
    timer = Timer(monkeypatch)
    evidence = stage.verify(stopped, providers=["cpu"])
    assert "small: resumed: 2 of 3 measured" in capsys.readouterr().out
    assert timer.calls == 1
    assert evidence.speed[:2] == [rows.speed for rows in kept]
    assert [row.variant for row in evidence.parity] == ["fp32", "fp16", "uint8-io"]
    assert not resume.file_of(stopped).exists()


@pytest.mark.parametrize(
    "other",
    [
        {"machine": {"cpu": "another", "cores": 2, "isa": None, "system": "Linux"}},
        {"versions": {"onnxruntime": "0.0"}},
        {"bundle_sha256": "0" * 64},
        {"rows": "nonsense"},
    ],
)
def test_what_was_measured_of_something_else_is_measured_again(
    stopped: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    altered(resume.file_of(stopped), **other)
    timer = Timer(monkeypatch)
    stage.verify(stopped, providers=["cpu"])
    assert timer.calls == 3


def test_what_else_is_asked_for_makes_another_verification(stopped: Path) -> None:
    recipe = recipe_io.load(stopped / "recipe.toml")
    asked = [Request.of(providers=["cpu"]), Request.of(providers=["cpu"], targets=["web"])]
    one, other = (request.of_bundle(stopped, recipe) for request in asked)
    found = resume.Measured.read(resume.file_of(stopped))
    assert found.is_like(one)
    assert not found.is_like(other)


@pytest.fixture
def request_(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Request:
    monkeypatch.chdir(tmp_path)
    return Request.of(providers=["cpu"])


@pytest.fixture
def small(exports: Path, request_: Request) -> Path:
    """A bundle with its evidence."""
    stage.run(exports / "small", request_)
    return exports / "small"


def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many.stage, "run", lambda *_: pytest.fail("it was measured again"))


def test_evidence_of_the_same_is_kept_and_said(
    small: Path, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_work(monkeypatch)
    before = (small / "verify.json").read_bytes()
    evidence, note = verify_or_keep(small, request_)
    assert note.startswith(f"kept: the evidence of {evidence.measured_at[:10]}")
    assert (small / "verify.json").read_bytes() == before


def test_evidence_of_the_same_is_measured_anew_where_that_is_asked_for(
    small: Path, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = Timer(monkeypatch)
    _, note = verify_or_keep(small, request_, again=True)
    assert timer.calls == 1
    assert note.startswith("replaces the evidence of")


def test_evidence_of_another_machine_stays_and_this_ones_goes_elsewhere(
    small: Path, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`edgesr verify` in a clone changed all evidence that ships."""
    machine = {"cpu": "another", "cores": 2, "isa": None, "system": "Linux"}
    altered(small / "verify.json", machine=machine)
    before = {path: path.read_bytes() for path in small.rglob("*") if path.is_file()}
    evidence, note = verify_or_keep(small, request_)
    assert note.startswith("written to evidence/small: ")
    assert stage.Evidence.read(Path("evidence/small/verify.json")) == evidence
    assert {path: path.read_bytes() for path in small.rglob("*") if path.is_file()} == before
    no_work(monkeypatch)
    assert verify_or_keep(small, request_).note.startswith("kept: ")


def test_quick_evidence_times_nothing_and_says_so(
    exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = Timer(monkeypatch)
    evidence = stage.verify(
        exports / "small", providers=["cpu"], quick=True, output=tmp_path / "ci"
    )
    assert timer.calls == 0
    assert evidence.quick
    assert stage.Evidence.read(tmp_path / "ci/small/verify.json") == evidence
    untimed = [row.gate for row in evidence.gates if row.reason == "--quick"]
    assert untimed == ["p95_ms"]
    assert 'skipped message="--quick"' in (tmp_path / "ci/small/junit.xml").read_text()


def test_quick_evidence_is_written_nowhere_unasked(exports: Path) -> None:
    before = sorted(exports.rglob("*"))
    stage.verify(exports / "small", providers=["cpu"], quick=True)
    assert sorted(exports.rglob("*")) == before


def test_quick_evidence_takes_no_full_ones_place_but_gives_its_own(
    small: Path, request_: Request
) -> None:
    full = (small / "verify.json").read_bytes()
    with pytest.raises(VerifyError, match="evidence with latencies, which --quick does not"):
        stage.verify(small, providers=["cpu"], quick=True, output=small.parent)
    assert (small / "verify.json").read_bytes() == full
    altered(small / "verify.json", speed=[], quick=True)
    assert verify_or_keep(small, request_).evidence.speed
