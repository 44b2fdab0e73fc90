"""PNG files of 16 bits a colour, all of them: Pillow decodes the upper eight alone."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, PngImagePlugin

LOW = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
"""Pillow's name of samples with the high byte first, and the one under which it takes the other."""
GREY_ALPHA = "LA;16B"


def decode(source: Path | bytes, image: Image.Image) -> NDArray[np.uint16] | None:
    """Pixels (H, W, 3) or (H, W, 4) of a colour PNG of 16 bits, or a grey one with alpha; None for
    any other picture.

    Args:
        source: a file, or what is in one.
        image: the same, opened and not loaded.
    """
    if not isinstance(image, PngImagePlugin.PngImageFile) or not image.tile:
        return None
    kind = image.tile[0].args
    if kind == GREY_ALPHA:  # four bytes a pixel, which pass for red, green, blue and alpha
        grey, alpha = _paired(_samples(source, "RGBA"))
        return np.dstack([grey, grey, grey, alpha])
    if not isinstance(kind, str) or kind not in LOW:
        return None
    deep = _samples(source, kind).astype(np.uint16) << np.uint16(8)
    deep |= _samples(source, LOW[kind])
    return _with_clear_colour(deep, image.info.get("transparency"))


def opened(source: Path | bytes) -> ImageFile.ImageFile:
    """An image file, or what is in one, opened and not loaded."""
    return Image.open(BytesIO(source) if isinstance(source, bytes) else source)


def _samples(source: Path | bytes, kind: str) -> NDArray[np.uint8]:
    """What Pillow decodes of a PNG where it takes its samples for `kind`."""
    with opened(source) as image:
        image.tile = [image.tile[0]._replace(args=kind)]
        return np.asarray(image)


def _paired(pairs: NDArray[np.uint8]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    whole = np.ascontiguousarray(pairs).view(">u2").astype(np.uint16)
    return whole[..., 0], whole[..., 1]


def _with_clear_colour(
    deep: NDArray[np.uint16], clear: tuple[int, int, int] | None
) -> NDArray[np.uint16]:
    """`deep` with alpha, where a colour of 16 bits is named that is transparent."""
    if clear is None or deep.shape[2] == 4:
        return deep
    opaque = (deep != np.array(clear, np.uint16)).any(axis=2)
    return np.dstack([deep, np.where(opaque, 65535, 0).astype(np.uint16)])
