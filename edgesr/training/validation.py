"""How good the average of the weights is by now, on photographs that are held out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from edgesr.data import photos
from edgesr.data.degrade import BICUBIC, enlarge, pair, to_image, to_tensor
from edgesr.errors import DataError
from edgesr.metrics import mean_db, psnr
from edgesr.recipe import Degradation, Losses
from edgesr.workspace import atomic

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Score:
    """Mean PSNR on Y in dB over the held-out photographs, and bicubic's beside it."""

    psnr_db: float
    bicubic_psnr_db: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    def remark(self, losses: Losses) -> str:
        """What is to be said of a training that ended with this score: empty at bicubic's or
        above."""
        if self.psnr_db >= self.bicubic_psnr_db:
            return ""
        means = "give it more steps, or another learning rate"
        if losses.adversarial or losses.vgg or losses.lpips:
            means = "its losses trade PSNR for texture: look at samples/ and compare LPIPS"
        return (
            f"finished below bicubic: {self.psnr_db:.2f} dB against {self.bicubic_psnr_db:.2f} dB "
            f"on the held-out photographs; {means}"
        )


@dataclass(frozen=True)
class Example:
    """A held-out photograph: `hr` (scale * H, scale * W, 3) and its reduction `lr` (1, 3, H, W)
    in 0..1."""

    hr: Pixels
    lr: Tensor
    bicubic: Pixels
    bicubic_psnr_db: float
    scale: int


class Validation:
    """Scores a network on `files`, which are decoded and degraded once, each by its own seed.

    A photograph that bicubic restores exactly, a flat one, is left out with a warning.

    Raises:
        DataError: no photograph is of use.
    """

    def __init__(
        self,
        files: list[Path],
        scale: int,
        device: torch.device,
        degradation: Degradation = BICUBIC,
    ) -> None:
        self.device = device
        self.examples = []
        for number, photo in enumerate(photos.decode_all(files, smallest=16)):
            found = example(photo.pixels, scale, degradation, number)
            if math.isinf(found.bicubic_psnr_db):
                photos.warn_left_out(photo.path, "it is flat: there is nothing to restore")
            else:
                self.examples.append(found)
        if not self.examples:
            raise DataError(
                f"all {len(files)} photographs held out are flat: they measure nothing",
                "Hold out more, data.validation, or take the flat ones out of the folder.",
            )

    @torch.no_grad()
    def __call__(self, module: nn.Module, sample: Path) -> Score:
        """Score `module`, and write the first picture (bicubic, network, HR) to `sample`."""
        scores = []
        for i, each in enumerate(self.examples):
            sr = to_image(module(each.lr.to(self.device)))
            scores.append(psnr(sr, each.hr, each.scale))
            if i == 0:
                _write_sample(sample, [each.bicubic, sr, each.hr])
        bicubic = [each.bicubic_psnr_db for each in self.examples]
        return Score(mean_db(scores), mean_db(bicubic))


def example(
    pixels: Pixels, scale: int, degradation: Degradation = BICUBIC, seed: int = 0
) -> Example:
    """The pair of a photograph, and its bicubic control."""
    hr, lr = pair(pixels, scale, degradation, seed)
    bicubic = enlarge(lr, scale)
    return Example(hr, to_tensor(lr), bicubic, psnr(bicubic, hr, scale), scale)


def _write_sample(path: Path, pictures: list[Pixels], side: int = 256) -> None:
    """Write the middles of `pictures`, at most `side` pixels wide, beside each other."""
    height, width = (min(n, side) for n in pictures[0].shape[:2])
    top, left = ((n - m) // 2 for n, m in zip(pictures[0].shape, (height, width), strict=False))
    middles = [picture[top : top + height, left : left + width] for picture in pictures]
    with atomic(path) as temporary:
        Image.fromarray(np.concatenate(middles, axis=1)).save(temporary, "PNG")
