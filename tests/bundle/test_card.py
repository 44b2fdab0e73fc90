"""card.json: what it must state, and that it is of the files beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesr.bundle.card import read_card
from edgesr.bundle.checksums import write_checksums
from edgesr.errors import BundleError
from edgesr.workspace import write_json

BROKEN: dict[str, tuple[object, str]] = {
    "no object": ([], "should be an object"),
    "the format before": ({"format": 2}, "format = 2: Input should be 3"),
    "no sums": ({"sha256": {}}, "does not state: SHA-256 of model.onnx, SHA-256 of model.fp16"),
    "sums that are not table": ({"sha256": 3}, "sha256 = 3: Input should be an object"),
    "no variants": ({"variants": {}}, "variants: Dictionary should have at least 1 item"),
    "a variant that is a number": ({"variants": {"fp32": 3}}, "fp32 = 3: Input should be an obj"),
    "a scale of 0": ({"scale": 0}, "scale = 0"),
    "a halo of a million": ({"halo": 10**6}, "halo = 1000000"),
    "an unknown key": ({"evidence": {}}, "evidence: Extra inputs are not permitted"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=list(BROKEN))
def test_a_card_that_vouches_for_nothing_is_refused(
    folder: Path, change: object, message: str
) -> None:
    path = folder / "card.json"
    card = json.loads(path.read_text())
    write_json(path, card | change if isinstance(change, dict) else change)
    write_checksums(folder)
    with pytest.raises(BundleError, match=message):
        read_card(folder)


def test_a_model_that_sums_were_renewed_for_is_still_not_the_cards(folder: Path) -> None:
    (folder / "model.fp16.onnx").write_bytes(b"x")
    write_checksums(folder)
    with pytest.raises(BundleError, match=r"model\.fp16\.onnx is not the file that card\.json"):
        read_card(folder)
