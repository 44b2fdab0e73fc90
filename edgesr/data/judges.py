"""The pictures that quality is measured on where nobody names any. They ship, and only measure.

Photographs and graphics are kept apart: graphics have other errors, and a mean of both says little.
"""

from __future__ import annotations

from pathlib import Path

from edgesr.data import drawn, photos
from edgesr.data.photos import Pixels

KODAK = Path(__file__).parent / "kodak"
PHOTOGRAPHS = "7 photographs (astronaut, 6 of Kodak)"
GRAPHICS = "3 graphics (page, logo, drawing)"
SIDE, SEED = 192, 1000
"""Of the graphics. No calibration draws with this seed."""


def photographs() -> list[Path]:
    """The embedded photograph that is held out, and pieces of Kodak's."""
    return [*photos.embedded().validation, *sorted(KODAK.glob("*.webp"))]


def graphics() -> list[tuple[str, Pixels]]:
    """A page of text, a logo, a drawing: names and (192, 192, 3) RGB bytes."""
    return [
        ("page", drawn.text(SIDE, SIDE, seed=SEED)),
        ("logo", drawn.logo(SIDE, SIDE)),
        ("drawing", drawn.drawing(SIDE, SIDE, seed=SEED)),
    ]
