"""What lower precision does to pictures of every kind, and to flat colours.

A photograph hides what text, noise or a sky of one colour shows: ranges that were set too narrow,
and errors that are the same at every pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgesr.bundle.likeness import likeness_db, tint
from edgesr.data import drawn, photos
from edgesr.data.degrade import pair
from edgesr.inference.tiling import to_values

Values = NDArray[np.float32]
Run = Callable[[Values], Values]
"""(1, 3, H, W) in 0..1 -> (1, 3, scale * H, scale * W)."""
HEIGHT, WIDTH, SEED = 48, 64, 2000
"""Of the pictures, in LR pixels. No calibration draws with this seed."""
GREYS = (0, 16, 64, 128, 200, 240, 255)
PRIMARIES = tuple(colour for colour in np.ndindex(2, 2, 2) if len(set(colour)) > 1)
FLAT = [(grey,) * 3 for grey in GREYS] + [tuple(255 * c for c in each) for each in PRIMARIES]


def pictures(scale: int) -> dict[str, Values]:
    """Kind -> a picture of it at LR: a photograph that is held out, text, a drawing, noise, a
    checkerboard; none of them a calibration's."""
    size = HEIGHT, WIDTH
    _, photograph = pair(photos.decode(photos.embedded().validation[0]), scale)
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


def off(sr: Values, expected: Values, *, clipped: bool) -> float:
    """The most that a value is off; `clipped` where `sr` is held to 0..1."""
    return float(np.abs(sr - (expected.clip(0, 1) if clipped else expected)).max())


@dataclass(frozen=True)
class Fidelity:
    """How like the float network's pictures are.

    Attributes:
        kinds_db: kind -> PSNR in dB on RGB between both pictures as they are shown.
        flat_levels: the most that a flat colour moves, see `deploy.likeness.tint`.
    """

    kinds_db: dict[str, float]
    flat_levels: int


class Judge:
    """Compares networks with one; its pictures are made once."""

    def __init__(self, reference: Run, scale: int) -> None:
        self._kinds = {kind: (lr, reference(lr)) for kind, lr in pictures(scale).items()}
        self._flats = [(lr, reference(lr)) for lr in flats()]

    def __call__(self, run: Run) -> Fidelity:
        """How like the reference's are the pictures that `run` makes."""
        kinds = {kind: likeness_db(sr, run(lr)) for kind, (lr, sr) in self._kinds.items()}
        return Fidelity(kinds, max(tint(sr, run(lr)) for lr, sr in self._flats))
