"""What lower precision does to pictures of every kind, and to flat colours.

A photograph hides what text, noise or a sky of one colour shows: ranges that were set too narrow,
and errors that are the same at every pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesr.data import drawn, photos
from edgesr.data.degrade import bicubic_down, to_image, to_tensor
from edgesr.deploy.tiling import to_bytes, to_values
from edgesr.quality.metrics import IDENTICAL_DB

Values = NDArray[np.float32]
Run = Callable[[Values], Values]
"""(1, 3, H, W) in 0..1 -> (1, 3, 4H, 4W)."""
HEIGHT, WIDTH, SEED = 48, 64, 2000
"""Of the pictures, in LR pixels. No calibration draws with this seed."""
GREYS = (0, 16, 64, 128, 200, 240, 255)
PRIMARIES = tuple(colour for colour in np.ndindex(2, 2, 2) if len(set(colour)) > 1)
FLAT = [(grey,) * 3 for grey in GREYS] + [tuple(255 * c for c in each) for each in PRIMARIES]


def pictures() -> dict[str, Values]:
    """Kind -> a picture of it at LR: a photograph that is held out, text, a drawing, noise, a
    checkerboard; none of them a calibration's."""
    size = HEIGHT, WIDTH
    photograph = to_image(bicubic_down(to_tensor(photos.decode(photos.embedded().validation[0]))))
    found = {
        "photograph": photograph[32 : 32 + HEIGHT, 32 : 32 + WIDTH],
        "text": drawn.text(*size, seed=SEED),
        "drawing": drawn.drawing(*size, seed=SEED),
        "noise": drawn.noise(*size, seed=SEED),
        "checkerboard": drawn.checkerboard(*size),
    }
    return {kind: to_values(pixels[None]) for kind, pixels in found.items()}


def flats() -> list[Values]:
    """Greys and primary colours, (1, 3, 24, 24) each."""
    return [to_values(drawn.flat(24, 24, colour)[None]) for colour in FLAT]


@dataclass(frozen=True)
class Fidelity:
    """How like the float network's pictures are.

    Attributes:
        kinds_db: kind -> PSNR in dB on RGB between both pictures as they are shown.
        flat_levels: the most that a flat colour moves, see `tint`.
    """

    kinds_db: dict[str, float]
    flat_levels: int


class Judge:
    """Compares networks with one; its pictures are made once."""

    def __init__(self, reference: Run) -> None:
        self._kinds = {kind: (lr, reference(lr)) for kind, lr in pictures().items()}
        self._flats = [(lr, reference(lr)) for lr in flats()]

    def __call__(self, run: Run) -> Fidelity:
        """How like the reference's are the pictures that `run` makes."""
        kinds = {kind: likeness_db(sr, run(lr)) for kind, (lr, sr) in self._kinds.items()}
        return Fidelity(kinds, max(tint(sr, run(lr)) for lr, sr in self._flats))


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
