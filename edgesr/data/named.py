"""Degradations with a name, for measuring: `jpeg40`, `blur-jpeg60`, `noise10-jpeg70`.

Each name is a chain of steps joined by dashes, and each step has a number or its usual one. Nothing
about them is drawn but noise, so that two people measure on the same pictures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch.nn.functional import interpolate

from edgesr.data.degradation import eight_bits, through
from edgesr.errors import DataError, shortened
from edgesr.video.filmed import FRAMES, STEP, filmed

Pixels = NDArray[np.uint8]
ON_HR, REDUCTION, ON_LR = range(3)


@dataclass(frozen=True)
class Kind:
    """A kind of step.

    Attributes:
        place: before the reduction to LR, in its stead, or after it.
        words: what it does, `{n}` for its number.
        between: the least and the greatest number; None where it takes none.
        usual: its number where the name has none; None where one must be given.
        whole: whether the number must be whole.
    """

    place: int
    words: str
    between: tuple[float, float] | None = None
    usual: float | None = None
    whole: bool = False


FRAME = f"LR as the last of {FRAMES} frames that move by {STEP[1]}, {STEP[0]} pixels, 4:2:0, in"
KINDS = {
    "clean": Kind(REDUCTION, "MATLAB-style bicubic"),
    "area": Kind(REDUCTION, "reduced by the mean of each square (Pillow's BOX)"),
    "lanczos": Kind(REDUCTION, "reduced by Pillow's LANCZOS"),
    "cubic": Kind(REDUCTION, "reduced by bicubic without antialiasing, as OpenCV's INTER_CUBIC"),
    "nearest": Kind(REDUCTION, "every so manieth pixel (Pillow's NEAREST)"),
    "blur": Kind(ON_HR, "Pillow's GaussianBlur of radius {n} on HR", (0.1, 20), usual=2.5),
    "noise": Kind(ON_LR, "Gaussian noise of {n} levels on LR, each colour its own", (0.1, 100)),
    "jpeg": Kind(ON_LR, "LR as JPEG of quality {n}, 4:2:0, by Pillow", (1, 100), whole=True),
    "webp": Kind(ON_LR, "LR as WebP of quality {n} by Pillow", (1, 100), whole=True),
    "h264crf": Kind(ON_LR, f"{FRAME} H.264 (x264) at CRF {{n}}", (0, 51), whole=True),
    "av1crf": Kind(ON_LR, f"{FRAME} AV1 (SVT-AV1) at CRF {{n}}", (1, 63), whole=True),
}
KNOWN = "clean, area, lanczos, cubic, nearest, blurR, noiseS, jpegQ, webpQ, h264crfQ, av1crfQ"
FILTERS = {
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}


@dataclass(frozen=True)
class Step:
    """One step of a chain: its kind, and its number, 0 where it takes none."""

    kind: str
    number: float = 0.0

    def __str__(self) -> str:
        return KINDS[self.kind].words.format(n=f"{self.number:g}")


CLEAN = Step("clean")


@dataclass(frozen=True)
class Chain:
    """A named degradation: its steps in the order in which they are done."""

    name: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return ", then ".join(str(step) for step in self.steps)

    def lr(
        self,
        hr: Pixels,
        scale: int,
        bicubic: Callable[[Pixels, int], Pixels],
        seed: int | Sequence[int],
    ) -> Pixels:
        """LR (H / scale, W / scale, 3) of `hr` (H, W, 3), both RGB bytes.

        Args:
            hr: its sides are multiples of `scale`.
            bicubic: what reduces where no step does.
            seed: of the noise.
        """
        rng = np.random.default_rng(seed)
        for step in self._at(ON_HR):
            hr = blurred(hr, step.number)
        by = [step.kind for step in self._at(REDUCTION) if step != CLEAN]
        lr = reduced(hr, scale, by[0]) if by else bicubic(hr, scale)
        for step in self._at(ON_LR):
            lr = _on_lr(lr, step, rng)
        return lr

    def _at(self, place: int) -> list[Step]:
        return [step for step in self.steps if KINDS[step.kind].place == place]


def parse(name: str) -> Chain:
    """The degradation of a name, e.g. `noise10-jpeg70`.

    Raises:
        DataError: a step is unknown, its number is missing or out of range, or a step stands
            behind one that is done later.
    """
    steps = tuple(_step(part, name) for part in name.split("-"))
    places = [KINDS[step.kind].place for step in steps]
    if places != sorted(places) or places.count(REDUCTION) > 1:
        raise DataError(
            f"degradation {shortened(name)}: expected blur first, then at most one reduction, then "
            "noise and codecs",
            "Write the steps in the order in which they are done, e.g. blur2.5-area-jpeg60.",
        )
    return Chain(name, steps)


def parse_all(names: str) -> list[Chain]:
    """The degradations of `names`, joined by commas, each once.

    Raises:
        DataError: see `parse`.
    """
    return [parse(name) for name in dict.fromkeys(part.strip() for part in names.split(","))]


def seed_of(picture: str) -> int:
    """The seed for a picture, of its file's name without the suffix; the same on any machine."""
    return int.from_bytes(sha256(picture.encode("utf-8", "surrogateescape")).digest()[:8], "big")


def blurred(picture: Pixels, radius: float) -> Pixels:
    """By Pillow's GaussianBlur, whose radius is the standard deviation in pixels."""
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def reduced(hr: Pixels, scale: int, by: str) -> Pixels:
    """`hr` reduced `by` "area", "lanczos", "nearest" or "cubic"."""
    height, width = (side // scale for side in hr.shape[:2])
    if by in FILTERS:
        return np.asarray(Image.fromarray(hr).resize((width, height), FILTERS[by]))
    values = torch.from_numpy(hr.transpose(2, 0, 1).copy())[None].float()
    small = interpolate(values, (height, width), mode="bicubic", antialias=False)
    return eight_bits(small[0].permute(1, 2, 0).numpy())


def _on_lr(lr: Pixels, step: Step, rng: np.random.Generator) -> Pixels:
    if step.kind == "noise":
        return eight_bits(lr + rng.normal(0, step.number, lr.shape))
    if step.kind == "jpeg":
        return through("JPEG", lr, 0, 0, quality=int(step.number), subsampling=2)
    if step.kind == "webp":
        return through("WEBP", lr, 0, 0, quality=int(step.number))
    return filmed(lr, "h264" if step.kind == "h264crf" else "av1", int(step.number))


def _step(part: str, name: str) -> Step:
    found = re.fullmatch(r"((?:h264|av1)?[a-z]+)(\d+(?:\.\d+)?)?", part)
    kind = KINDS.get(found[1]) if found else None
    if found is None or kind is None:
        raise DataError(
            f"degradation {shortened(name)}: {shortened(part)} is not a step",
            f"Known are {KNOWN}, joined by dashes, e.g. jpeg40, blur-jpeg60 or noise10-jpeg70.",
        )
    number = float(found[2]) if found[2] else kind.usual
    if kind.between is None:
        if number is not None:
            raise DataError(f"degradation {shortened(name)}: {found[1]} takes no number")
        return Step(found[1])
    low, high = kind.between
    if number is None or not low <= number <= high or (kind.whole and number % 1):
        what = "a whole number" if kind.whole else "a number"
        raise DataError(
            f"degradation {shortened(name)}: {shortened(part)}: expected {what} from {low:g} to "
            f"{high:g} behind {found[1]}"
        )
    return Step(found[1], number)
