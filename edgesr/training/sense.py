"""Whether a teacher makes sense, told from a few pictures before anything is learned from it.

A network of another convention answers without a fault: channels as BGR, values of 0..255, a
picture that lies a pixel aside, weights that were never trained. Its student learns just that. The
teacher's picture of a reduced photograph, reduced again, should be that reduced photograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr import console
from edgesr.data.degrade import bicubic_down, bicubic_up, to_image, to_tensor
from edgesr.data.patches import PatchCache
from edgesr.errors import ModelError
from edgesr.metrics import mean_db, psnr
from edgesr.models.zoo import SRModel
from edgesr.training.validation import Example, example

PICTURES, SIDE = 6, 64
"""How many of the held-out photographs are looked at, and how many LR pixels a side of each."""

# Measured on photographs of three sources with 14 teachers, from CRAFT to those for real
# photographs, which score less than bicubic; with untrained networks; and with an SRResNet whose
# input or output was changed. In brackets: sensible teachers, then the nearest faulty one.
ORDER_DB = 3.0
"""Gain of another order of the channels over RGB (0.0; BGR 37)."""
CORRELATION = 0.85
"""Least correlation of the reduced picture with LR (.986; shifted by eight pixels .79, untrained
SRGAN .17)."""
SLOPE = (0.7, 1.4)
"""Contrast of the reduced picture against LR (.93 to 1.09; -1..1 has 2, halved .5)."""
SHIFT = 0.8
"""Largest shift down or right in HR pixels (.34; half a pixel is found as .66, one as 1.3)."""
CONTRAST = 0.02
"""Least standard deviation of LR that anything can be told from."""
NEAREST_DB = 0.6
"""How much nearer to nearest neighbour than to bicubic (-0.7; 42 untrained edge students 1.9)."""


@dataclass(frozen=True)
class Findings:
    """What was found of a teacher.

    Attributes:
        psnr_db, bicubic_psnr_db: mean on Y over the pictures, the teacher's and bicubic's.
        contrast: standard deviation of LR, in 0..1.
        correlation, slope, offset: of the teacher's reduced picture against LR.
        order: of the channels that fits LR best, and by how much better than RGB.
        shift: down and right, in HR pixels.
        nearest_db: nearness to nearest-neighbour enlargement less nearness to bicubic's.
    """

    psnr_db: float
    bicubic_psnr_db: float
    contrast: float
    correlation: float
    slope: float
    offset: float
    order: str
    order_db: float
    shift: tuple[float, float]
    nearest_db: float

    def fault(self) -> str:
        """What makes no sense, in words; empty where all does, or the pictures are too flat."""
        if self.contrast < CONTRAST:
            return ""
        if self.order_db > ORDER_DB:
            return f"its channels come as {self.order}, expected RGB"
        if not abs(self.correlation) >= CORRELATION:
            return (
                "its pictures, reduced, do not resemble what they are of (correlation "
                f"{self.correlation:.2f}, expected at least {CORRELATION})"
            )
        if not SLOPE[0] <= self.slope <= SLOPE[1]:
            return (
                f"its values are of another range: {self.slope:.3g} x + {self.offset:.3g} where "
                "x in 0..1 is expected"
            )
        if max(map(abs, self.shift)) > SHIFT:
            down, right = self.shift
            return f"its pictures lie {down:+.1f} pixels down and {right:+.1f} to the right"
        if self.nearest_db > NEAREST_DB:
            return "it adds nothing but noise to nearest-neighbour enlargement"
        return ""


def check_sense(teacher: SRModel, examples: Sequence[Example], device: torch.device) -> Findings:
    """Look at what `teacher`, which is on `device`, makes of the middles of a few photographs.

    Raises:
        ModelError: it makes no sense; says what was found.
    """
    every = -(-len(examples) // PICTURES)
    found = examine(teacher.module, examples[::every], device)
    if fault := found.fault():
        raise ModelError(
            f"the teacher {teacher.path} ({teacher.architecture}) makes no sense on photographs "
            f"that are held out: {fault}",
            f"Give a trained x{teacher.scale} model of RGB in 0..1, upright and in place, e.g. "
            "--teacher teacher.",
        )
    return found


def check_pictures(cache: PatchCache, targets: Tensor, folder: Path) -> Findings:
    """Look at the middles of a few ready pictures beside those of their photographs in `cache`.

    Args:
        targets: see `teacher_targets`.

    Raises:
        ModelError: they make no sense; says what was found.
    """
    starts = cache.scale**2 * cache.variants * cache.sizes.prod(1).cumsum(0)
    examples, srs = [], []
    for n in range(0, len(cache.files), -(-len(cache.files) // PICTURES)):
        height, width = (cache.scale * cache.sizes[n]).tolist()
        side = cache.scale * SIDE
        hr = _square(cache.data, int(cache.offsets[n, 0]), height, width, side)
        examples.append(example(hr.numpy(), cache.scale))
        sr = _square(targets, int(starts[n - 1]) if n else 0, height, width, side)
        srs.append(to_tensor(sr.numpy()))
    lrs = [each.lr for each in examples]
    found = compare(lrs, [to_tensor(each.hr) for each in examples], srs, cache.scale)
    if fault := found.fault():
        raise ModelError(
            f"the pictures in {folder} make no sense beside their photographs: {fault}",
            f"Give pictures of the same photographs, reduced and enlarged {cache.scale} times.",
        )
    return found


def _square(data: Tensor, start: int, height: int, width: int, side: int) -> Tensor:
    """The middle (side, side, 3), or what there is of it, of a picture that begins at `start`."""
    picture = data[start : start + height * width].view(height, width, 3)
    top, left = max(height - side, 0) // 2, max(width - side, 0) // 2
    return picture[top : top + side, left : left + side].contiguous()


def tell(teacher: str, found: Findings) -> None:
    """Print the score of `teacher` beside bicubic's, and what it means where it is below."""
    console.say(
        f"{teacher}: {found.psnr_db:.2f} dB on middles of photographs "
        f"(bicubic {found.bicubic_psnr_db:.2f})"
    )
    if found.contrast < CONTRAST:
        console.warn("these photographs are too flat to tell whether the teacher makes sense")
    if found.psnr_db < found.bicubic_psnr_db:
        console.warn(
            "the teacher is below bicubic on photographs that were reduced by bicubic, as those "
            "for the eye or for real photographs are; its student will follow it"
        )


