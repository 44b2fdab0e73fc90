"""What of a training can be refused before photographs are decoded and the teacher runs."""

from __future__ import annotations

import copy

import torch
from torch import nn

from edgesr import console
from edgesr.errors import TrainingError
from edgesr.inference.padding import rounded_up
from edgesr.models import zoo
from edgesr.models.foreign import ForeignStudent
from edgesr.models.zoo import SRModel, Trainable
from edgesr.recipe import Recipe, Spandrel, stages, teacher_terms
from edgesr.training.muon import hidden


def check_teacher(recipe: Recipe, teacher: SRModel) -> None:
    """Look whether `teacher` fits.

    Raises:
        TrainingError: it is of another scale than the student, or a stage asks for features that
            edgesr does not know.
    """
    if teacher.scale != recipe.model.scale:
        raise TrainingError(
            f"the teacher {teacher.path} enlarges {teacher.scale} times, the student of recipe "
            f"'{recipe.name}' {recipe.model.scale} times",
            "Give a teacher of the student's scale, or set model.scale to the teacher's.",
        )
    for name, _, losses in stages(recipe):
        if losses.feature_affinity and teacher.spec is None:
            raise TrainingError(
                f"the {name} stage asks for feature_affinity, but the teacher {teacher.path} is "
                f"{teacher.architecture}, whose features edgesr does not know",
                "Use teacher_l1 or frequency, or an edgesr teacher.",
            )


def check_learned(recipe: Recipe) -> None:
    """Warn of a teacher that nothing learns from."""
    learns = any(teacher_terms(losses) for _, _, losses in stages(recipe))
    if recipe.teacher is not None and recipe.training.init != "teacher" and not learns:
        console.warn(f"recipe '{recipe.name}' loads a teacher that nothing learns from")


def check_streamed(recipe: Recipe) -> None:
    """Look whether all that `recipe` asks for can be had of photographs that are streamed.

    Raises:
        TrainingError: something is to be kept of every photograph, or is matched to it by name.
    """
    needs = {
        "teacher.once = true": recipe.teacher is not None and recipe.teacher.once,
        "teacher.pictures": recipe.teacher is not None and recipe.teacher.pictures,
        'data.degradation.kind = "pairs"': recipe.data.degradation.kind == "pairs",
    }
    if asked := [key for key, wanted in needs.items() if wanted]:
        raise TrainingError(
            f"{asked[0]} needs photographs in a folder, recipe '{recipe.name}' streams them",
            "Ask the teacher in every step, --set teacher.once=false, or name a folder: --data.",
        )


def check_layers(recipe: Recipe) -> None:
    """Look whether a network of the recipe's table can be built and takes its patches, and for the
    layers that each stage freezes and trains.

    Raises:
        ModelError: spandrel's registry does not build it.
        TrainingError: it does not take the patches, a layer is not there, none is left to train,
            or none that Muon trains.
    """
    for _, optimisation, _ in stages(recipe):
        student = _without_storage(recipe)
        for layer in frozen_layers(student, optimisation.freeze):
            layer.requires_grad_(False)
        if optimisation.optimiser == "muon":
            hidden(parameter for parameter in student.parameters() if parameter.requires_grad)


def _without_storage(recipe: Recipe) -> Trainable:
    if not isinstance(recipe.model, Spandrel):
        with torch.device("meta"):
            return zoo.build(recipe.model)
    student = ForeignStudent(recipe.model)  # which is built to be tried
    side = recipe.training.patch // recipe.model.scale
    if side != rounded_up(side, student.multiple, student.min_size):
        times = recipe.model.scale
        raise TrainingError(
            f"training.patch = {recipe.training.patch} is {side} LR pixels, {recipe.model.name} "
            f"takes at least {student.min_size} and multiples of {student.multiple}",
            f"Use training.patch = {times * rounded_up(side, student.multiple, student.min_size)}.",
        )
    return student


def idle_layers(student: Trainable) -> list[nn.Module]:
    """Layers of another project's network that training does not reach, as what SPAN keeps for
    inference: several processes wait for a gradient of every parameter that trains."""
    if not isinstance(student, ForeignStudent):
        return []
    tried = copy.deepcopy(student).train().requires_grad_(True)
    side = rounded_up(24, student.multiple, student.min_size)
    device = next(tried.parameters()).device
    tried(torch.rand(2, 3, side, side, device=device)).sum().backward()
    own = dict(student.named_modules())
    return [own[name] for name, layer in tried.named_modules() if _is_idle(layer)]


def _is_idle(layer: nn.Module) -> bool:
    parameters = list(layer.parameters(recurse=False))
    return bool(parameters) and all(each.grad is None for each in parameters)


def frozen_layers(student: Trainable, names: list[str]) -> list[nn.Module]:
    """The layers of `student` that a recipe's `freeze` names.

    Raises:
        TrainingError: there is no such layer, or these are all of them.
    """
    own = dict(student.named_modules())
    if strange := [name for name in names if not name or name not in own]:
        parts = ", ".join(name for name, _ in student.named_children())
        raise TrainingError(
            f"freeze: the student has no layer {', '.join(strange)}",
            f"It is made of {parts}, and of layers inside these, as body.0.",
        )
    layers = [own[name] for name in names]
    kept = {id(parameter) for layer in layers for parameter in layer.parameters()}
    if all(id(parameter) in kept for parameter in student.parameters()):
        raise TrainingError("freeze leaves nothing to train", "Name fewer layers.")
    return layers
