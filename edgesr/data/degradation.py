"""What happens to photographs on their way to a screen, after Real-ESRGAN (Wang et al.,
arXiv:2107.10833) and BSGRAN (Zhang et al., arXiv:2103.14006), lighter than either.

Every step keeps the picture where it is: kernels are symmetric, resizes keep the corners, and a
codec's blocks begin anywhere because pixels are added before it and cut off after it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from edgesr.data import kernels
from edgesr.recipe import Real
from edgesr.video.filmed import filmed

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]

FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
BLOCK = 16
"""Pixels after which the grid of a codec with halved colours repeats."""


def degrade(hr: Pixels, scale: int, degradation: Real, rng: Generator) -> Pixels:
    """LR (H / scale, W / scale, 3) of `hr` (H, W, 3), both RGB bytes, with one draw of
    `degradation` for the whole picture; the same for the same state of `rng`.

    `degradation.clean` is not asked: see `edgesr.data.regions.degraded`.

    Args:
        hr: its sides are multiples of `scale`.
    """
    size = (hr.shape[0] // scale, hr.shape[1] // scale)
    picture = hr
    if happens(rng, degradation.second):
        factor = max(1.0, kernels.between(degradation.factor, rng))
        middle = (round(factor * size[0]), round(factor * size[1]))
        picture = _once(picture, middle, degradation, rng)
        picture = compress(picture, degradation, rng)
    picture = _once(picture, size, degradation, rng)
    if not happens(rng, degradation.final_sinc):
        return compress(picture, degradation, rng)
    low_pass = kernels.sinc(kernels.between(degradation.cutoff, rng))
    if happens(rng, 0.5):
        return compress(filtered(picture, low_pass), degradation, rng)
    return filtered(compress(picture, degradation, rng), low_pass)


def happens(rng: Generator, probability: float) -> bool:
    """True with `probability`."""
    return bool(rng.random() < probability)


def _once(picture: Pixels, size: tuple[int, int], by: Real, rng: Generator) -> Pixels:
    """Blur, resize to `size` (H, W), perhaps by way of another size, sharpening and noise."""
    if happens(rng, by.blur):
        picture = filtered(picture, kernels.drawn(by, picture.shape[0] / size[0], rng))
    if happens(rng, by.resize):
        factor = kernels.between(by.factor, rng)
        other = (max(1, round(factor * size[0])), max(1, round(factor * size[1])))
        picture = resized(picture, other, by.filters, rng)
    picture = resized(picture, size, by.filters, rng)
    if happens(rng, by.sharpen):
        picture = sharpened(picture, kernels.between(by.amount, rng), rng.uniform(0.5, 1.5))
    if happens(rng, by.noise):
        picture = noisy(picture, by, rng)
    return picture


def filtered(picture: Pixels, kernel: Values) -> Pixels:
    """`picture` convolved with a symmetric `kernel` (K, K), K odd; mirrored at its border."""
    reach = len(kernel) // 2
    padded = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    return eight_bits(kernels.convolve(padded.astype(np.float32), kernel))


def resized(
    picture: Pixels, size: tuple[int, int], filters: Sequence[str], rng: Generator
) -> Pixels:
    """`picture` at `size` (H, W) by one of `filters`, with antialiasing."""
    chosen = FILTERS[filters[int(rng.integers(len(filters)))]]
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize(size[::-1], chosen))


def sharpened(picture: Pixels, amount: float, sigma: float) -> Pixels:
    """An unsharp mask: `amount` times what a Gaussian of `sigma` takes away is added."""
    soft = filtered(picture, kernels.gaussian(sigma, sigma, 0.0)).astype(np.float32)
    return eight_bits(picture + amount * (picture - soft))


def noisy(picture: Pixels, by: Real, rng: Generator) -> Pixels:
    """Gaussian noise, or what counting light leaves: its variance grows with the brightness."""
    sigma = np.float32(kernels.between(by.noise_sigma, rng))
    poisson, grey = happens(rng, by.poisson), happens(rng, by.grey)
    shape = (*picture.shape[:2], 1 if grey else 3)
    grain = rng.standard_normal(shape, dtype=np.float32)
    if poisson:  # at these counts Poisson's distribution is Gaussian to within a level
        light = picture.mean(2, keepdims=True) if grey else picture
        grain *= np.sqrt(light / np.float32(255))
    return eight_bits(picture + sigma * grain)


def compress(picture: Pixels, by: Real, rng: Generator) -> Pixels:
    """`picture` through a codec or none; where a block begins is drawn."""
    which = rng.random()
    top, left = (int(n) for n in rng.integers(0, BLOCK, 2))
    if which < by.jpeg:
        quality = _quality(by.jpeg_quality, rng)
        options = {"quality": quality, "subsampling": 2 if happens(rng, by.subsampled) else 0}
        return through("JPEG", picture, top, left, **options)
    if which < by.jpeg + by.webp:
        quality = _quality(by.webp_quality, rng)
        return through("WEBP", picture, top, left, quality=quality, method=2)
    which -= by.jpeg + by.webp
    if which < by.h264:
        return filmed(picture, "h264", _quality(by.h264_crf, rng), top, left)
    if which < by.h264 + by.av1:
        return filmed(picture, "av1", _quality(by.av1_crf, rng), top, left)
    return picture


def _quality(between: Sequence[int], rng: Generator) -> int:
    return int(rng.integers(between[0], between[1] + 1))


def through(codec: str, picture: Pixels, top: int, left: int, **options: int) -> Pixels:
    """`picture` stored by Pillow's `codec` and read again, its blocks begun `top` rows above and
    `left` columns beside it."""
    padded = np.pad(picture, ((top, 0), (left, 0), (0, 0)), mode="edge")
    file = io.BytesIO()
    Image.fromarray(padded).save(file, codec, **options)
    with Image.open(file) as stored:
        read: Pixels = np.asarray(stored.convert("RGB"))
    return read[top:, left:]


def eight_bits(values: NDArray[np.floating]) -> Pixels:
    """Values in levels, clipped and rounded."""
    bytes_: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return bytes_