@torch.no_grad()
def examine(module: nn.Module, examples: Sequence[Example], device: torch.device) -> Findings:
    """Compare the pictures that `module` makes with LR, with HR and with plain enlargements.

    Raises:
        ModelError: a picture is not finite.
    """
    lrs, hrs = zip(*(_middle(example) for example in examples), strict=True)
    srs = [module(lr.to(device)).float().cpu() for lr in lrs]
    if not all(torch.isfinite(sr).all() for sr in srs):
        raise ModelError("the teacher's picture is not finite", "Give another teacher.")
    return compare(lrs, hrs, srs, examples[0].scale)


def compare(
    lrs: Sequence[Tensor], hrs: Sequence[Tensor], srs: Sequence[Tensor], scale: int
) -> Findings:
    """See `examine`; all (1, 3, h, w), float32 in 0..1."""
    smooth = [bicubic_up(lr, scale) for lr in lrs]
    blocks = [F.interpolate(lr, scale_factor=float(scale)) for lr in lrs]
    reduced = [bicubic_down(sr, scale) for sr in srs]
    slope, offset, correlation = _line(_pixels(lrs).flatten(), _pixels(reduced).flatten())
    order, order_db = _order(_pixels(lrs), _pixels(reduced))
    return Findings(
        psnr_db=_mean_psnr(srs, hrs, scale),
        bicubic_psnr_db=_mean_psnr(smooth, hrs, scale),
        contrast=float(_pixels(lrs).std()),
        correlation=correlation,
        slope=slope,
        offset=offset,
        order=order,
        order_db=order_db,
        shift=_shift(lrs, reduced, scale),
        nearest_db=_nearness(_pixels(srs), _pixels(blocks))
        - _nearness(_pixels(srs), _pixels(smooth)),
    )


def _mean_psnr(srs: Sequence[Tensor], hrs: Sequence[Tensor], shave: int) -> float:
    return mean_db(psnr(to_image(sr), to_image(hr), shave) for sr, hr in zip(srs, hrs, strict=True))


def _middle(example: Example) -> tuple[Tensor, Tensor]:
    """LR (1, 3, h, w) of at most `SIDE` a side, and its HR; both in 0..1."""
    height, width = example.lr.shape[-2:]
    h, w = min(height, SIDE), min(width, SIDE)
    top, left = (height - h) // 2, (width - w) // 2
    lr = example.lr[..., top : top + h, left : left + w]
    r = example.scale
    hr = example.hr[r * top : r * (top + h), r * left : r * (left + w)]
    return lr, to_tensor(hr)


def _pixels(pictures: Sequence[Tensor]) -> Tensor:
    """Pictures (1, 3, h, w) as (pixels of all, 3), float64."""
    return torch.cat([picture[0].flatten(1).T for picture in pictures]).double()


def _line(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """Slope, offset and correlation of the line through y over x; NaN where either is constant."""
    dx, dy = x - x.mean(), y - y.mean()
    slope = float((dx * dy).sum() / dx.square().sum())
    correlation = float((dx * dy).sum() / (dx.norm() * dy.norm()))
    return slope, float(y.mean()) - slope * float(x.mean()), correlation


def _order(lr: Tensor, reduced: Tensor) -> tuple[str, float]:
    """The order in which the channels of `reduced` fit `lr` best, and its gain over RGB in dB."""
    fits = {p: _nearness(reduced[:, list(p)], lr) for p in permutations(range(3))}
    best = max(fits, key=lambda p: fits[p])
    return "".join("RGB"[best.index(place)] for place in range(3)), fits[best] - fits[0, 1, 2]


def _nearness(one: Tensor, other: Tensor) -> float:
    """PSNR in dB of float pictures, at most 120."""
    return -10 * float((one - other).square().mean().clamp(min=1e-12).log10())


def _shift(lrs: Sequence[Tensor], reduced: Sequence[Tensor], scale: int) -> tuple[float, float]:
    """How far `reduced` lies below and right of LR, in HR pixels: least squares over all pixels.

    A picture shifted by a small s is x - s x', after Lucas and Kanade, IJCAI 1981.
    """
    matrix, right = torch.zeros(2, 2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for lr, small in zip(lrs, reduced, strict=True):
        x, y = (picture[0].double().mean(0) for picture in (lr, small))
        down = (x[2:, 1:-1] - x[:-2, 1:-1]) / 2
        across = (x[1:-1, 2:] - x[1:-1, :-2]) / 2
        slopes = torch.stack([down.flatten(), across.flatten()])
        matrix += slopes @ slopes.T
        right += slopes @ (x - y)[1:-1, 1:-1].flatten()
    shift = scale * torch.linalg.pinv(matrix, hermitian=True) @ right
    return float(shift[0]), float(shift[1])
