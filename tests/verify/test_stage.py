"""verify() as a whole, on a tiny real bundle."""

from __future__ import annotations

import errno
import importlib.util
import io
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from edgesr.bundle.checksums import write_checksums
from edgesr.console import Terminal
from edgesr.errors import DataError, MachineError, VerifyError
from edgesr.recipe import Gates, Recipe, VariantGates
from edgesr.recipe import io as recipe_io
from edgesr.report.stage import report
from edgesr.runtimes.base import LABELS
from edgesr.verify import present, stage
from edgesr.verify.gates import FAILS
from edgesr.verify.measured import RUNTIMES
from edgesr.workspace import sha256, write_json, write_text


def set_gates(folder: Path, **gates: Any) -> None:
    """Rewrite the bundle's recipe with other gates, and its sum in the card."""
    recipe = recipe_io.load(folder / "recipe.toml")
    least = {"min_gain_over_bicubic_db": -99.0}  # its weights are random
    raw = recipe.model_dump(exclude_none=True) | {"gates": least | gates}
    write_text(folder / "recipe.toml", recipe_io.dumps(Recipe.model_validate(raw)))
    card = json.loads((folder / "card.json").read_text())
    card["sha256"]["recipe.toml"] = sha256(folder / "recipe.toml")
    write_json(folder / "card.json", card)
    write_checksums(folder)


def test_the_evidence_is_written_and_all_gates_of_a_good_bundle_hold(exports: Path) -> None:
    folder = exports / "small"
    evidence = stage.verify(folder)
    assert evidence.passed
    assert stage.Evidence.read(folder / "verify.json") == evidence
    assert xml.fromstring((folder / "junit.xml").read_text()).get("failures") == "0"
    assert evidence.parity[0].max_abs_diff < 1e-5
    assert evidence.cost.reduction_percent > 0
    photographs, graphics = evidence.quality
    assert (photographs.kind, photographs.images) == ("photographs", 7)
    assert (graphics.kind, graphics.images) == ("graphics", 3)
    assert [len(row.pictures) for row in evidence.quality] == [7, 3]


def shown(evidence: stage.Evidence) -> str:
    """What a terminal of 80 columns shows; nothing in it is cut off."""
    out = io.StringIO()
    console = Terminal(file=out, width=80)
    for part in present.tables(evidence):
        console.print(part)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "…" not in out.getvalue()
    return out.getvalue()


def test_80_columns_hold_every_gate_in_full(exports: Path) -> None:
    tables = {"fp16", "int8", "uint8_io", *RUNTIMES}
    names = set(Gates.model_fields) - {"min_reduction_percent", *tables}
    own = dict.fromkeys(set(VariantGates.model_fields) - {"size"}, 0.123)
    own_places = {name: {"uint8-io": own} for name in RUNTIMES}
    set_gates(
        exports / "big", min_reduction_percent=55.0, **dict.fromkeys(names, 0.123), **own_places
    )
    evidence = stage.verify(exports / "big", providers=["cpu"])
    text = shown(evidence)
    assert all(gate.gate in text for gate in evidence.gates)
    assert "missing" in text  # the reduction of a network without a teacher
    assert "9.09 G" in text  # N=16 beside the paper's 56.58 G
    assert "56.58 G" in text


def test_a_provider_that_is_not_there_is_shown_with_the_reason(exports: Path) -> None:
    evidence = stage.verify(exports / "small", providers=["cpu"])
    missing = {"provider": "CUDAExecutionProvider", "available": False, "proved": False}
    missing["message"] = "not available: no [device]"
    evidence.providers.append(evidence.providers[0].model_copy(update=missing))
    assert "CUDA: not available: no [device]" in shown(evidence)


def test_a_gate_that_fails_fails_the_bundle(exports: Path) -> None:
    set_gates(exports / "big", max_mb=1e-6)
    evidence = stage.verify(exports / "big", providers=["cpu"])
    assert not evidence.passed
    assert [g.gate for g in evidence.gates if g.state == FAILS] == ["max_mb"]


