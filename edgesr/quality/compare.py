"""Two models over the same pictures: what one is better by, and whether that could be chance."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edgesr import console
from edgesr.data.named import Chain
from edgesr.errors import ModelError
from edgesr.losses.perceptual import find_lpips
from edgesr.quality.evaluate import (
    extend,
    load_images,
    upscaler_for,
)
from edgesr.quality.scores import Evaluation

RESAMPLES = 10_000
CONFIDENCE = 0.95
LEAST = 6
"""Pictures that must differ for a Wilcoxon test: of five, all of one sign, p is still .0625."""
METHOD = (
    "Differences are A - B, picture by picture. Interval: 95 %, of the mean difference, BCa "
    "bootstrap over the pictures (10,000 resamples, fixed seed). p: Wilcoxon signed-rank test, "
    "two-sided, pictures without a difference left out. A difference counts as shown where the "
    "interval leaves out 0 and p is below .05."
)


@dataclass(frozen=True)
class Metric:
    """How a score is written: decimals and unit; `sign` is -1 where lower is better."""

    title: str
    digits: int
    unit: str = ""
    sign: int = 1


METRICS = {
    "psnr_db": Metric("PSNR", 3, " dB"),
    "ssim": Metric("SSIM", 4),
    "lpips": Metric("LPIPS", 4, sign=-1),
}


@dataclass(frozen=True)
class Difference:
    """What the paired differences A - B of one score say.

    Attributes:
        low, high: ends of the 95 % interval of the mean; None for a single picture.
        p: of the Wilcoxon test; None where `p_missing` says why.
        pictures: how many there are.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    p_missing: str
    pictures: int

    @property
    def shown(self) -> bool:
        """Whether the interval leaves out 0 and p is below .05."""
        if self.low is None or self.high is None or self.p is None:
            return False
        return not self.low <= 0 <= self.high and self.p < 1 - CONFIDENCE


@dataclass(frozen=True)
class Comparison:
    """The scores of A and of B, named as the user named them, over the same pictures."""

    names: tuple[str, str]
    one: Evaluation
    other: Evaluation

    @property
    def protocol(self) -> str:
        """How both were measured, in words."""
        return self.one.protocol

    def values(self) -> dict[str, NDArray[np.float64]]:
        """A - B per picture of each score that both have, in the order of the rows.

        PSNR is left out where a picture equals the ground truth: its infinity has no difference.
        """
        pairs = list(zip(self.one.rows, self.other.rows, strict=True))
        found = {}
        for key in METRICS:
            scores = [(getattr(a.model, key), getattr(b.model, key)) for a, b in pairs]
            table = np.array(scores, np.float64)  # None becomes NaN
            if np.isfinite(table).all():
                found[key] = table[:, 0] - table[:, 1]
        return found

    def differences(self) -> dict[str, Difference]:
        """The statistics of each score in `values`."""
        return {key: difference(values) for key, values in self.values().items()}

    def as_dict(self) -> dict[str, Any]:
        """What `edgesr evaluate --output` writes of A, and the comparison beside it."""
        images = [
            {"image": row.image} | {key: float(values[i]) for key, values in self.values().items()}
            for i, row in enumerate(self.one.rows)
        ]
        own, other = self.one.as_dict(), self.other.as_dict()
        return own | {
            "against": {
                "models": list(self.names),
                "method": METHOD,
                "images": other["images"],
                "mean": other["mean"],
                "paired": images,
                "differences": {key: asdict(found) for key, found in self.differences().items()},
            }
        }

    def csv(self) -> str:
        """The CSV of A with B's scores and the differences; below the means low, high and p."""
        against = [row.model for row in self.other.rows] + [self.other.mean]
        values, found = self.values(), self.differences()
        lines: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(self.one.csv())))
        for i, (line, scores) in enumerate(zip(lines, against, strict=True)):
            line |= {f"against_{key}": score for key, score in asdict(scores).items()}
            each = {key: [*values[key], found[key].mean][i] for key in found}
            line |= {f"difference_{key}": each.get(key) for key in METRICS}
        columns = list(lines[0])
        for name in ("low", "high", "p"):
            row = {f"difference_{key}": getattr(d, name) for key, d in found.items()}
            lines.append({"image": name} | row)
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        return text.getvalue()


def compare_models(one: Path, other: Path, data: Path, weights_folder: str = "") -> Comparison:
    """`compare` for what a user names: two models of any kind and a folder of HR pictures.

    Raises:
        ModelError, DataError, WeightsError: as `evaluate_model` does.
    """
    return compare_each(one, other, data, [None], weights_folder)[0]


def compare_each(
    one: Path,
    other: Path,
    data: Path,
    degradations: Sequence[Chain | None],
    weights_folder: str = "",
) -> list[Comparison]:
    """`compare_models` with each of several degradations; None for bicubic.

    Raises:
        ModelError, DataError, WeightsError: as `evaluate_model` does.
    """
    images, lpips = load_images(data), find_lpips(weights_folder)
    first, second = upscaler_for(one), upscaler_for(other)
    if first.scale != second.scale:
        raise ModelError(
            f"{one} enlarges {first.scale} times, {other} {second.scale} times",
            "Compare models of one scale.",
        )
    names = (str(one), str(other))
    found = [
        Comparison(names, Evaluation([], first.scale, by), Evaluation([], second.scale, by))
        for by in degradations
    ]
    for image in images:
        for each in found:
            extend(each.one, first, image, lpips, lanczos=True)
            extend(each.other, second, image, lpips)
    if any("psnr_db" not in each.values() for each in found):
        console.warn(
            "PSNR is not compared: a picture equals the ground truth, its PSNR is infinite"
        )
    return found


def difference(values: NDArray[np.float64]) -> Difference:
    """The mean of paired differences, its bootstrap interval and the test's p.

    Args:
        values: (pictures,), A - B, finite.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 14 (BCa);
    Wilcoxon, Biometrics Bulletin 1 (6), 1945.
    """
    low, high = _interval(values)
    differing = values[values != 0]
    p, why = None, ""
    if not len(differing):
        why = "no picture differs"
    elif len(differing) < LEAST:
        why = f"{len(differing)} pictures differ, a test takes {LEAST} at least"
    else:
        p = float(stats.wilcoxon(differing).pvalue)
    return Difference(float(values.mean()), low, high, p, why, len(values))


def _interval(values: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    if len(values) < 2:
        return None, None
    if not np.ptp(values):
        return float(values[0]), float(values[0])
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)
