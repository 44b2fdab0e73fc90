"""Photographs on which conversions to lower precision are judged, and those that ranges come from.

Both are the recipe's own: held-out photographs judge, training photographs calibrate. No benchmark
set is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from edgesr.data import photos
from edgesr.data.degrade import bicubic_down, crop_to_multiple, quantise, to_image, to_tensor
from edgesr.deploy import feed
from edgesr.errors import ExportError
from edgesr.quality.metrics import mean_db, psnr
from edgesr.recipe import Data

Values = NDArray[np.float32]
Pixels = NDArray[np.uint8]
JUDGED, MEASURED = 512, 256
"""Side in HR pixels of what is taken from the middle of a photograph, to judge and to calibrate."""


@dataclass(frozen=True)
class Pair:
    """`hr` (4H, 4W, 3) bytes and its reduction `lr` (1, 3, H, W), float32 0..1."""

    name: str
    hr: Pixels
    lr: Values


def heldout(data: Data) -> list[Pair]:
    """The middles of the photographs that the recipe holds out."""
    found = photos.decode_all(photos.split(data).validation, smallest=64)
    return [_pair(photo, JUDGED, JUDGED) for photo in found]


def calibration(data: Data, count: int) -> list[Pair]:
    """The middles of `count` training photographs, evenly spaced over their list, all of one size.

    ONNX Runtime's histograms ask for one size.
    """
    files = photos.split(data).train
    chosen = [files[i * len(files) // count] for i in range(min(count, len(files)))]
    found = list(photos.decode_all(chosen, smallest=64))
    height, width = np.min([(MEASURED, MEASURED), *(p.pixels.shape[:2] for p in found)], axis=0)
    return [_pair(photo, int(height), int(width)) for photo in found]


def _pair(photo: photos.Photo, height: int, width: int) -> Pair:
    rows, columns = _middle(photo.pixels.shape[0], height), _middle(photo.pixels.shape[1], width)
    hr = np.ascontiguousarray(crop_to_multiple(photo.pixels[rows, columns]))
    return Pair(photo.name, hr, quantise(bicubic_down(to_tensor(hr))).numpy())


def _middle(length: int, wanted: int) -> slice:
    first = max(0, length - wanted) // 2
    return slice(first, first + wanted)


def outputs(model: onnx.ModelProto, pairs: list[Pair]) -> Iterator[Values]:
    """What `model` makes of each pair's LR, by ONNX Runtime on the CPU, float32."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for pair in pairs:
        yield feed.run(session, pair.lr)


def psnr_db(model: onnx.ModelProto, pairs: list[Pair]) -> float:
    """Mean PSNR on Y in dB of `model` over `pairs`, as `mean_db` has it.

    Raises:
        ExportError: an output is not finite.
    """
    found = zip(outputs(model, pairs), pairs, strict=True)
    return mean_db(_psnr(sr, pair) for sr, pair in found)


def _psnr(sr: Values, pair: Pair) -> float:
    if not np.isfinite(sr).all():
        raise ExportError(
            f"the network gives values that are not finite on {pair.name}",
            "Its weights are damaged, or it does not fit the precision that is asked for.",
        )
    return psnr(to_image(torch.from_numpy(sr)), pair.hr)
