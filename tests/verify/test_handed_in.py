"""A device's figures stand beside a bundle's evidence, where they are of that bundle's files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgesr.bundle.card import read_card
from edgesr.bundle.records.evidence import Evidence
from edgesr.cli import app
from edgesr.errors import BundleError, VerifyError
from edgesr.report.stage import report
from edgesr.verify import handed_in, stage

CASES = ("photograph", "noise", "checkerboard")


@pytest.fixture(scope="module")
def verified(with_variants: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student "small" with its evidence beside it, never to be written to."""
    folder = tmp_path_factory.mktemp("verified") / "small"
    shutil.copytree(with_variants, folder)
    stage.verify(folder, providers=["cpu"], data=data)
    return folder


@pytest.fixture
def folder(verified: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(verified, tmp_path / "small"))


@pytest.fixture
def device(folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write what a device says of each variant of the bundle; `changes` are of its first row."""

    def write(name: str = "A [bold]phone", file: str = "device.json", **changes: Any) -> Path:
        card = read_card(folder)
        rows: list[dict[str, Any]] = [
            {
                "variant": variant,
                "sha256": card.sha256[facts.file],
                "golden": dict.fromkeys(CASES, 0.0),
                "size": "16x12",
                "runs": 10,
                "p50_ms": 12.5,
            }
            for variant, facts in card.variants.items()
        ]
        rows[0] |= changes
        stated = {"format": 1, "bundle": card.name, "device": name, "runtime": "Some 1.0, NPU"}
        (tmp_path / file).write_text(json.dumps(stated | {"files": rows}))
        return tmp_path / file

    return write


def test_a_phones_figures_stand_beside_the_desktops(
    folder: Path, device: Callable[..., Path]
) -> None:
    before = Evidence.read(folder / "verify.json")
    evidence = handed_in.merge(folder, [device()])
    assert evidence == Evidence.read(folder / "verify.json")
    assert evidence.model_copy(update={"handed_in": []}) == before
    assert [row.variant for row in evidence.handed_in] == ["fp32", "fp16", "uint8-io"]
    assert [row.levels for row in evidence.handed_in] == [False, False, True]
    assert all(row.holds for row in evidence.handed_in)
    ours = handed_in.p50_of(evidence, evidence.handed_in[0])
    assert ours == next(row.p50_ms for row in before.speed if row.variant == "fp32")
    page = report(folder, folder.parent).read_text()
    assert "Handed in by devices" in page
    assert "A [bold]phone, fp32" in page
    assert "12.5 ms" in page


@pytest.mark.parametrize("difference", [0.2, None], ids=["too far off", "no number"])
def test_what_the_device_does_otherwise_is_kept_and_fails_the_command(
    folder: Path, device: Callable[..., Path], difference: float | None
) -> None:
    golden = dict.fromkeys(CASES, 0.0) | {"noise": difference}
    path = device(golden=golden, p50_ms=None)
    result = CliRunner().invoke(app, ["verify", str(folder), "--merge", str(path)])
    assert result.exit_code == 1
    assert "FAILED: fp32 on A [bold]phone, Some 1.0, NPU" in result.output
    evidence = Evidence.read(folder / "verify.json")
    assert [row.holds for row in evidence.handed_in] == [False, True, True]
    assert evidence.passed, "no gate looks at what was handed in"


def test_a_device_that_measures_again_replaces_its_own_figures_alone(
    folder: Path, device: Callable[..., Path]
) -> None:
    handed_in.merge(folder, [device("B"), device("A", "other.json")])
    evidence = handed_in.merge(folder, [device("B", p50_ms=7.0)])
    found = [(row.device, row.variant, row.p50_ms) for row in evidence.handed_in]
    assert found[0] == ("A", "fp32", 12.5)
    assert found[3] == ("B", "fp32", 7.0)
    assert len(found) == 6


def test_it_is_kept_where_the_same_bundle_is_verified_anew(
    folder: Path, data: Path, device: Callable[..., Path]
) -> None:
    merged = handed_in.merge(folder, [device()])
    again = stage.verify(folder, providers=["cpu"], data=data)
    assert again.handed_in == merged.handed_in
    assert Evidence.read(folder / "verify.json").handed_in == merged.handed_in


def test_another_files_figures_are_refused_with_both_digests(
    folder: Path, device: Callable[..., Path]
) -> None:
    before = (folder / "verify.json").read_bytes()
    ours = read_card(folder).sha256["model.onnx"]
    with pytest.raises(BundleError, match=r"of another model\.onnx than small's") as caught:
        handed_in.merge(folder, [device(sha256="0" * 64)])
    assert "0" * 64 in caught.value.message
    assert ours in caught.value.message
    assert (folder / "verify.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variant": "int8"}, "is of int8, which small does not have"),
        ({"golden": {"noise": 0.0}}, "checkerboard, photograph in one alone"),
        ({"p50_ms": -1.0}, "files.0.p50_ms = -1.0"),
        ({"variant": "int4"}, "files.0.variant = 'int4'"),
    ],
    ids=["variant", "vectors", "time", "unknown"],
)
def test_what_is_not_of_the_bundle_is_refused(
    folder: Path, device: Callable[..., Path], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BundleError) as caught:
        handed_in.merge(folder, [device(**changes)])
    assert words in caught.value.message


def test_a_name_with_control_characters_is_refused(
    folder: Path, device: Callable[..., Path]
) -> None:
    """It would reach a terminal."""
    with pytest.raises(BundleError, match="expected no control character"):
        handed_in.merge(folder, [device("\x1b[2J")])


def test_without_evidence_of_the_bundle_there_is_nothing_to_stand_beside(
    folder: Path, device: Callable[..., Path]
) -> None:
    (folder / "verify.json").unlink()
    with pytest.raises(VerifyError, match="no evidence of small") as caught:
        handed_in.merge(folder, [device()])
    assert "edgesr verify small" in str(caught.value)


@pytest.mark.parametrize("others", [[], ["--again"], ["--target", "web"]], ids=" ".join)
def test_it_goes_with_a_bundle_alone(others: list[str], device: Callable[..., Path]) -> None:
    named = ["small"] if others else []
    result = CliRunner().invoke(app, ["verify", *named, "--merge", str(device()), *others])
    assert "--merge measures nothing" in str(result.exception)
