"""What teaches a run: a network, asked in every step or once, or a folder of ready pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import Tensor

from edgesr.bundle.records.run import TaughtBy
from edgesr.data.patches import PatchCache
from edgesr.losses.total import GeneratorLoss
from edgesr.models import zoo
from edgesr.models.zoo import SRModel
from edgesr.recipe import Recipe
from edgesr.training.duration import training_seconds
from edgesr.training.preflight import check_teacher
from edgesr.training.sense import PICTURES, check_pictures, check_sense, tell
from edgesr.training.teacher_pictures import Pictures, picture_targets
from edgesr.training.teacher_targets import teacher_targets, worth_making
from edgesr.training.validation import Validation, example
from edgesr.workspace import Workspace


def find_network(recipe: Recipe, workspace: Workspace, device: torch.device) -> SRModel | None:
    """The network that teaches `recipe`'s student, on `device`.

    Raises:
        EdgesrError: there is nothing of the name, it cannot be opened, or it does not fit.
    """
    if recipe.teacher is None or recipe.teacher.pictures:
        return None
    teacher = zoo.load(workspace.find_weights(recipe.teacher.path))
    teacher.module.requires_grad_(False).to(device)
    check_teacher(recipe, teacher)
    return teacher


def try_out(teacher: SRModel, validation: Validation, *, leads: bool) -> None:
    """Have `teacher` enlarge a few photographs that are held out, and tell its score.

    Raises:
        ModelError: it makes no sense.
    """
    clean = [example(each.hr, each.scale) for each in validation.examples[:PICTURES]]
    findings = check_sense(teacher, clean, validation.device)
    if leads:
        tell(f"teacher {teacher.path}", findings)


def find_targets(
    recipe: Recipe,
    cache: PatchCache,
    taught_by: SRModel | Pictures | None,
    losses: Mapping[str, GeneratorLoss],
    fabric: Fabric,
) -> Tensor | None:
    """What is learned of the photographs in `cache`, see `teacher_targets`; None where the teacher
    is asked in every step.

    Raises:
        EdgesrError: a picture is not of use.
    """
    if isinstance(taught_by, Pictures):
        targets = picture_targets(cache, taught_by)
        findings = check_pictures(cache, targets, taught_by.folder)
        if fabric.is_global_zero:
            tell(f"pictures in {taught_by.folder}", findings)
        return targets
    once = recipe.teacher is not None and recipe.teacher.once
    if taught_by is None or not once or not worth_making(cache, recipe):
        return None
    serves = partial(training_seconds, recipe, losses, fabric)
    return teacher_targets(cache, taught_by, fabric, recipe.training.precision, serves)


def facts(taught_by: SRModel | Pictures | None) -> TaughtBy | None:
    """What run.json says of what taught."""
    if isinstance(taught_by, Pictures):
        return taught_by.facts()
    return zoo.facts(taught_by) if taught_by else None
