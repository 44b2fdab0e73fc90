"""Pictures in colour for model files of one channel: Y by the network, chroma by bicubic; no torch.

Chroma is what a colour has beyond Y, so that a grey picture has none, and the luma of the result is
what the network makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Shares of Y in ITU-R BT.601, in full range, as JPEG and grey pictures have it."""


def by_luma(run: Callable[[Array], Array], axes: tuple[int, int]) -> Callable[[Array], Array]:
    """`run`, which takes pictures of one channel, as one that takes RGB too.

    Args:
        run: float32 (B, 1, H, W) or uint8 (B, H, W, 1) to the same, `scale` times larger.
        axes: of height and width.

    Returns:
        What takes either, and gives as many channels as it got. Bytes are rounded half up.
    """
    channel = 1 if axes == (2, 3) else 3

    def coloured(lr: Array) -> Array:
        if lr.shape[channel] == 1:
            return run(lr)
        rgb = np.moveaxis(lr, channel, 0).astype(np.float32)
        exact = luma(rgb, 0)[0]
        y = rounded(exact, lr.dtype)
        large = np.take(run(np.expand_dims(y, channel)), 0, channel)
        red, blue = (_enlarged(rgb[colour] - exact, large.shape) for colour in (0, 2))
        green = -(RED * red + BLUE * blue) / GREEN
        made = [rounded(large + chroma, lr.dtype) for chroma in (red, green, blue)]
        return np.stack(made, channel)

    return coloured


def luma(rgb: Array, channel: int = 1) -> NDArray[np.float32]:
    """Y of RGB, as one channel: (B, 3, H, W) -> (B, 1, H, W), or along another axis `channel`."""
    red, green, blue = np.split(rgb, 3, channel)
    y: NDArray[np.float32] = (RED * red + GREEN * green + BLUE * blue).astype(np.float32)
    return y


def rounded(values: Array, dtype: np.dtype[Any]) -> Array:
    """Values as they are for floats; for bytes held to 0..255 and rounded half up."""
    if dtype != np.uint8:
        return values.astype(dtype, copy=False)
    return (np.clip(values, 0, 255) + np.float32(0.5)).astype(np.uint8)


def _enlarged(planes: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Planes (B, H, W) at the height and width of `shape`, by bicubic."""
    from PIL import Image  # golden vectors are checked without it

    size = shape[2], shape[1]
    large = [Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC) for plane in planes]
    return np.stack([np.asarray(plane) for plane in large])
