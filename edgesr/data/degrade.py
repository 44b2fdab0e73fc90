"""Bicubic reduction and enlargement as the field measures it: MATLAB's imresize.

MATLAB takes the cubic kernel with a = -0.5, widens it by the factor of a reduction and mirrors the
image at its border. `torch.nn.functional.interpolate(mode="bicubic", antialias=True)` has the same
kernel but cuts it off at the border, so the image is mirrored here first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from edgesr.data.named import Chain
from edgesr.data.regions import degraded
from edgesr.errors import DataError
from edgesr.recipe import Bicubic, Degradation

Pixels = NDArray[np.uint8]

BICUBIC = Bicubic()

# The kernel reaches two LR pixels to each side of an output pixel, less than three from its edge.
BORDER = 3
BAND = 256
"""LR rows that are reduced or enlarged at a time: a photograph of 24 megapixels takes little more
memory than its pixels."""


def pair(
    picture: Pixels,
    scale: int,
    degradation: Degradation | Chain = BICUBIC,
    seed: int | Sequence[int] = 0,
    own: Pixels | None = None,
) -> tuple[Pixels, Pixels]:
    """HR and LR of a photograph: cut to multiples of `scale`, and reduced by bicubic to 8 bits or
    degraded as a recipe's [data.degradation] or a name says.

    Args:
        picture: uint8 (H, W, 3) RGB.
        seed: of what a degradation draws; the same gives the same LR.
        own: the LR picture itself, where there is one, see `edgesr.data.pairs`.

    Returns:
        uint8 (H', W', 3), and uint8 (H' / scale, W' / scale, 3).

    Raises:
        DataError: a side is shorter than `scale`.
    """
    hr = np.ascontiguousarray(crop_to_multiple(picture, scale))
    if own is not None:
        return hr, own
    if isinstance(degradation, Chain):
        return hr, degradation.lr(hr, scale, reduce, seed)
    lr = reduce(hr, scale)
    return hr, degraded(hr, lr, scale, degradation, seed) if degradation.kind == "real" else lr


def reduce(hr: Pixels, scale: int) -> Pixels:
    """uint8 (H, W, 3), sides multiples of `scale`, reduced by bicubic to 8 bits."""
    rows = hr.shape[0] // scale
    bands = []
    for first, last, above, below in _bands(rows):
        part = bicubic_down(to_tensor(hr[scale * above : scale * below]), scale)
        bands.append(to_image(part[:, :, first - above : last - above]))
    return np.concatenate(bands)


def enlarge(lr: Pixels, scale: int) -> Pixels:
    """The control that a network must beat: uint8 (H, W, 3) enlarged by bicubic, 8 bits."""
    bands = []
    for first, last, above, below in _bands(lr.shape[0]):
        part = bicubic_up(to_tensor(lr[above:below]), scale)
        bands.append(to_image(part[:, :, scale * (first - above) : scale * (last - above)]))
    return np.concatenate(bands)


def _bands(rows: int) -> Iterator[tuple[int, int, int, int]]:
    """LR rows that are made together, first and last, and those that are read for them."""
    for first in range(0, rows, BAND):
        last = min(first + BAND, rows)
        yield first, last, max(0, first - BORDER), min(rows, last + BORDER)


def bicubic_down(hr: Tensor, scale: int) -> Tensor:
    """Reduce float (B, C, H, W) to (B, C, H / scale, W / scale), of any value range, not clipped.

    Raises:
        DataError: H or W is not a multiple of `scale`, or there is no pixel.
    """
    height, width = hr.shape[-2:]
    if height % scale or width % scale or not height or not width:
        raise DataError(
            f"an image of {width} x {height} pixels cannot be reduced {scale} times",
            f"Crop it to multiples of {scale} (crop_to_multiple).",
        )
    padded = _mirror(hr, BORDER * scale)
    size = [side // scale for side in padded.shape[-2:]]
    small = interpolate(padded, size, mode="bicubic", antialias=True)
    return small[..., BORDER:-BORDER, BORDER:-BORDER]


def bicubic_up(lr: Tensor, scale: int) -> Tensor:
    """Enlarge float (B, C, H, W) to (B, C, scale * H, scale * W); any value range, not clipped."""
    # Without antialias torch takes another kernel, a = -0.75.
    large = interpolate(_mirror(lr, BORDER), scale_factor=scale, mode="bicubic", antialias=True)
    cut = BORDER * scale
    return large[..., cut:-cut, cut:-cut]


def _mirror(image: Tensor, border: int) -> Tensor:
    """Pad H and W on both sides as a mirror that repeats the edge, over and over if need be."""
    for axis in (-2, -1):
        size = image.shape[axis]
        at = torch.arange(-border, size + border, device=image.device) % (2 * size)
        image = image.index_select(axis, torch.minimum(at, 2 * size - 1 - at))
    return image


def quantise(x: Tensor) -> Tensor:
    """Clip to 0..1 and round to 8-bit steps, a half upwards; float in, float out."""
    return torch.floor(x.clamp(0, 1) * 255 + 0.5) / 255


def crop_to_multiple(array: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    """Cut (H, W, ...) at the bottom and the right to multiples of `multiple`; a view.

    Raises:
        DataError: nothing would be left.
    """
    height, width = (side - side % multiple for side in array.shape[:2])
    if not height or not width:
        raise DataError(
            f"an image of {array.shape[1]} x {array.shape[0]} pixels is smaller than {multiple} x "
            f"{multiple}"
        )
    return array[:height, :width]


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) 8 bits -> (1, 3, H, W) float32 0..1."""
    channels_first = np.ascontiguousarray(image.transpose(2, 0, 1))
    return torch.from_numpy(channels_first)[None].float() / 255


def to_image(picture: Tensor) -> NDArray[np.uint8]:
    """(1, 3, H, W), nominally 0..1 -> (H, W, 3) 8 bits, clipped and rounded."""
    eight_bits = (quantise(picture[0]) * 255).round().to(torch.uint8)
    image: NDArray[np.uint8] = eight_bits.permute(1, 2, 0).cpu().numpy()
    return image
