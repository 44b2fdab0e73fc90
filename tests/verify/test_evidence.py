"""Evidence counts for the bundle that it was measured of, and changes nothing in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgesr import workspace
from edgesr.bundle.check import check
from edgesr.bundle.checksums import EVIDENCE, digest, write_checksums
from edgesr.bundle.records.evidence import Evidence
from edgesr.errors import BundleError, MachineError, VerifyError
from edgesr.report.stage import report
from edgesr.verify import evidence, stage
from edgesr.workspace import sha256


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes and time of writing, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module")
def verified(exported: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student "small" with its evidence beside it, never to be written to."""
    folder = tmp_path_factory.mktemp("verified") / "small"
    shutil.copytree(exported / "small", folder)
    stage.verify(folder, providers=["cpu"], data=data)
    return folder


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """`meanwhile(act)`: what happens in a verification when it has proved its provider."""
    real = onnxruntime.InferenceSession.end_profiling

    def arrange(act: Callable[[], None]) -> None:
        def proved(session: onnxruntime.InferenceSession) -> str:
            profile: str = real(session)
            act()
            return profile

        monkeypatch.setattr(onnxruntime.InferenceSession, "end_profiling", proved)

    return arrange


@pytest.fixture
def verify(data: Path) -> Callable[..., Evidence]:
    """On the CPU, on one small picture."""
    return partial(stage.verify, providers=["cpu"], data=data)


def leave_old_evidence(place: Path) -> None:
    """As if yesterday's verification had passed."""
    place.mkdir(parents=True, exist_ok=True)
    for name in EVIDENCE:
        (place / name).write_text("of yesterday")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_bundle_that_is_replaced_while_it_is_verified_gets_no_evidence(
    exports: Path, tmp_path: Path, verify, meanwhile, elsewhere: bool
) -> None:
    """The new network would have got the old one's evidence and PASSED."""
    folder, output = exports / "small", tmp_path / "evidence" if elsewhere else None

    def replace() -> None:
        folder.rename(tmp_path / "old")
        shutil.copytree(exports / "big", folder)

    meanwhile(replace)
    with pytest.raises(BundleError, match="small was replaced while it was verified"):
        verify(folder, output=output)
    place = evidence.evidence_folder(folder, output)
    assert not any((place / name).exists() for name in EVIDENCE)


def test_a_file_that_changes_while_it_is_verified_leaves_no_evidence(
    exports: Path, verify, meanwhile
) -> None:
    folder = exports / "small"
    meanwhile(lambda: (folder / "golden/noise.rgb").write_bytes(b"another"))
    with pytest.raises(BundleError, match=r"golden/noise\.rgb was changed"):
        verify(folder)
    assert not (folder / "verify.json").exists()


