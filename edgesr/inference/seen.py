"""What a model sees of an image, and what its answer becomes: grey, alpha, sizes, wrapped edges."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from PIL import Image

from edgesr.errors import DataError
from edgesr.inference import alpha, decode, padding, tiling
from edgesr.inference.tiling import Pixels

Picture = TypeVar("Picture", Pixels, Image.Image)

log = logging.getLogger(__name__)


def unpacked(image: Picture, takes_16_bits: bool) -> tuple[Pixels, Callable[[Pixels], Picture]]:
    """An image's pixels, and what makes an image of its kind of those that they become.

    Raises:
        DataError: a Pillow image of floating-point pixels.
    """
    if not isinstance(image, Image.Image):
        return image, cast("Callable[[Pixels], Picture]", _as_it_is)
    path = Path(getattr(image, "filename", "") or "image")
    picture = decode.prepare(image, path)
    if picture.deep and not (takes_16_bits and picture.mode == "L"):
        log.warning(f"{path}: 16 bits are reduced to 8")  # Pillow holds 16 in grey alone
        picture = picture.shallow()

    def finish(pixels: Pixels) -> Image.Image:
        result = Image.fromarray(pixels)
        result.info = picture.metadata.info()
        return result

    return picture.pixels, finish


def _as_it_is(pixels: Pixels) -> Pixels:
    return pixels


def check(image: Pixels, smallest: int, takes_16_bits: bool) -> None:
    """Refuse what is no image that an `Upscaler` takes.

    Raises:
        DataError: an array of another type or shape, or a side below `smallest`.
    """
    kind = type(image).__name__
    if isinstance(image, np.ndarray):
        known = image.dtype == np.uint8 or (image.dtype == np.uint16 and takes_16_bits)
        if known and (image.ndim == 2 or image.shape[2:] in ((3,), (4,))):
            if min(image.shape[:2]) >= smallest:
                return
            height, width = image.shape[:2]
            raise DataError(f"an image of {width} x {height}: expected at least {smallest} a side")
        kind = f"{image.dtype} {image.shape}"
    raise DataError(
        f"an image of {kind}: expected uint8 (H, W), (H, W, 3) or (H, W, 4)"
        + (", or uint16 likewise" if takes_16_bits else ""),
        "Of values in 0..1: (255 * image).round().astype('uint8').",
    )


def colours(image: Pixels, multiple: int, least: tuple[int, int] = (1, 1)) -> Pixels:
    """What a model is given of an image: (h, w, 1) of grey, else (h, w, 3), its sides multiples of
    `multiple`, and `least` (height, width) at least."""
    if image.ndim == 2:
        seen = image[..., None]
    else:
        seen = alpha.extended(image) if image.shape[2] == 4 else image
    return padding.padded(seen, (0, 1), multiple, least)


def finished(
    bands: Iterator[Pixels], image: Pixels, *, scale: int, margin: int
) -> Iterator[Pixels]:
    """The bands that a model gives of `colours(image)`, as those of the enlarged image.

    Args:
        image: with `margin` pixels beyond each edge, which the result is without.
    """
    height, width = (scale * side for side in image.shape[:2])
    bands = tiling.cropped(bands, height, width)
    if image.ndim == 2:
        bands = (band[..., 0] for band in bands)
    elif image.shape[2] == 4:
        bands = alpha.beside(bands, image[..., 3], scale)
    if not margin:
        return bands
    beyond = scale * margin
    return tiling.cropped(bands, height - 2 * beyond, width - 2 * beyond, beyond)
