"""Photographs that judge conversions to lower precision, and pictures that ranges come from.

Held-out photographs of the recipe judge, its training photographs and drawn pictures calibrate. No
benchmark set is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from edgesr.data import drawn, pairs, photos
from edgesr.data.degrade import pair, to_image
from edgesr.deploy.fidelity import Run
from edgesr.errors import ExportError
from edgesr.inference.infer import infer
from edgesr.inference.session import open_bytes
from edgesr.inference.tiling import to_values
from edgesr.metrics import mean_db, psnr, psnr_rgb
from edgesr.recipe import Data, Degradation

Values = NDArray[np.float32]
Pixels = NDArray[np.uint8]
JUDGED, MEASURED = 512, 256
"""Side in HR pixels of what is taken from the middle of a photograph, to judge and to calibrate."""


@dataclass(frozen=True)
class Pair:
    """`hr` (scale * H, scale * W, 3) bytes and its reduction `lr` (1, 3, H, W), float32 0..1."""

    name: str
    hr: Pixels
    lr: Values

    @property
    def scale(self) -> int:
        return int(self.hr.shape[0] // self.lr.shape[2])


def heldout(data: Data, scale: int) -> list[Pair]:
    """The middles of the photographs that the recipe holds out."""
    split = photos.split(data)
    lr = pairs.find(data, scale, split)
    found = photos.decode_all(split.validation, smallest=64)
    return [_pair(photo, JUDGED, JUDGED, scale, data.degradation, lr) for photo in found]


def calibration(data: Data, count: int, scale: int) -> dict[str, list[Values]]:
    """Pictures at LR that ranges are set by, all of one size, which ONNX Runtime's histograms ask
    for; each set holds the one before.

    Returns:
        "photographs": the middles of `count` training photographs, evenly spaced over their list;
        "graphics": text, a drawing and a logo too; "patterns": noise, dithering and checkerboards
        too, the widest ranges that there are.
    """
    split = photos.split(data)
    files, lr = split.train, pairs.find(data, scale, split)
    chosen = [files[i * len(files) // count] for i in range(min(count, len(files)))]
    found = list(photos.decode_all(chosen, smallest=64))
    height, width = np.min([(MEASURED, MEASURED), *(p.pixels.shape[:2] for p in found)], axis=0)
    size = int(height), int(width)
    taken = [_pair(photo, *size, scale, data.degradation, lr).lr for photo in found]
    graphics, patterns = drawings(*taken[0].shape[2:])
    return {
        "photographs": taken,
        "graphics": [*taken, *graphics],
        "patterns": [*taken, *graphics, *patterns],
    }


def drawings(height: int, width: int) -> tuple[list[Values], list[Values]]:
    """Graphics and patterns, (1, 3, height, width) each; other ones than those that judge."""
    size = height, width
    graphics = [
        drawn.text(*size),
        drawn.text(*size, seed=1, ink=drawn.WHITE, paper=drawn.BLACK),
        drawn.drawing(*size),
        drawn.logo(*size),
    ]
    patterns = [
        drawn.noise(*size),
        drawn.dithering(*size),
        drawn.checkerboard(*size),
        drawn.checkerboard(*size, cell=2),
    ]
    values = [[to_values(each[None]) for each in pixels] for pixels in (graphics, patterns)]
    return values[0], values[1]


def _pair(
    photo: photos.Photo,
    height: int,
    width: int,
    scale: int,
    degradation: Degradation,
    own: Mapping[Path, Path],
) -> Pair:
    lr = pairs.of(photo, own, scale)
    if lr is not None:
        return _cut(photo, lr, height // scale, width // scale, scale)
    rows, columns = _middle(photo.pixels.shape[0], height), _middle(photo.pixels.shape[1], width)
    seed = crc32(photo.name.encode())
    hr, lr = pair(photo.pixels[rows, columns], scale, degradation, seed)
    return Pair(photo.name, hr, to_values(lr[None]))


def _cut(photo: photos.Photo, lr: Pixels, height: int, width: int, scale: int) -> Pair:
    """The middle of a pair of one's own, `height` x `width` at LR."""
    rows, columns = _middle(lr.shape[0], height), _middle(lr.shape[1], width)
    large = [slice(scale * part.start, scale * part.stop) for part in (rows, columns)]
    lr = lr[rows, columns]
    hr = photo.pixels[large[0], large[1]][: scale * lr.shape[0], : scale * lr.shape[1]]
    return Pair(photo.name, hr, to_values(np.ascontiguousarray(lr)[None]))


def _middle(length: int, wanted: int) -> slice:
    first = max(0, length - wanted) // 2
    return slice(first, first + wanted)


def open_graph(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A session of ONNX Runtime on the CPU."""
    return open_bytes(model.SerializeToString())


def run_of(model: onnx.ModelProto) -> Run:
    """What `model` makes of a picture at LR, by ONNX Runtime on the CPU, float32."""
    return partial(infer, open_graph(model))


@dataclass(frozen=True)
class Score:
    """Mean PSNR in dB over photographs, see `mean_db`: on Y, and on RGB, which sees a tint."""

    y_db: float
    rgb_db: float


def score(run: Run, pairs: list[Pair]) -> Score:
    """How good the pictures that `run` makes of `pairs` are.

    Raises:
        ExportError: an output is not finite.
    """
    pictures = [(_picture(run(each.lr), each), each.hr, each.scale) for each in pairs]
    return Score(
        mean_db(psnr(*each) for each in pictures),
        mean_db(psnr_rgb(*each) for each in pictures),
    )


def _picture(sr: Values, pair: Pair) -> Pixels:
    if not np.isfinite(sr).all():
        raise ExportError(
            f"the network gives values that are not finite on {pair.name}",
            "Its weights are damaged, or it does not fit the precision that is asked for.",
        )
    return to_image(torch.from_numpy(sr))
