"""An int8 graph that is there already, for a bundle that is written anew: nothing is calibrated,
and what was judged stays as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from edgesr.bundle.card import read_card
from edgesr.bundle.records.card import ORIGINAL, WEIGHTS
from edgesr.errors import ExportError
from edgesr.variant import file_of

OF_THE_FILE = {"file", "bytes", "input", "output", "bytes_per_pixel"}
"""What a card says of a variant that does not follow from how its ranges were found."""


def kept_int8(folder: Path, weights: str) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The int8 graph of the bundle in `folder`, and what its card says of how it came about.

    Args:
        weights: SHA-256 of those that the new bundle holds.

    Raises:
        ExportError: it has no such file, or other weights.
        BundleError: there is no bundle, or a damaged one.
    """
    card, file = read_card(folder), file_of("int8")
    remedy = "Have it calibrated: leave out --keep-int8."
    if "int8" not in card.variants:
        raise ExportError(f"{folder} has no {file} to be kept", remedy)
    if weights not in (card.sha256.get(WEIGHTS), card.sha256.get(ORIGINAL)):
        raise ExportError(f"{folder} was made of other weights", remedy)
    facts = card.variants["int8"].model_dump(exclude_none=True, exclude=OF_THE_FILE)
    return onnx.load(folder / file), facts
