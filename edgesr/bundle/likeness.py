"""How like two pictures of values are, as they are shown; no torch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgesr.inference.tiling import to_bytes

Values = NDArray[np.float32]
IDENTICAL_DB = 100.0
"""What PSNR counts where nothing differs, as on flat pictures: infinity has no mean."""


def likeness_db(one: Values, other: Values) -> float:
    """PSNR in dB between two pictures as they are shown, held to 0..1; at most `IDENTICAL_DB`."""
    difference = np.clip(one, 0, 1).astype(np.float64) - np.clip(other, 0, 1)
    mse = float(np.mean(np.square(difference)))
    return -10 * math.log10(max(mse, 10 ** (-IDENTICAL_DB / 10)))


def tint(one: Values, other: Values) -> int:
    """By how many 8-bit levels a channel of (B, 3, H, W) moves, in the median over its pixels; the
    most of the channels."""
    moved = to_bytes(other).astype(np.int64) - to_bytes(one)
    return math.ceil(float(np.abs(np.median(moved, axis=(0, 2, 3))).max()))
