"""A recipe as it is shipped: nothing of the machine that it ran on."""

from __future__ import annotations

from pathlib import Path

from edgesr.models.zoo import label
from edgesr.recipe import AnyRecipe, Recipe


def portable(recipe: AnyRecipe) -> AnyRecipe:
    """`recipe` as others get it: folders of this machine by their last name alone, the network that
    it began from by what that is called."""
    sets = [_by_name(each) for each in recipe.data.validation_sets]
    named = {"photos": _by_name(recipe.data.photos), "lr": _by_name(recipe.data.lr)}
    sources = [
        each.model_copy(update={"photos": _by_name(each.photos)}) for each in recipe.data.sources
    ]
    lists = {"validation_sets": sets, "sources": sources}
    data = recipe.data.model_copy(update=named | lists)
    weights = recipe.weights
    if _is_local(weights.folder):
        weights = weights.model_copy(update={"folder": ""})
    changed = recipe.model_copy(update={"data": data, "weights": weights})
    if not isinstance(changed, Recipe):
        return changed
    training, teacher = changed.training, changed.teacher
    if _is_local(training.init):
        training = training.model_copy(update={"init": label(Path(training.init))})
    if teacher is not None:
        places = {"path": _by_name(teacher.path), "pictures": _by_name(teacher.pictures)}
        teacher = teacher.model_copy(update=places)
    return changed.model_copy(update={"training": training, "teacher": teacher})


def _is_local(path: str) -> bool:
    return path.startswith("~") or Path(path).is_absolute()


def _by_name(path: str) -> str:
    return (Path(path).name or "photos") if _is_local(path) else path
