"""Transparency in enlarged pictures: the colours that a model sees below it, and alpha itself.

Below transparent pixels a file may hold any colour, mostly black. A model, like any filter, would
draw it into the edge beside it. So these pixels get the colours of the nearest opaque ones first.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from edgesr.inference.tiling import Pixels

REACH = 2
"""LR pixels to either side that a pixel of an enlarged alpha depends on."""
TRUSTED = 16
"""Alpha, of 255, from which on a pixel's own colour counts fully: where 8-bit colours were once
multiplied by less, little of them is left."""
RISING = [min(TRUSTED * level, 255) for level in range(256)]
HELD = 20
"""Bytes per LR pixel that `extended` holds at its peak, beside its argument."""
FLOATS = 8
"""Bytes per pixel of a band that `beside` holds more than alpha."""


def extended(image: Pixels) -> Pixels:
    """The colours (H, W, 3) of RGBA (H, W, 4), going on below transparency as they end before it.

    Colours of opaque pixels are not changed. Of a flat colour on a transparent ground the result
    is flat.
    """
    whole = np.iinfo(image.dtype).max
    if (image[..., 3] == whole).all():
        return image[..., :3]
    if image.dtype == np.uint8:
        return _over_their_like(Image.fromarray(image))
    colours = _over_their_like(Image.fromarray((image >> np.uint16(8)).astype(np.uint8)))
    return np.where(image[..., 3:] > 0, image[..., :3], colours * np.uint16(257))


def _over_their_like(image: Image.Image) -> Pixels:
    """Colours that are hardly visible are laid over those that the trusted ones go on as."""
    below = _filled(_with_alpha(image, [255 * (level >= TRUSTED) for level in range(256)]))
    return np.asarray(Image.alpha_composite(below, _with_alpha(image, RISING)))[..., :3]


def _filled(image: Image.Image) -> Image.Image:
    """RGBA laid over itself at half the size, laid over itself at a quarter, and so on."""
    top = _with_alpha(image, RISING)
    if top.getchannel("A").getextrema()[0] == 255 or max(image.size) == 1:
        return top
    half = _filled(top.reduce(2))  # Pillow weights the colours by alpha
    below = half.resize((2 * half.width, 2 * half.height), Image.Resampling.NEAREST)
    return Image.alpha_composite(below.crop((0, 0, *image.size)), top)


def _with_alpha(image: Image.Image, levels: list[int]) -> Image.Image:
    """RGBA with another level of alpha for each of the 256."""
    changed = image.copy()
    changed.putalpha(image.getchannel("A").point(levels))
    return changed


def beside(bands: Iterator[Pixels], alpha: Pixels, scale: int) -> Iterator[Pixels]:
    """Bands of RGB with `alpha` (H, W), enlarged by bicubic, beside them."""
    top, most = 0, np.iinfo(alpha.dtype).max
    for band in bands:
        first = max(top - REACH, 0)
        part = Image.fromarray(alpha[first : top + len(band) // scale + REACH].astype(np.float32))
        part = part.resize((scale * part.width, scale * part.height), Image.Resampling.BICUBIC)
        rows = np.asarray(part)[scale * (top - first) :][: len(band)]
        yield np.dstack([band, np.clip(rows + 0.5, 0, most).astype(alpha.dtype)])
        top += len(band) // scale
