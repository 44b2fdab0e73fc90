"""card.json: what it must state, and how the figures of verify get into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgesr.deploy.card import read_card, record_evidence
from edgesr.deploy.sums import write_sums
from edgesr.errors import BundleError
from edgesr.workspace import write_json

CPU = "CPUExecutionProvider"
EVIDENCE: dict[str, Any] = {
    "passed": True,
    "machine": {"cpu": "Example CPU"},
    "versions": {"onnxruntime": "1.31"},
    "file": {"bytes": 3},
    "parity": [{"provider": CPU, "max_abs_diff": 1e-6, "cases": [{"case": "noise"}]}],
    "speed": [
        {"provider": CPU, "size": "128x128", "threads": 2, "p50_ms": 5.0, "p95_ms": 6.0}
        | {"peak_memory_mb": None, "runs": 20},
        {"provider": CPU, "size": "128x128", "threads": 2, "p50_ms": 3.0, "variant": "int8"},
    ],
    "quality": [{"data": "Set5", "psnr_db": 30.0, "bicubic_psnr_db": 28.4, "ssim": 0.9}],
}


def test_the_figures_of_each_variant_are_kept_in_short_and_the_bundle_stays_whole(
    folder: Path,
) -> None:
    record_evidence(folder, EVIDENCE)
    evidence = read_card(folder)["evidence"]
    assert evidence["passed"] is True
    assert list(evidence["variants"]) == ["fp32", "fp16", "int8", "uint8-io"]
    fp32 = evidence["variants"]["fp32"]
    assert fp32["parity"] == [{"provider": CPU, "max_abs_diff": 1e-6}]
    assert [row["p50_ms"] for row in fp32["speed"]] == [5.0]
    assert fp32["speed"][0]["peak_memory_mb"] is None
    assert fp32["quality"][0]["psnr_db"] == 30.0
    assert evidence["variants"]["int8"]["speed"][0]["p50_ms"] == 3.0
    assert evidence["variants"]["fp16"] == {"parity": [], "speed": [], "quality": []}


def test_a_second_verify_replaces_what_the_first_recorded(folder: Path) -> None:
    record_evidence(folder, EVIDENCE)
    record_evidence(folder, EVIDENCE | {"passed": False})
    assert read_card(folder)["evidence"]["passed"] is False


def test_recording_does_not_vouch_for_a_file_that_changed_meanwhile(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"x")
    record_evidence(folder, EVIDENCE)
    with pytest.raises(BundleError, match=r"SHA256SUMS: model\.onnx was changed\n"):
        read_card(folder)


BROKEN: dict[str, tuple[object, str]] = {
    "no object": ([], "no card of format 2"),
    "the format before": ({"format": 1}, "no card of format 2"),
    "no sums": ({"sha256": {}}, "does not state: SHA-256 of model.onnx, SHA-256 of model.fp16"),
    "sums that are no table": ({"sha256": 3}, "does not state: SHA-256 of model.onnx"),
    "no variants": ({"variants": {}}, "does not state: the variant fp32"),
    "a variant without a file": ({"variants": {"fp32": 3}}, "does not state: SHA-256 of fp32's"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=list(BROKEN))
def test_a_card_that_vouches_for_nothing_is_refused(
    folder: Path, change: object, message: str
) -> None:
    path = folder / "card.json"
    card = json.loads(path.read_text())
    write_json(path, card | change if isinstance(change, dict) else change)
    write_sums(folder)
    with pytest.raises(BundleError, match=message):
        read_card(folder)


def test_a_model_that_sums_were_renewed_for_is_still_not_the_cards(folder: Path) -> None:
    (folder / "model.fp16.onnx").write_bytes(b"x")
    write_sums(folder)
    with pytest.raises(BundleError, match=r"model\.fp16\.onnx is not the file that card\.json"):
        read_card(folder)
