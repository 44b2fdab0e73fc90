"""How long a training will take, told from a few steps on noise."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from edgesr.losses.adversarial import discriminator_loss
from edgesr.losses.total import GeneratorLoss, Outputs
from edgesr.models import zoo
from edgesr.models.srgan import Discriminator
from edgesr.models.unet import UNetDiscriminator
from edgesr.models.zoo import Trainable
from edgesr.recipe import Gan, Optimisation, Recipe, stages
from edgesr.training import neighbours

STEPS = 2
"""That are timed, after one that warms up."""


def training_seconds(recipe: Recipe, losses: Mapping[str, GeneratorLoss], fabric: Fabric) -> float:
    """About how long the steps of all stages will take, the teacher's work, validation and what
    optimisers do left out.

    Args:
        losses: of every stage, on the device of `fabric`.
    """
    return sum(
        optimisation.steps * _step_seconds(recipe, optimisation, losses[name], fabric)
        for name, optimisation, _ in stages(recipe)
    )


def _step_seconds(
    recipe: Recipe, optimisation: Optimisation, loss: GeneratorLoss, fabric: Fabric
) -> float:
    training, scale = recipe.training, recipe.model.scale
    student, judge = zoo.build(recipe.model).to(fabric.device), _judge(loss, optimisation)
    if judge is not None:
        judge = judge.to(fabric.device)
    batch, side = training.batch // training.devices, training.patch // scale
    lr = torch.rand(batch, 3, side, side, device=fabric.device)
    hr = torch.rand(batch, 3, training.patch, training.patch, device=fabric.device)
    for step in range(1 + STEPS):
        if step == 1:
            begun = _now(fabric.device)
        _step(student, judge, loss, lr, hr, fabric)
    return (_now(fabric.device) - begun) / STEPS


def _judge(loss: GeneratorLoss, optimisation: Optimisation) -> nn.Module | None:
    if not loss.losses.adversarial or not isinstance(optimisation, Gan):
        return None
    return Discriminator() if optimisation.discriminator == "srgan" else UNetDiscriminator()


def _step(
    student: Trainable,
    judge: nn.Module | None,
    loss: GeneratorLoss,
    lr: Tensor,
    hr: Tensor,
    fabric: Fabric,
) -> None:
    """What of `training.steps.Step` takes time."""
    with fabric.autocast():
        sr, features = student.with_features(lr)
        scale = hr.shape[-1] // lr.shape[-1]
        frames = neighbours.enlarged(student, hr, scale) if loss.losses.temporal else None
        out = Outputs(sr.float(), hr, scale, features.float(), hr, frames=frames)
        loss.total(loss.terms(out, judge)).backward()  # type: ignore[no-untyped-call]
        if judge is not None:
            d_loss = discriminator_loss(judge(hr), judge(out.sr.detach()))
            d_loss.backward()  # type: ignore[no-untyped-call]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
