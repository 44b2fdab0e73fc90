"""What of a training can be refused before photographs are decoded and the teacher runs."""

from __future__ import annotations

import torch
from torch import nn

from edgesr import console
from edgesr.errors import TrainingError
from edgesr.models import zoo
from edgesr.models.zoo import SRModel, Student
from edgesr.recipe import Recipe, stages, teacher_terms
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


def check_layers(recipe: Recipe) -> None:
    """Look for the layers that each stage freezes and trains in a network without storage.

    Raises:
        TrainingError: a layer is not there, none is left to train, or none that Muon trains.
    """
    for _, optimisation, _ in stages(recipe):
        with torch.device("meta"):
            student = zoo.build(recipe.model)
        for layer in frozen_layers(student, optimisation.freeze):
            layer.requires_grad_(False)
        if optimisation.optimiser == "muon":
            hidden(parameter for parameter in student.parameters() if parameter.requires_grad)


def frozen_layers(student: Student, names: list[str]) -> list[nn.Module]:
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
