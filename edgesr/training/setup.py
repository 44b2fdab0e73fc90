"""What all stages of a run work with: networks, losses, photographs, found before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from edgesr import console
from edgesr.bundle.records.run import TaughtBy
from edgesr.data import pairs, photos, shards
from edgesr.data.patches import PatchCache
from edgesr.losses.perceptual import find_lpips
from edgesr.losses.total import GeneratorLoss
from edgesr.models.zoo import SRModel
from edgesr.places import check_writable
from edgesr.recipe import Recipe, stages
from edgesr.training.best import check_measured
from edgesr.training.initialise import Start, find_start
from edgesr.training.log import Log
from edgesr.training.loop import Run
from edgesr.training.preflight import check_layers, check_learned, check_streamed
from edgesr.training.processes import first_alone, told_to_all
from edgesr.training.teacher import facts, find_network, find_targets, try_out
from edgesr.training.teacher_pictures import find_pictures
from edgesr.training.validation import Validation, named_sets
from edgesr.workspace import Workspace


@dataclass
class Setup:
    """What the stages of one run work with.

    Attributes:
        sources: what is streamed; where there is any, `cache` holds a few photographs of it.
    """

    fabric: Fabric
    recipe: Recipe
    teacher: SRModel | None
    taught_by: TaughtBy | None
    start: Start
    losses: dict[str, GeneratorLoss]
    cache: PatchCache
    sources: list[shards.Source]
    targets: Tensor | None
    run: Run


def set_up(recipe: Recipe, workspace: Workspace, fabric: Fabric) -> Setup:
    """Everything that the stages share. What can be refused is refused before the photographs are
    decoded and the teacher makes its pictures."""
    folder = workspace.run(recipe.name)
    with told_to_all(fabric):
        teacher = find_network(recipe, workspace, fabric.device)
        start = find_start(recipe.model, recipe.training.init, teacher, workspace)
        check_layers(recipe)
        check_learned(recipe)
        log = Log(folder / "log.jsonl", tensorboard=recipe.training.tensorboard)
        if fabric.is_global_zero:
            check_writable(folder, "the run")
        losses = _losses(recipe, fabric.device)
        sources = shards.find(recipe.data)
        if sources:
            check_streamed(recipe)
        split = photos.split(recipe.data)
        lr = pairs.find(recipe.data, recipe.model.scale, split)
        taught_by = teacher or find_pictures(recipe, split.train)
        degradation = recipe.data.degradation
        validation = _validation(recipe, split.validation, fabric, lr)
        if teacher is not None:
            try_out(teacher, validation, leads=fabric.is_global_zero)
    with told_to_all(fabric), first_alone(fabric):
        cache = PatchCache.open(
            split.train,
            patch=recipe.training.patch,
            scale=recipe.model.scale,
            degradation=degradation,
            seed=recipe.seed,
            lr=lr,
        )
        targets = find_targets(recipe, cache, taught_by, losses, fabric)
    run = Run(recipe, folder, log, validation, leads=fabric.is_global_zero)
    if run.leads:
        count = sum(len(source.shards) for source in sources)
        train = f"streamed from {count} shards" if sources else f"{len(cache.files)} train"
        console.say(f"photographs: {train}, {len(validation.examples)} held out")
    taught = facts(taught_by)
    return Setup(fabric, recipe, teacher, taught, start, losses, cache, sources, targets, run)


def _validation(
    recipe: Recipe, files: list[Path], fabric: Fabric, lr: Mapping[Path, Path]
) -> Validation:
    """What the first process measures with; the others try their teacher on the photographs."""
    at, degradation = (recipe.model.scale, fabric.device), recipe.data.degradation
    if not fabric.is_global_zero:
        return Validation(files, *at, degradation, lr=lr)
    lpips = find_lpips(recipe.weights.folder)
    sets = named_sets(recipe.data.validation_sets, *at, degradation, lpips)
    validation = Validation(files, *at, degradation, lpips, sets, lr)
    check_measured(recipe, validation)
    return validation


def _losses(recipe: Recipe, device: torch.device) -> dict[str, GeneratorLoss]:
    """Those of every stage: missing weights should not show after hours of the first."""
    folder = recipe.weights.folder
    return {
        name: GeneratorLoss(losses, folder).to(device).to(memory_format=torch.channels_last)
        for name, _, losses in stages(recipe)
    }
