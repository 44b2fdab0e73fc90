"""How LR is made of HR: [data.degradation]."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from edgesr.bounds import Fraction, Weight
from edgesr.recipe.table import Table


def check_range(values: list[float]) -> list[float]:
    """`[lowest, highest]` in that order.

    Raises:
        ValueError: the first is above the second.
    """
    if values[0] > values[1]:
        raise ValueError("expected [lowest, highest]")
    return values


Pair = Field(min_length=2, max_length=2)
Sigmas = Annotated[list[Annotated[float, Field(ge=0.02, le=4)]], Pair, AfterValidator(check_range)]
Cutoffs = Annotated[list[Annotated[float, Field(ge=0.25, le=1)]], Pair, AfterValidator(check_range)]
Shapes = Annotated[list[Annotated[float, Field(ge=0.2, le=8)]], Pair, AfterValidator(check_range)]
Factors = Annotated[list[Annotated[float, Field(ge=0.25, le=4)]], Pair, AfterValidator(check_range)]
Levels = Annotated[list[Annotated[float, Field(ge=0, le=64)]], Pair, AfterValidator(check_range)]
Amounts = Annotated[list[Annotated[float, Field(ge=0, le=4)]], Pair, AfterValidator(check_range)]
Qualities = Annotated[list[Annotated[int, Field(ge=1, le=100)]], Pair, AfterValidator(check_range)]
H264 = Annotated[list[Annotated[int, Field(ge=0, le=51)]], Pair, AfterValidator(check_range)]
Av1 = Annotated[list[Annotated[int, Field(ge=1, le=63)]], Pair, AfterValidator(check_range)]
Filters = Annotated[
    list[Literal["bicubic", "bilinear", "area", "lanczos"]], Field(min_length=1, max_length=8)
]


class Bicubic(Table):
    """The reduction that super-resolution is measured on: MATLAB's bicubic, and nothing else."""

    kind: Literal["bicubic"] = "bicubic"
    """What makes LR."""


class Real(Table):
    """What happens to photographs on their way to a screen, drawn anew for each region: blur, a
    resize, sharpening, noise and a codec, at times all of it twice."""

    kind: Literal["real"] = "real"
    """What makes LR."""
    variants: Annotated[int, Field(ge=1, le=64)] = 4
    """LR pictures that are kept of each photograph, each with draws of its own."""
    region: Annotated[int, Field(ge=64, le=4096)] = 256
    """Side in HR pixels of the regions that a photograph is divided into, at least; each has a
    degradation of its own, and a patch lies inside one."""
    drawn: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    """Share of training patches from drawn pages, icons, line drawings and text."""
    clean: Fraction = 0.15
    """Probability that a region is reduced by bicubic and nothing else."""
    second: Fraction = 0.15
    """Probability that blur, resize, noise and codec happen a second time."""
    blur: Fraction = 0.5
    """Probability of blur, before the resize."""
    isotropic: Weight = 0.5
    """Weight of round Gaussians among the kinds of blur."""
    anisotropic: Weight = 0.2
    """Weight of long Gaussians, turned at random."""
    generalised: Weight = 0.15
    """Weight of generalised Gaussians, flatter or more pointed, turned at random."""
    sinc: Weight = 0.15
    """Weight of ideal low-pass filters, which ring."""
    sigma: Sigmas = [0.05, 0.75]
    """Standard deviation of a blur in LR pixels: 0.625 at x4 is 2.5 HR pixels."""
    shape: Shapes = [0.6, 3.0]
    """Exponent of generalised Gaussians over that of the Gaussian: 1 is the Gaussian."""
    cutoff: Cutoffs = [0.5, 1.0]
    """Cut-off of sinc filters over LR's Nyquist frequency."""
    filters: Filters = ["bicubic", "bilinear", "area", "lanczos"]
    """Filters of a resize, equally likely, all with antialiasing."""
    resize: Fraction = 0.25
    """Probability that a picture is first brought to another size than LR's."""
    factor: Factors = [0.6, 2.0]
    """That size over LR's."""
    sharpen: Fraction = 0.15
    """Probability of an unsharp mask, as phones apply it."""
    amount: Amounts = [0.2, 1.2]
    """Strength of the unsharp mask."""
    noise: Fraction = 0.35
    """Probability of noise."""
    noise_sigma: Levels = [1.0, 14.0]
    """Standard deviation of the noise, in levels of 255; of Poisson's at full brightness."""
    poisson: Fraction = 0.3
    """Share of Poisson's noise, which grows with brightness, in the rest Gaussian."""
    grey: Fraction = 0.3
    """Share of noise that is the same in all colours."""
    jpeg: Fraction = 0.65
    """Probability of JPEG."""
    jpeg_quality: Qualities = [35, 95]
    """Quality of JPEG, as libjpeg counts it."""
    subsampled: Fraction = 0.75
    """Share of JPEGs whose colours are stored at half the size (4:2:0), in the rest 4:4:4."""
    webp: Fraction = 0.1
    """Probability of WebP."""
    webp_quality: Qualities = [35, 95]
    """Quality of lossy WebP."""
    h264: Fraction = 0.0
    """Probability of being a frame of an H.264 video, the last of three that move; by PyAV
    (`edgesr[video]`), as AV1."""
    h264_crf: H264 = [18, 34]
    """Constant rate factor of H.264, higher is worse."""
    av1: Fraction = 0.0
    """Probability of being a frame of an AV1 video; of what is left, nothing is compressed."""
    av1_crf: Av1 = [25, 50]
    """Constant rate factor of AV1."""
    final_sinc: Fraction = 0.1
    """Probability of a sinc filter at LR, before or after the last codec."""

    @model_validator(mode="after")
    def adds_up(self) -> Self:
        codecs = self.jpeg + self.webp + self.h264 + self.av1
        if codecs > 1:
            raise ValueError(f"jpeg + webp + h264 + av1 = {codecs:g}, expected at most 1")
        if self.blur and not self.isotropic + self.anisotropic + self.generalised + self.sinc:
            raise ValueError("blur without a kind: every weight of its kinds is 0")
        return self


class Pairs(Table):
    """LR pictures of one's own, as a camera or a codec leaves them: those of `data.lr`."""

    kind: Literal["pairs"] = "pairs"
    """What makes LR."""


Degradation = Annotated[Bicubic | Real | Pairs, Field(discriminator="kind")]
