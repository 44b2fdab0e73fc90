"""What was done to a picture before it got here, estimated from its pixels: JPEG and noise.

Of a large picture a window in its middle is looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.inference.decode import to_8_bits
from edgesr.inference.tiling import Pixels

Values = NDArray[np.float32]

WINDOW = 384
"""Side in pixels of what is looked at."""
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""Quantisation of brightness at quality 50 (ITU-T T.81, table K.1), vertical frequencies first."""
SCALES = np.array([5000 // q if q < 50 else 200 - 2 * q for q in range(1, 101)])
TABLES = np.clip((LUMINANCE * SCALES[:, None, None] + 50) // 100, 1, 255)
"""Quantisation of brightness at quality 1..100, as libjpeg scales it."""
FREQUENCIES = np.arange(8)
DCT = (
    np.cos(np.pi * (2 * FREQUENCIES[None] + 1) * FREQUENCIES[:, None] / 16)
    * np.where(FREQUENCIES[:, None] == 0, np.sqrt(1 / 8), 0.5)
).astype(np.float32)
ACTIVE = 8.0
"""A block with a coefficient above this is not flat: its zeros mean something."""
ZERO = 0.75
"""Coefficients below this were zero before the decoded values were rounded to bytes."""
GAP = 0.02
"""Zeros of a JPEG's own grid, over those of the next best: 0.007 at most where there was no JPEG,
0.04 at least in photographs of quality 98 (Kodak, at full size and reduced four times)."""
LOW = [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (0, 3), (3, 0)]
"""Frequencies whose quantisation is read off: others are zero nearly everywhere."""
FITS = 0.5
"""Mean cosine of coefficients in turns of a step: 1 where all are its multiples, 0 by chance."""
UNIFORM = 0.75
"""Noise is alike everywhere, texture is not: the quietest fiftieth over the quietest quarter."""


def jpeg_quality(pixels: Pixels) -> int | None:
    """Quality (1..100, as libjpeg counts it) of the JPEG that a picture was decoded from, wherever
    its blocks begin; None where none shows. A picture that was resized since shows none. 75 where
    black and white are clipped so that nothing tells it.

    In a JPEG's own grid of 8 x 8 blocks most coefficients of the cosine transform are zero, in
    every other grid hardly any is (Fan and de Queiroz, "Identification of bitmap compression
    history", 2003, look for the same in gradients and likelihoods).

    Args:
        pixels: (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16.
    """
    grey = _brightness(pixels)
    if min(grey.shape) < 24:
        return None
    grids = [(top, left) for top in range(8) for left in range(8)]
    zeros = [_zeros(_coefficients(grey[top:, left:])) for top, left in grids]
    second, best = sorted(zeros)[-2:]
    if best - second < GAP:
        return None
    top, left = grids[zeros.index(best)]
    return quality(_steps(_coefficients(grey[top:, left:], _clipped(pixels)[top:, left:])))


def quality(table: Values) -> int:
    """Quality, as libjpeg counts it, whose table of brightness is nearest to `table`.

    Args:
        table: (8, 8), rows are vertical frequencies; NaN where a step is not known, and 75, which
            most programs store with, where none is.
    """
    known = np.isfinite(table)
    if not known.any():
        return 75
    far = np.abs(TABLES[:, known] - table[known]).mean(1)
    return int(far.argmin()) + 1


def noise(pixels: Pixels) -> float:
    """Standard deviation in levels of 255 of the white noise in a picture, coloured or grey; 0
    where it may be texture.

    The diagonal Haar coefficients of the quietest places. Texture is there too, but it has nearly
    the same red and green, where coloured noise differs; and it is not alike everywhere.

    Args:
        pixels: see `jpeg_quality`.
    """
    quietest, next_quiet = _quiet(_brightness(pixels))
    grey = quietest if quietest > UNIFORM * next_quiet else 0.0
    if pixels.ndim == 2:
        return grey
    colours = _middle(pixels)
    return max(grey, _quiet((colours[..., 0] - colours[..., 1]) / np.float32(np.sqrt(2)))[0])


def _middle(pixels: Pixels) -> Values:
    height, width = pixels.shape[:2]
    top, left = max(0, height - WINDOW) // 2, max(0, width - WINDOW) // 2
    window = to_8_bits(pixels[top : top + WINDOW, left : left + WINDOW])
    values: Values = window.astype(np.float32)
    return values


def _brightness(pixels: Pixels) -> Values:
    """(H, W) in 0..255, as JPEG weighs the colours."""
    window = _middle(pixels)
    if window.ndim == 2:
        return window
    return window[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)


def _blocks(plane: NDArray[Any], side: int) -> NDArray[Any]:
    """(n, side, side): `plane` cut from its corner on."""
    rows, columns = (length // side for length in plane.shape)
    cut = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return cut.swapaxes(1, 2).reshape(-1, side, side)


def _clipped(pixels: Pixels) -> NDArray[np.bool_]:
    """(H, W): where a colour is at an end of its range, so that the block is no JPEG's any more."""
    window = _middle(pixels)
    ends: NDArray[np.bool_] = (window < 1) | (window > 254)
    return ends if ends.ndim == 2 else np.asarray(ends[..., :3].any(2))


def _coefficients(grey: Values, clipped: NDArray[np.bool_] | None = None) -> Values:
    """(n, 8, 8) of the blocks that are not flat, and have no pixel in `clipped`; magnitudes."""
    found: Values = np.abs(DCT @ _blocks(grey, 8) @ DCT.T)
    found[:, 0, 0] = 0
    use = found.max((1, 2)) > ACTIVE
    if clipped is not None:
        use &= ~_blocks(clipped, 8).any((1, 2))
    return np.asarray(found[use])


def _zeros(coefficients: Values) -> float:
    return float((coefficients < ZERO).mean()) if len(coefficients) else 0.0


def _steps(coefficients: Values) -> Values:
    """The quantisation at `LOW`, in whole levels; elsewhere, and where hardly anything is left of a
    frequency, NaN."""
    steps = np.full((8, 8), np.nan, np.float32)
    for place in LOW:
        column = coefficients[:, *place]
        left = column[column > ZERO][:1000]
        if len(left) >= 10:
            steps[place] = _step(left)
    return steps


def _step(values: Values) -> int:
    """The whole number to whose multiples `values` are nearest; 1 where they are near to none."""
    steps = np.arange(2, 3 + int(np.median(values)))
    fit = np.cos(2 * np.pi * values[:, None] / steps).mean(0)
    return int(steps[fit.argmax()]) if fit.max() > FITS else 1


def _quiet(plane: Values) -> tuple[float, float]:
    """The noise of the quietest fiftieth and quarter of places of 16 x 16 pixels; 0 where there is
    no such place."""
    height, width = (length // 2 * 2 for length in plane.shape)
    quads = plane[:height, :width].reshape(height // 2, 2, width // 2, 2)
    diagonal = (
        quads[:, 0, :, 0] - quads[:, 1, :, 0] - quads[:, 0, :, 1] + quads[:, 1, :, 1]
    ) / np.float32(2)
    blocks = _blocks(diagonal, 8)
    if not len(blocks):
        return 0.0, 0.0
    found = np.quantile(np.sqrt((blocks**2).mean((1, 2))), (0.02, 0.25))
    return float(found[0]), float(found[1])
