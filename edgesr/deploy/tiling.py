"""Seam-exact tiling: a large image in bounded memory, equal to the image in one piece.

Each window carries a halo as wide as the model's receptive field, and only what lies a halo away
from its edges is kept. Where the image ends the window ends too, so that the model pads there as
it does on the whole image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
OnTile = Callable[[int, int], None]


def ignore(_done: int, _total: int) -> None:
    """What is called after each tile where nobody watches."""


@dataclass(frozen=True)
class Window:
    """One tile along both axes, in LR pixels.

    Attributes:
        rows, columns: what the model reads.
        keep_rows, keep_columns: what is kept of its output; these cover the image once.
    """

    rows: slice
    columns: slice
    keep_rows: slice
    keep_columns: slice


def windows(height: int, width: int, *, tile: int, halo: int) -> list[Window]:
    """The windows of a height x width image, row by row, all of one shape.

    Args:
        tile: side of what a window in the middle contributes, in LR pixels, at least 1. One at
            the border contributes its halo as well, the last of a row what is left.
        halo: radius of the receptive field in LR pixels, at least 0.
    """
    return [
        Window(rows, columns, keep_rows, keep_columns)
        for rows, keep_rows in spans(height, tile, halo)
        for columns, keep_columns in spans(width, tile, halo)
    ]


def spans(length: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Along one axis: what is read, and what is kept of it.

    Every window reads tile + 2 halo pixels, shifted inwards at the ends of the axis: ONNX Runtime
    plans its memory anew for each new shape.
    """
    side = min(length, tile + 2 * halo)
    kept = 0
    while kept < length:
        first = min(max(kept - halo, 0), length - side)
        last = first + side
        end = length if last == length else last - halo
        yield slice(first, last), slice(kept, end)
        kept = end


def upscale_tiled(
    run: Run,
    lr: Pixels,
    *,
    scale: int,
    tile: int,
    halo: int,
    on_tile: OnTile = ignore,
    into: Pixels | None = None,
) -> Pixels:
    """Enlarge `lr` (H, W, C) tile by tile into (scale * H, scale * W, C).

    Args:
        run: the model, (1, C, h, w) float32 0..1 -> (1, C, scale * h, scale * w); need not clip.
        tile, halo: see `windows`.
        on_tile: called after each tile with how many are done, of how many.
        into: the array to fill; a new one unless given.
    """
    height, width, channels = lr.shape
    sr = np.empty((scale * height, scale * width, channels), np.uint8) if into is None else into
    parts = windows(height, width, tile=tile, halo=halo)
    for i, part in enumerate(parts):
        window = lr[part.rows, part.columns].transpose(2, 0, 1)[None]
        out = run(np.ascontiguousarray(window, dtype=np.float32) / np.float32(255))[0]
        kept = out[
            :,
            _scaled(part.keep_rows, part.rows.start, scale),
            _scaled(part.keep_columns, part.columns.start, scale),
        ]
        target = (_scaled(part.keep_rows, 0, scale), _scaled(part.keep_columns, 0, scale))
        sr[target] = to_bytes(kept).transpose(1, 2, 0)
        on_tile(i + 1, len(parts))
    return sr


def _scaled(span: slice, origin: int, scale: int) -> slice:
    return slice(scale * (span.start - origin), scale * (span.stop - origin))


def to_bytes(values: NDArray[np.float32]) -> Pixels:
    """Values nominally in 0..1 as an app shows them: clipped, rounded half up to 8 bits."""
    levels: Pixels = np.floor(np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
    return levels
