"""The teacher's pictures of whole photographs, made once instead of in every step."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from edgesr import console
from edgesr.data import bands, cached
from edgesr.data.patches import PatchCache
from edgesr.errors import ModelError
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import SRModel, Student
from edgesr.recipe import Recipe, Rewrites, stages, teacher_terms
from edgesr.workspace import cache_dir

MEGA = 10**6
JUDGED_AFTER = 5.0
"""Seconds of a teacher's work by which the rest is judged, a picture at least."""
MANY = 10
"""Times what the steps look at: from there on the teacher is asked in every step instead."""


def worth_making(cache: PatchCache, recipe: Recipe) -> bool:
    """Whether the steps of `recipe` look at enough of the photographs for the teacher to see each
    whole; says so where they look at fewer, and nothing where none learns from it."""
    training = recipe.training
    steps = sum(each.steps for _, each, losses in stages(recipe) if teacher_terms(losses))
    if not steps:
        return False
    used = steps * training.batch * training.patch**2 / MEGA
    made = cache.scale**2 * cache.variants * int(cache.sizes.prod(1).sum()) / MEGA
    if made <= MANY * used:
        return True
    console.warn(
        f"teacher.once: the teacher would make {made:,.0f} megapixels, the {steps:,} steps look at "
        f"{used:,.1f}; it is asked in every step instead"
    )
    return False


def teacher_targets(
    cache: PatchCache,
    teacher: SRModel,
    fabric: Fabric,
    precision: str,
    training_seconds: Callable[[], float] = lambda: math.inf,
) -> Tensor:
    """What `teacher` makes of every LR photograph in `cache`, clipped and rounded to 8 bits.

    It is kept under the user's cache folder, and made anew where the photographs, the teacher or
    the precision or the kind of device of `fabric` are others, or it is damaged. Where it was
    interrupted, the photographs that were done are not made again.

    Args:
        training_seconds: of the training that it serves. Where the teacher takes longer, judged by
            its first pictures, that is said.

    Returns:
        uint8 (pixels, 3) RGB, mapped from a file: photograph after photograph, of each the
            variants, row by row.

    Raises:
        ModelError: the teacher's picture of a photograph is not finite.
        DataError: the disk has no room for the pictures.
    """
    facts = f"{cache.key} {cache.sizes.tolist()} {teacher.sha256} {precision}"
    facts += f" {fabric.device.type}"  # a processor and a GPU round sums otherwise
    facts += f" {bands.WHOLE} {bands.SIDE} {bands.OVERLAP}"
    name = hashlib.sha256(facts.encode()).hexdigest()[:32]
    path = cache_dir() / "teacher-targets" / f"{name}.bin"
    size = 3 * cache.scale**2 * cache.variants * int(cache.sizes.prod(1).sum())
    if cached.read(path) is None:
        with cached.alone(path) as waited:
            if not waited or cached.read(path) is None:
                needed = size - cached.begun(path)
                cached.check_room(path.parent, needed, "the teacher's pictures")
                _teach(cache, teacher, fabric, path, training_seconds)
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).view(-1, 3)


def _teach(
    cache: PatchCache,
    teacher: SRModel,
    fabric: Fabric,
    path: Path,
    training_seconds: Callable[[], float],
) -> None:
    network = _network(cache, teacher, fabric.device)
    areas = [cache.scale**2 * area for area in cache.sizes.prod(1).tolist()]
    areas = [area for area in areas for _ in range(cache.variants)]
    total = sum(areas)
    with cached.continued(path, {"teacher": teacher.sha256}) as parts, fabric.autocast():
        made = before = sum(areas[: parts.done])
        if parts.done:
            console.say(f"teacher: {parts.done} of {len(areas)} pictures were done before")
        begun, judged = time.perf_counter(), False
        with console.bar("teacher", total // MEGA, made // MEGA, unit="megapixels") as bar:
            for n in range(parts.done, len(areas)):
                for band in _bands(cache, n, network, teacher, fabric.device):
                    parts.append(band.tobytes())
                    made += band.shape[0] * band.shape[1]
                    bar.advance(made // MEGA - bar.done)
                parts.finish()
                took = time.perf_counter() - begun
                if not judged and took >= JUDGED_AFTER:
                    judged = True
                    _warn_if_long(took * (total - before) / (made - before), training_seconds())


def _warn_if_long(teaching: float, training: float) -> None:
    """Say that the teacher takes longer than the training; both in seconds."""
    if teaching > training:
        console.warn(
            f"the teacher will take about {console.duration(teaching)}, the training that it "
            f"serves about {console.duration(training)}: fewer photographs or a quicker teacher "
            "take less. What it makes is kept, also after a stop"
        )


def _network(cache: PatchCache, teacher: SRModel, device: torch.device) -> nn.Module:
    """The teacher as it is quickest, on `device`; says how what does not tell its halo is cut."""
    module = teacher.module
    if bands.halo(module) is None and int(cache.sizes.prod(1).max()) > bands.WHOLE:
        large = cache.scale**2 * bands.WHOLE / MEGA
        console.warn(
            f"how far the teacher {teacher.architecture} sees is not known: photographs of more "
            f"than {large:.1f} megapixels are made in tiles that overlap by "
            f"{cache.scale * bands.OVERLAP} pixels"
        )
    if isinstance(module, Student):
        module = deployable(module, Rewrites())
    return module.to(device)


def _bands(
    cache: PatchCache, n: int, network: nn.Module, teacher: SRModel, device: torch.device
) -> Iterator[bands.Pixels]:
    """Picture `n` of all variants of all photographs, from top to bottom."""
    photo, variant = divmod(n, cache.variants)
    height, width = cache.sizes[photo].tolist()
    start = int(cache.offsets[photo, 1]) + variant * height * width
    lr = cache.data[start : start + height * width].view(height, width, 3).numpy()

    def finite(tile: Tensor) -> Tensor:
        sr: Tensor = network(tile)
        if not torch.isfinite(sr).all():
            raise ModelError(
                f"the picture that the teacher {teacher.path} makes of {cache.files[photo]} is not "
                "finite",
                "Give another teacher, or precision = fp32.",
            )
        return sr

    halo = bands.halo(teacher.module)
    return bands.in_bands(finite, lr, scale=cache.scale, halo=halo, device=device)