def test_a_bundle_that_was_tampered_with_is_refused_naming_every_file(exports: Path) -> None:
    folder = exports / "small"
    for name in ("model.onnx", "recipe.toml"):
        (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    with pytest.raises(VerifyError, match=r"model\.onnx was changed, recipe\.toml was changed"):
        stage.verify(folder)
    assert not (folder / "verify.json").exists()


def test_every_variant_is_compared_timed_and_looked_at(with_variants: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(with_variants, tmp_path / "small"))
    evidence = stage.verify(folder, providers=["cpu"])
    names = ["fp32", "fp16", "uint8-io"]
    for part in ("parity", "speed", "quality"):
        assert list(dict.fromkeys(row.variant for row in getattr(evidence, part))) == names
    fp32, fp16, pixels = evidence.parity
    assert fp32.max_abs_diff < fp16.max_abs_diff < 0.01
    assert pixels.bytes_off == 0
    assert pixels.max_abs_diff <= 1 / 255 + 1e-6
    losses = [row.loss_db for row in evidence.quality if row.kind == "photographs"]
    assert losses == [0, pytest.approx(0, abs=0.01), 0]
    text = shown(evidence)
    assert "uint8-io" in text
    assert "bytes_off" in text
    assert report(folder, folder.parent).is_file()


def test_files_that_clip_are_compared_with_the_clipped_network(clipped: Path) -> None:
    """They were compared with the unclipped one: 1.99 apart, against a gate of 1e-4."""
    evidence = stage.verify(clipped, providers=["cpu"])
    fp32, eight = evidence.parity
    assert fp32.max_abs_diff < 1e-5
    assert eight.max_abs_diff < 0.25
    held = {(row.gate, row.where) for row in evidence.gates if row.state == "holds"}
    kinds = ("photograph", "text", "drawing", "noise", "checkerboard")
    assert ("max_abs_diff", "cpu, fp32") in held
    assert {(f"min_{kind}_db", "cpu, int8") for kind in kinds} <= held
    assert ("max_flat_levels", "cpu, int8") in held


def test_float16_ends_are_measured_or_not_with_the_reason(with_half: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(with_half, tmp_path / "small"))
    others = [name for name in ("openvino", "ncnn") if importlib.util.find_spec(name)]
    evidence = stage.verify(folder, providers=["cpu"], runtimes=others)
    for part in ("parity", "speed", "quality"):
        found = [row for row in getattr(evidence, part) if row.variant == "fp16"]
        taken = [name for name in others if name != "ncnn"]
        assert list(dict.fromkeys(row.runtime for row in found)) == ["cpu", *taken]
    for row in evidence.parity:
        assert row.max_abs_diff < 0.01 or not row.exact
    for row in evidence.unsupported:
        assert (row.runtime, row.variant) == ("ncnn", "fp16")
        assert "f16" in row.reason
    assert report(folder, folder.parent).is_file()


@pytest.mark.parametrize("runtime", ["openvino", "ncnn"])
def test_a_runtime_that_is_asked_for_stands_beside_onnx_runtime(
    runtime: str, exports: Path
) -> None:
    pytest.importorskip(runtime, reason=f"{runtime} is not installed")
    own = {runtime: {"fp32": {"max_abs_diff": 1e-5, "p95_ms": 1e6, "size": "10x6"}}}
    set_gates(exports / "small", **own)
    evidence = stage.verify(exports / "small", providers=["cpu"], runtimes=[runtime])
    for part in ("parity", "speed", "quality"):
        exact = [row.runtime for row in getattr(evidence, part) if row.exact]
        assert list(dict.fromkeys(exact)) == ["cpu", runtime]
    gates = {(row.gate, row.where) for row in evidence.gates if row.state != FAILS}
    assert gates >= {
        ("max_abs_diff", "cpu, fp32"),
        ("max_abs_diff", f"{runtime}, fp32"),
        ("p95_ms", f"{runtime}, fp32, 10x6"),
    }
    assert evidence.passed
    assert LABELS[runtime] in shown(evidence)


def test_a_provider_that_is_not_known_is_refused_before_any_work(exports: Path) -> None:
    with pytest.raises(VerifyError, match="--provider npu: expected one of cpu, cuda"):
        stage.verify(exports / "small", providers=["npu"])


def test_photographs_that_are_missing_are_refused_before_any_work(
    exports: Path, tmp_path: Path
) -> None:
    (exports / "small/model.onnx").write_bytes(b"whoever opens it says so")
    with pytest.raises(DataError, match="gone is missing"):
        stage.verify(exports / "small", data=tmp_path / "gone")


def test_a_folder_that_takes_no_evidence_is_refused_before_any_work(
    exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is injected: permissions do not stop a root user."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (exports / "small/model.onnx").write_bytes(b"whoever opens it says so")
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(MachineError, match="Read-only file system"):
        stage.verify(exports / "small")


def test_a_runtime_that_is_not_known_is_answered_with_the_known_ones(exports: Path) -> None:
    with pytest.raises(VerifyError, match="--runtime tflite: expected one of onnxruntime, openv"):
        stage.verify(exports / "small", runtimes=["tflite"])
    assert not (exports / "small/verify.json").exists()


def test_a_folder_without_a_card_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="is not a bundle"):
        stage.verify(tmp_path)


def test_an_empty_exports_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match="edgesr export"):
        stage.bundles(tmp_path)


def test_bundles_are_found_by_their_cards(exported: Path) -> None:
    assert [folder.name for folder in stage.bundles(exported)] == ["big", "small"]
