"""The teacher's pictures of whole photographs, made once instead of in every step."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from edgesr import console
from edgesr.data import cached
from edgesr.data.degrade import to_image
from edgesr.data.patches import PatchCache
from edgesr.errors import ModelError
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import SRModel, Student
from edgesr.recipe import Rewrites
from edgesr.workspace import cache_dir


def teacher_targets(cache: PatchCache, teacher: SRModel, fabric: Fabric, precision: str) -> Tensor:
    """What `teacher` makes of every LR photograph in `cache`, clipped and rounded to 8 bits.

    It is kept under the user's cache folder, and made anew where the photographs, the teacher or
    the precision or the kind of device of `fabric` are others, or it is damaged.

    Returns:
        uint8 (pixels, 3) RGB, mapped from a file: photograph after photograph, of each the
            variants, row by row.

    Raises:
        ModelError: the teacher's picture of a photograph is not finite.
        DataError: the disk has no room for the pictures.
    """
    facts = f"{cache.key} {cache.sizes.tolist()} {teacher.sha256} {precision}"
    facts += f" {fabric.device.type}"  # a processor and a GPU round sums otherwise
    name = hashlib.sha256(facts.encode()).hexdigest()[:32]
    path = cache_dir() / "teacher-targets" / f"{name}.bin"
    size = 3 * cache.scale**2 * cache.variants * int(cache.sizes.prod(1).sum())
    if cached.read(path) is None:
        cached.check_room(path.parent, size, "the teacher's pictures")
        _teach(cache, teacher, fabric, path)
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).view(-1, 3)


@torch.no_grad()
def _teach(cache: PatchCache, teacher: SRModel, fabric: Fabric, path: Path) -> None:
    module = teacher.module
    if isinstance(module, Student):
        module = deployable(module, Rewrites())
    module.to(fabric.device)
    files = [file for file in cache.files for _ in range(cache.variants)]
    lrs = console.track(cache.lr_photographs(), "teacher", len(files))
    with cached.writing(path, {"teacher": teacher.sha256}) as append, fabric.autocast():
        for lr, file in zip(lrs, files, strict=True):
            sr = module(lr.to(fabric.device)).float()
            if not torch.isfinite(sr).all():
                raise ModelError(
                    f"the picture that the teacher {teacher.path} makes of {file} is not finite",
                    "Give another teacher, or precision = fp32.",
                )
            append(to_image(sr).tobytes())
