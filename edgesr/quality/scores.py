"""What is measured on enlarged pictures, one by one and on average, and its files."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgesr.data.named import Chain
from edgesr.metrics import mean_db


def protocol(scale: int, degradations: Sequence[Chain] = ()) -> str:
    """How `evaluate` measures, in words; `degradations` are named where there are any."""
    lr = "LR by MATLAB-style bicubic, rounded to 8 bits"
    if degradations:
        each = "; ".join(f"{chain.name} is {chain}" for chain in degradations)
        lr += f", except where named: {each}; noise is seeded by the file's name"
    return (
        f"HR cropped to a multiple of {scale}; {lr}. PSNR "
        "and SSIM (11x11 Gaussian, sigma 1.5) on Y of BT.601 (16-235) of 8-bit pictures, "
        f"{scale} pixels shaved off each border; psnr_rgb_db over RGB. LPIPS v0.1 with AlexNet on "
        f"RGB, lower is better. Grid: energy of a lattice of {scale} pixels in the smooth quarter "
        "of a picture, over that of HR there; 0 is none, 1 shows. Means are over pictures; one "
        "without any error counts as 100 dB."
    )


@dataclass(frozen=True)
class Scores:
    """What is measured on one enlarged picture, or its mean over several.

    Attributes:
        psnr_db: infinite where the pictures are identical.
        lpips: None where AlexNet's weights are missing.
        psnr_rgb_db: over RGB, which sees tints; `psnr_db` is on Y.
        grid: see `edgesr.quality.grid`; None where a picture is too small for it.
    """

    psnr_db: float
    ssim: float
    lpips: float | None
    psnr_rgb_db: float
    grid: float | None = None


@dataclass(frozen=True)
class Row:
    """One picture, `width` x `height` HR pixels after cropping."""

    image: str
    width: int
    height: int
    model: Scores
    bicubic: Scores
    lanczos: Scores | None = None

    def as_dict(self) -> dict[str, Any]:
        """Flat, with `bicubic_` and `lanczos_` before the controls' scores."""
        size = {"image": self.image, "width": self.width, "height": self.height}
        return size | flat(self.model, self.bicubic, self.lanczos)


@dataclass(frozen=True)
class Evaluation:
    """A model's scores over a set of pictures, one row each."""

    rows: list[Row]
    scale: int
    degradation: Chain | None = None

    @property
    def protocol(self) -> str:
        """How it was measured, in words."""
        return protocol(self.scale, [self.degradation] if self.degradation else [])

    @property
    def mean(self) -> Scores:
        """Of the model, over the pictures."""
        return mean([row.model for row in self.rows])

    @property
    def bicubic(self) -> Scores:
        """The mean of the control."""
        return mean([row.bicubic for row in self.rows])

    @property
    def lanczos(self) -> Scores | None:
        """The mean of the other control; None where it was not measured."""
        found = [row.lanczos for row in self.rows if row.lanczos is not None]
        return mean(found) if len(found) == len(self.rows) else None

    @property
    def means(self) -> dict[str, Any]:
        """Of the model and the controls, flat as `Row.as_dict`."""
        return flat(self.mean, self.bicubic, self.lanczos)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; an infinite PSNR of a picture is null, and so is a missing LPIPS."""
        rows = [row.as_dict() for row in self.rows]
        result = {"images": rows, "mean": self.means}
        return {"protocol": self.protocol, **_without_infinity(result)}

    def csv(self) -> str:
        """A line per picture and one of means, under a line of names."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows[0].as_dict().keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row.as_dict() for row in self.rows)
        writer.writerow({"image": "mean", **self.means})
        return text.getvalue()


def mean(scores: list[Scores]) -> Scores:
    """The mean of each score, a picture without any error at `IDENTICAL_DB`; of LPIPS and the grid
    only where every picture has one."""
    return Scores(
        mean_db(score.psnr_db for score in scores),
        float(np.mean([score.ssim for score in scores])),
        _mean_of_all([score.lpips for score in scores]),
        mean_db(score.psnr_rgb_db for score in scores),
        _mean_of_all([score.grid for score in scores]),
    )


def _mean_of_all(values: list[float | None]) -> float | None:
    seen = [value for value in values if value is not None]
    return float(np.mean(seen)) if len(seen) == len(values) else None


def flat(model: Scores, bicubic: Scores, lanczos: Scores | None = None) -> dict[str, Any]:
    """All scores in one table: `psnr_db`, ... and `bicubic_psnr_db`, ..."""
    controls = {"bicubic": bicubic} | ({"lanczos": lanczos} if lanczos else {})
    own = {f"{name}_{key}": x for name, s in controls.items() for key, x in asdict(s).items()}
    return asdict(model) | own


def _without_infinity(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinity(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_infinity(inner) for inner in value]
    return None if isinstance(value, float) and math.isinf(value) else value