def test_answers_beyond_all_bounds_are_told_in_a_line(exports: Path, verify) -> None:
    """A received file may give 1e30, which no record holds."""
    path = exports / "small/model.onnx"
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "small"
    model.graph.node.append(helper.make_node("Mul", ["small", "factor"], ["sr"]))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1e30), "factor"))
    was = sha256(path)
    onnx.save(model, path)
    card = exports / "small/card.json"
    card.write_text(card.read_text().replace(was, sha256(path)))
    write_checksums(exports / "small")
    with pytest.raises(VerifyError, match="small gives what cannot be measured: ") as caught:
        verify(exports / "small")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_old_evidence_is_gone_before_a_verification_that_is_broken_off(
    exports: Path, tmp_path: Path, verify, meanwhile, elsewhere: bool
) -> None:
    """Yesterday's green junit.xml stood for today's verification, which was broken off."""
    folder, output = exports / "small", tmp_path / "evidence" if elsewhere else None
    place = evidence.evidence_folder(folder, output)
    leave_old_evidence(place)
    meanwhile(partial(signal.raise_signal, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        verify(folder, output=output)
    assert not any((place / name).exists() for name in EVIDENCE)


def test_old_evidence_is_gone_where_the_bundle_was_damaged_since(exports: Path) -> None:
    leave_old_evidence(exports / "small")
    (exports / "small/model.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError, match=r"model\.onnx was changed"):
        stage.verify(exports / "small")
    assert not any((exports / "small" / name).exists() for name in EVIDENCE)


def test_evidence_elsewhere_leaves_the_bundle_byte_for_byte(
    exports: Path, tmp_path: Path, verify
) -> None:
    before, output = content(exports), tmp_path / "evidence"
    found = verify(exports / "small", output=output)
    page = report(exports / "small", exports, output=output)
    assert content(exports) == before
    assert found.bundle_sha256 == digest(exports / "small")
    assert sorted(path.name for path in (output / "small").iterdir()) == sorted(EVIDENCE)
    assert page == output / "small/report.html"
    assert "Not verified" not in page.read_text(encoding="utf-8")


def test_evidence_beside_the_bundle_leaves_what_was_exported(exports: Path, verify) -> None:
    folder = exports / "small"
    before = content(folder)
    verify(folder)
    report(folder, exports)
    after = content(folder)
    assert {path: after[path] for path in before} == before
    assert {Path(path).name for path in after.keys() - before} == set(EVIDENCE)
    assert all(row.passed for row in check(folder))


def test_a_bundle_that_cannot_be_written_to_is_verified_elsewhere(
    exports: Path, tmp_path: Path, verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's answer is played: a mode does not stop a root user."""
    real = {name: getattr(tempfile, name) for name in ("mkdtemp", "mkstemp")}

    def closed(name: str) -> Callable[..., Any]:
        def make(*args: Any, **how: Any) -> Any:
            where = how.get("dir", args[2] if len(args) > 2 else None)
            if where and Path(where).resolve().is_relative_to(exports):
                raise PermissionError(13, os.strerror(13))
            return real[name](*args, **how)

        return make

    for name in real:
        monkeypatch.setattr(tempfile, name, closed(name))
    with pytest.raises(MachineError, match=r"evidence of small \(elsewhere: --output DIR\)"):
        verify(exports / "small")
    verify(exports / "small", output=tmp_path / "evidence")
    assert evidence.find(exports / "small", tmp_path / "evidence/small").evidence
    with pytest.raises(MachineError, match="the report cannot be written"):
        report(exports / "small", exports)
    assert report(exports / "small", exports, output=tmp_path / "evidence").is_file()


def rewritten(folder: Path, **changed: Any) -> None:
    path = folder / "verify.json"
    workspace.write_json(path, json.loads(path.read_text()) | changed)


@pytest.fixture
def small(verified: Path, tmp_path: Path) -> Path:
    """A copy of `verified` that a test may change."""
    return Path(shutil.copytree(verified, tmp_path / "exports/small"))


def test_no_path_of_this_machine_stands_in_evidence(verified: Path) -> None:
    """It was measured on pictures in a folder of its own, which is named without its path."""
    for name in ("verify.json", "junit.xml"):
        assert str(verified.parents[1]) not in (verified / name).read_text(encoding="utf-8")
    rows = json.loads((verified / "verify.json").read_text(encoding="utf-8"))["quality"]
    assert all("/" not in row["data"] for row in rows)
    assert {p["image"] for row in rows for p in row["pictures"]} == {"noise"}


def test_evidence_of_this_very_bundle_counts(small: Path) -> None:
    found = evidence.find(small, small)
    assert found.evidence
    assert not found.stale
    assert 'id="gates"' in report(small, small.parent).read_text(encoding="utf-8")


def test_evidence_of_another_bundle_is_said_and_shown_nowhere(small: Path) -> None:
    rewritten(small, bundle_sha256="0" * 64)
    found = evidence.find(small, small)
    assert found.evidence is None
    assert "is of another bundle than" in found.stale
    page = report(small, small.parent).read_text(encoding="utf-8")
    assert "Not verified as it is" in page
    assert "The evidence that is there is not shown" in page
    assert "gates hold" not in page
    assert 'id="gates"' not in page


def test_evidence_of_a_bundle_that_was_changed_since_is_said_and_not_shown(small: Path) -> None:
    (small / "golden/noise.rgb").write_bytes(b"changed")
    assert "golden/noise.rgb was changed" in evidence.find(small, small).stale
    page = report(small, small.parent).read_text(encoding="utf-8")
    assert "golden/noise.rgb was changed" in page
    assert "gates hold" not in page


@pytest.mark.parametrize("number", [1, 2, 4, "3", None])
def test_evidence_of_another_format_is_told_in_a_line(small: Path, number: object) -> None:
    rewritten(small, format=number)
    with pytest.raises(BundleError, match=r"verify\.json cannot be used: format") as caught:
        report(small, small.parent)
    assert "Verify again" in caught.value.remedy
    assert "\n" not in caught.value.message


def test_no_evidence_is_no_fault(exports: Path) -> None:
    assert evidence.find(exports / "small", exports / "small") == evidence.Found(None)
    page = report(exports / "small", exports).read_text(encoding="utf-8")
    assert "Not verified yet" in page


def test_a_link_in_the_place_of_evidence_is_not_followed(small: Path, tmp_path: Path) -> None:
    (small / "verify.json").rename(tmp_path / "elsewhere.json")
    (small / "verify.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(BundleError, match="not a regular file"):
        evidence.find(small, small)
