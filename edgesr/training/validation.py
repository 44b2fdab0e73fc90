"""How good the average of the weights is by now, on photographs that are held out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from edgesr import console
from edgesr.data import bands, benchmarks, pairs, photos
from edgesr.data.degrade import BICUBIC, enlarge, pair, to_image, to_tensor
from edgesr.errors import DataError
from edgesr.losses.perceptual import SMALLEST
from edgesr.metrics import mean_db, psnr
from edgesr.recipe import Degradation, Losses, Metric
from edgesr.workspace import atomic

Pixels = NDArray[np.uint8]
MEGA = 10**6
SEEN = 1024
"""Pixels of a side that LPIPS is measured on at most: its features of a large photograph would take
more memory than the training."""


@dataclass(frozen=True)
class Score:
    """Mean PSNR on Y in dB over the held-out photographs, and bicubic's beside it.

    Attributes:
        lpips: their mean LPIPS with AlexNet; None where its weights are missing.
        sets: the same of further sets, by name.
    """

    psnr_db: float
    bicubic_psnr_db: float
    lpips: float | None = None
    sets: dict[str, Score] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what was not measured is left out."""
        found: dict[str, Any] = {"psnr_db": self.psnr_db, "bicubic_psnr_db": self.bicubic_psnr_db}
        found |= {} if self.lpips is None else {"lpips": self.lpips}
        sets = {name: each.as_dict() for name, each in self.sets.items()}
        return found | ({"sets": sets} if sets else {})

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Score:
        """The inverse of `as_dict`."""
        sets = {name: cls.from_dict(each) for name, each in found.get("sets", {}).items()}
        return cls(**{**found, "sets": sets})

    def value(self, metric: Metric) -> float:
        """By which scores are ordered: the higher the better."""
        if metric == "psnr":
            return self.psnr_db
        assert self.lpips is not None, "check_measured"
        return -self.lpips

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
    in 0..1; of what bicubic makes of it, the `_middle`."""

    hr: Pixels
    lr: Tensor
    bicubic: Pixels
    bicubic_psnr_db: float
    scale: int


class Validation:
    """Scores a network on `files`, which are decoded and degraded once, each by its own seed.

    A photograph that bicubic restores exactly, a flat one, is left out with a warning.

    Args:
        lpips: of `find_lpips`; None leaves LPIPS out. Of a large picture it sees the middle.
        sets: what is scored beside them, by name.
        lr: the LR pictures of pairs, by their photographs.

    Raises:
        DataError: no photograph is of use, or a pair does not fit.
    """

    def __init__(
        self,
        files: list[Path],
        scale: int,
        device: torch.device,
        degradation: Degradation = BICUBIC,
        lpips: nn.Module | None = None,
        sets: dict[str, Validation] | None = None,
        lr: Mapping[Path, Path] | None = None,
    ) -> None:
        self.device = device
        self.lpips = None if lpips is None else lpips.to(device)
        self.sets = sets or {}
        self.examples = []
        for number, photo in enumerate(photos.decode_all(files, smallest=16)):
            own = pairs.of(photo, lr or {}, scale)
            found = example(photo.pixels, scale, degradation, number, own)
            if math.isinf(found.bicubic_psnr_db):
                photos.warn_left_out(photo.path, "it is flat: there is nothing to restore")
            else:
                self.examples.append(found)
        if not self.examples:
            raise DataError(
                f"all {len(files)} photographs held out are flat: they measure nothing",
                "Hold out more, data.validation, or take the flat ones out of the folder.",
            )

    @property
    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """LR and HR of each photograph, float32 (1, 3, H, W) in 0..1."""
        return [(each.lr, to_tensor(each.hr)) for each in self.examples]

    @property
    def sees(self) -> bool:
        """Whether LPIPS is measured."""
        return self.lpips is not None and any(map(_is_seen, self.examples))

    def __call__(self, module: nn.Module, sample: Path | None = None) -> Score:
        """Score `module`, and write the first picture (bicubic, network, HR) to `sample`."""
        scores, distances = [], []
        megapixels = sum(each.hr[..., 0].size for each in self.examples) // MEGA
        with console.bar("validation", megapixels, unit="megapixels") as bar:
            for sr, each in zip(self._pictures(module, bar), self.examples, strict=True):
                scores.append(psnr(sr, each.hr, each.scale))
                if self.lpips is not None and _is_seen(each):
                    distances.append(self._distance(sr, each.hr))
                if len(scores) == 1 and sample is not None:
                    _write_sample(sample, [each.bicubic, _middle(sr), _middle(each.hr)])
        bicubic = [each.bicubic_psnr_db for each in self.examples]
        distance = float(np.mean(distances)) if distances else None
        sets = {name: each(module) for name, each in self.sets.items()}
        return Score(mean_db(scores), mean_db(bicubic), distance, sets)

    @torch.inference_mode()
    def _distance(self, sr: Pixels, hr: Pixels) -> float:
        assert self.lpips is not None
        pair = (to_tensor(_middle(each, SEEN)).to(self.device) for each in (sr, hr))
        return float(self.lpips(*pair, normalize=True))

    def _pictures(self, module: nn.Module, bar: console.Bar) -> Iterator[Pixels]:
        """What `module` makes of each photograph, in turn."""
        made, halo = 0, bands.halo(module)
        for each in self.examples:
            parts = []
            lr, scale = to_image(each.lr), each.scale
            for part in bands.in_bands(module, lr, scale=scale, halo=halo, device=self.device):
                parts.append(part)
                made += part[..., 0].size
                bar.advance(made // MEGA - bar.done)
            yield np.concatenate(parts)


def _is_seen(each: Example) -> bool:
    """Whether it is large enough for LPIPS."""
    return bool(min(each.hr.shape[:2]) >= SMALLEST)


def named_sets(
    places: list[str],
    scale: int,
    device: torch.device,
    degradation: Degradation,
    lpips: nn.Module | None,
) -> dict[str, Validation]:
    """Each folder, or benchmark set in `data/`, of `data.validation_sets` by its name.

    Raises:
        DataError: one is not there, or none of its pictures is of use.
    """
    found = {}
    for place in map(Path, places):
        folder = place.expanduser()
        if not folder.exists():
            folder = benchmarks.located(str(place)) or folder
        files = photos.find(folder, benchmarks.where_to_get(folder))
        found[place.name] = Validation(files, scale, device, degradation, lpips)
    return found


def example(
    pixels: Pixels,
    scale: int,
    degradation: Degradation = BICUBIC,
    seed: int = 0,
    own: Pixels | None = None,
) -> Example:
    """The pair of a photograph, and its bicubic control."""
    hr, lr = pair(pixels, scale, degradation, seed, own)
    bicubic = enlarge(lr, scale)
    shown = _middle(bicubic).copy()
    return Example(hr, to_tensor(lr), shown, psnr(bicubic, hr, scale), scale)


def _write_sample(path: Path, pictures: list[Pixels]) -> None:
    """Write `pictures` of one size beside each other."""
    with atomic(path) as temporary:
        Image.fromarray(np.concatenate(pictures, axis=1)).save(temporary, "PNG")


def _middle(picture: Pixels, side: int = 256) -> Pixels:
    """The middle of `picture`, at most `side` pixels wide and high; a view."""
    height, width = (min(n, side) for n in picture.shape[:2])
    top, left = ((n - m) // 2 for n, m in zip(picture.shape, (height, width), strict=False))
    return picture[top : top + height, left : left + width]
