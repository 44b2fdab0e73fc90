"""The teacher's pictures of whole photographs, made once instead of in every step."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from edgesr import console
from edgesr.data.degrade import to_image
from edgesr.data.patches import SCALE, PatchCache
from edgesr.deploy.rewrite import deployable
from edgesr.models.zoo import SRModel, Student
from edgesr.recipe import Rewrites
from edgesr.workspace import atomic, cache_dir


def taught(cache: PatchCache, teacher: SRModel, fabric: Fabric, precision: str) -> Tensor:
    """What `teacher` makes of every LR photograph in `cache`, clipped and rounded to 8 bits.

    It is kept under the user's cache folder, and made anew where the photographs, the teacher or
    the precision of `fabric` are others.

    Returns:
        uint8 (pixels, 3) RGB, mapped from a file: photograph after photograph, row by row.
    """
    facts = f"{cache.key} {cache.sizes.tolist()} {teacher.sha256} {precision}"
    path = cache_dir() / "taught" / f"{hashlib.sha256(facts.encode()).hexdigest()[:32]}.bin"
    if not path.is_file():
        _teach(cache, teacher, fabric, path)
    size = 3 * SCALE**2 * int(cache.sizes.prod(1).sum())
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8).view(-1, 3)


@torch.no_grad()
def _teach(cache: PatchCache, teacher: SRModel, fabric: Fabric, path: Path) -> None:
    module = teacher.module
    if isinstance(module, Student):
        module = deployable(module, Rewrites())
    module.to(fabric.device)
    with atomic(path) as temporary, temporary.open("wb") as file, fabric.autocast():
        for lr in console.track(cache.lr_photographs(), "teacher", len(cache.files)):
            file.write(to_image(module(lr.to(fabric.device)).float()).tobytes())
