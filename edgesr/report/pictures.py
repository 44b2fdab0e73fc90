"""The embedded held-out photograph as each method rebuilds it, ready to stand in a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgesr import console
from edgesr.data import photos
from edgesr.data.degrade import enlarge, pair
from edgesr.inference.upscaler import Upscaler
from edgesr.metrics import luma, psnr
from edgesr.quality.evaluate import Method, upscaler_for

Pixels = NDArray[np.uint8]

TRUTH = "ground truth"
CROP = 100
ZOOM = 2


@dataclass(frozen=True)
class Picture:
    """One method's picture.

    Attributes:
        name: the method: `bicubic`, `teacher`, `student` or the bundle's name, `ground truth`.
        uri: the pixels as lossless WebP in a `data:` URI.
        psnr_db: PSNR on Y against the ground truth in dB; None for the ground truth itself.
    """

    name: str
    uri: str
    psnr_db: float | None


@dataclass(frozen=True)
class Crop:
    """The same square of every picture, enlarged `ZOOM` times; its place in HR pixels."""

    left: int
    top: int
    side: int
    pictures: list[Picture]


@dataclass(frozen=True)
class Pictures:
    """Everything the page shows of one photograph, `width` x `height` HR pixels."""

    photo: str
    width: int
    height: int
    pictures: list[Picture]
    crops: list[Crop]


def pictures(models: dict[str, Path], scale: int) -> Pictures:
    """Reduce the held-out photograph `scale` times and rebuild it with bicubic and each model.

    Args:
        models: a name to show -> the folder of a bundle, or a model file. The crops are taken
            where the last model's picture differs most from the ground truth.

    Raises:
        EdgesrError: a model that cannot be opened, or the photograph is missing.
    """
    file = photos.embedded().validation[0]
    hr, lr = pair(photos.decode(file), scale)
    rebuilt = {"bicubic": enlarge(lr, scale)}
    for name, path in console.track(models.items(), "pictures", len(models)):
        rebuilt[name] = opened(path)(lr)
    rebuilt[TRUTH] = hr
    judged = list(models)[-1] if models else "bicubic"
    side = min(CROP, *hr.shape[:2])
    crops = [crop(rebuilt, *place, side) for place in worst(rebuilt[judged], hr, side)]
    # A crop is judged to its very edge: what is shaved off the picture is the picture's border.
    shown = [_picture(name, pixels, hr, shave=scale) for name, pixels in rebuilt.items()]
    return Pictures(file.stem, hr.shape[1], hr.shape[0], shown, crops)


def opened(path: Path) -> Method:
    """What enlarges with a bundle, by ONNX Runtime on the CPU, or with a model file, by torch."""
    if not path.is_dir():
        return upscaler_for(path)
    upscaler = Upscaler(path, provider="cpu")
    return Method(upscaler.scale, upscaler)


def crop(rebuilt: dict[str, Pixels], left: int, top: int, side: int) -> Crop:
    """The square at (`left`, `top`) of every picture."""
    squares = {n: p[top : top + side, left : left + side] for n, p in rebuilt.items()}
    shown = [_picture(n, square, squares[TRUTH], zoom=ZOOM) for n, square in squares.items()]
    return Crop(left, top, side, shown)


def worst(
    sr: Pixels, hr: Pixels, side: int, count: int = 2, grid: int = 1
) -> list[tuple[int, int]]:
    """(left, top) of the squares, none over another, where |Y(sr) - Y(hr)| is largest.

    Fewer than `count` where the picture has no room for more.

    Args:
        grid: (left, top) are multiples of it.
    """
    error = np.abs(luma(sr) - luma(hr))
    sums = np.pad(error, ((1, 0), (1, 0))).cumsum(0).cumsum(1)  # summed-area table
    total = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    total[np.arange(len(total)) % grid > 0] = -np.inf
    total[:, np.arange(total.shape[1]) % grid > 0] = -np.inf
    places: list[tuple[int, int]] = []
    while len(places) < count and np.isfinite(total).any():
        top, left = (int(i) for i in np.unravel_index(np.argmax(total), total.shape))
        places.append((left, top))
        near = max(0, top - side + 1), max(0, left - side + 1)
        total[near[0] : top + side, near[1] : left + side] = -np.inf
    return places


def _picture(name: str, pixels: Pixels, hr: Pixels, *, shave: int = 0, zoom: int = 1) -> Picture:
    score = None if name == TRUTH else psnr(pixels, hr, shave)
    return Picture(name, data_uri(pixels.repeat(zoom, 0).repeat(zoom, 1)), score)


def data_uri(pixels: Pixels) -> str:
    """(H, W, 3) uint8 as a `data:` URI of lossless WebP."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WebP", lossless=True)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
