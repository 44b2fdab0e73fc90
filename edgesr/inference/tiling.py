"""Seam-exact tiling: a large image in bounded memory, equal to the image in one piece.

Each window carries a halo as wide as the model's receptive field, and only what lies a halo away
from its edges is kept. Where the image ends the window ends too, so that the model pads there as
it does on the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgesr.errors import ModelError

Pixels = NDArray[Any]
"""uint8, or uint16 with values of 0..65535."""
Run = Callable[[Pixels], Pixels]
OnTile = Callable[[int, int], None]

BLOCK = 64
"""Rows of a result that become bytes at a time; it bounds what is held beside the result."""


class NotFinite(ModelError):
    """The model returned NaN or infinity for pixel (`x`, `y`) of the result."""

    def __init__(self, path: Path, x: int, y: int) -> None:
        super().__init__(
            f"{path} returned NaN or infinity at pixel {x}, {y} of the result",
            "Nothing was written. Check the model: edgesr bundle check, edgesr verify.",
        )
        self.path, self.x, self.y = path, x, y


def ignore(_done: int, _total: int) -> None:
    """What is called after each tile where nobody watches."""


def spans(length: int, side: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Along one axis: what each window reads, and what is kept of it; the latter covers it once.

    Every window reads `side` pixels, shifted inwards at the ends of the axis: ONNX Runtime plans
    its memory anew for each new shape. One in the middle contributes side - 2 halo, one at the
    border its halo as well, the last one what is left.

    Args:
        side: in LR pixels, above 2 halo or at least `length`.
        halo: radius of the receptive field in LR pixels, at least 0.
    """
    side = min(length, side)
    kept = 0
    while kept < length:
        first = min(max(kept - halo, 0), length - side)
        last = first + side
        end = length if last == length else last - halo
        yield slice(first, last), slice(kept, end)
        kept = end


def bands(
    run: Run,
    lr: Pixels,
    *,
    scale: int,
    sides: tuple[int, int],
    halo: int,
    on_tile: OnTile = ignore,
) -> Iterator[Pixels]:
    """Enlarge `lr` (H, W, C) from top to bottom, a band (rows, scale * W, C) at a time.

    The bands make up (scale * H, scale * W, C); none but the one in hand is kept.

    Args:
        run: the model, (h, w, C) -> (scale * h, scale * w, C).
        sides: height and width of a window, in LR pixels; see `spans`.
        halo: see `spans`.
        on_tile: called after each tile with how many are done, of how many.
    """
    height, width, channels = lr.shape
    rows, columns = (
        list(spans(n, side, halo)) for n, side in zip((height, width), sides, strict=False)
    )
    for i, (read_rows, keep_rows) in enumerate(rows):
        kept = scaled(keep_rows, read_rows.start, scale)
        band = np.empty((kept.stop - kept.start, scale * width, channels), lr.dtype)
        for j, (read, keep) in enumerate(columns):
            try:
                sr = run(lr[read_rows, read])
            except NotFinite as fault:
                x, y = scale * read.start + fault.x, scale * read_rows.start + fault.y
                raise NotFinite(fault.path, x, y) from None
            band[:, scaled(keep, 0, scale)] = sr[kept, scaled(keep, read.start, scale)]
            on_tile(i * len(columns) + j + 1, len(rows) * len(columns))
        yield band


def cropped(bands: Iterator[Pixels], height: int, width: int, margin: int = 0) -> Iterator[Pixels]:
    """Of a picture that comes in bands `height` rows and `width` columns, `margin` pixels from its
    upper and its left edge."""
    above = margin
    for band in bands:
        kept = band[above : above + height, margin : margin + width]
        above = max(0, above - len(band))
        height -= len(kept)
        if len(kept):
            yield kept


def scaled(span: slice, origin: int, scale: int) -> slice:
    """A span of LR pixels in pixels of the result, counted from `origin`."""
    return slice(scale * (span.start - origin), scale * (span.stop - origin))


def to_values(pixels: Pixels) -> NDArray[np.float32]:
    """(B, H, W, 3) bytes -> (B, 3, H, W) float32 0..1."""
    planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), dtype=np.float32)
    values: NDArray[np.float32] = planes / np.float32(255)
    return values


def to_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values nominally in 0..1 as an app shows them: clipped, rounded half up to 8 bits."""
    return to_levels(values, np.uint8)


def to_levels(values: NDArray[np.float32], dtype: DTypeLike) -> Pixels:
    """As `to_bytes`, to the levels of `dtype`: uint8, or uint16 for 0..65535."""
    levels: NDArray[Any] = np.clip(values, 0, 1)
    levels *= np.iinfo(np.dtype(dtype)).max
    levels += 0.5
    return levels.astype(dtype)


def to_picture(values: NDArray[np.float32], dtype: DTypeLike = np.uint8) -> Pixels:
    """Values (C, H, W) as pixels (H, W, C) of `dtype`, see `to_levels`."""
    channels, height, width = values.shape
    picture = np.empty((height, width, channels), dtype)
    for top in range(0, height, BLOCK):
        block = to_levels(values[:, top : top + BLOCK], dtype)
        for channel in range(channels):  # half the time of one transposed copy
            picture[top : top + BLOCK, :, channel] = block[channel]
    return picture
