"""Pictures side by side on one sheet, each with its name below it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

PAPER, INK = (255, 255, 255), (40, 40, 40)
LABEL = 26
"""Height of the line for the names, in pixels."""
GAP = 6


def sheet(pictures: Mapping[str, Pixels], *, columns: int, zoom: int = 1) -> Image.Image:
    """`pictures` by their names, `columns` in a row, each pixel `zoom` x `zoom` of the sheet.

    Args:
        pictures: uint8 (H, W, 3) RGB, all of one size.
    """
    height, width = (zoom * side for side in next(iter(pictures.values())).shape[:2])
    rows = -(-len(pictures) // columns)
    cell = width + GAP, height + LABEL
    whole = Image.new("RGB", (columns * cell[0] - GAP, rows * cell[1]), PAPER)
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
    for number, (name, pixels) in enumerate(pictures.items()):
        left, top = number % columns * cell[0], number // columns * cell[1]
        large = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
        whole.paste(large, (left, top))
        draw.text((left + 2, top + height + 3), name, fill=INK, font=font)
    return whole
