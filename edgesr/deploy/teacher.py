"""The teacher of a run, exported beside its student."""

from __future__ import annotations

from pathlib import Path

from edgesr import console
from edgesr.bundle.records.run import Run
from edgesr.deploy.bundle import write_bundle
from edgesr.deploy.earlier import check_lost, same_weights, whole
from edgesr.deploy.variants import all_names
from edgesr.errors import ModelError
from edgesr.folders import locked
from edgesr.models import zoo
from edgesr.models.zoo import SRModel
from edgesr.recipe import Gates, Recipe
from edgesr.recipe import io as recipe_io
from edgesr.variant import file_of
from edgesr.workspace import WEIGHTS, Workspace, sha256


def find_teacher(recipe: Recipe, record: Run, workspace: Workspace) -> SRModel | None:
    """The network that taught, where it was one and its file is there."""
    if recipe.teacher is None or recipe.teacher.pictures:
        return None
    try:
        path = workspace.find_weights(recipe.teacher.path)
    except ModelError:
        console.warn(
            f"teacher {recipe.teacher.path} is not there: it gets no bundle, and is named by "
            "run.json"
        )
        return None
    if record.teacher and record.teacher.sha256 != sha256(path):
        console.say(f"teacher {path} is not the file that taught any more: not exported")
        return None
    return zoo.load(path)


def export_teacher(teacher: SRModel, recipe: Recipe, workspace: Workspace) -> list[Path]:
    """The teacher's bundle, where there is none yet or it is one of the same weights."""
    if teacher.spec is None:
        console.say(
            f"teacher {teacher.path} ({teacher.architecture}) is foreign: not exported here "
            "(apart: edgesr export FILE or edgesr bundle make FILE.onnx, --licence TEXT)"
        )
        return []
    beside = teacher.path.parent / "recipe.toml"
    if beside.is_file() and teacher.path.name in WEIGHTS:
        own = recipe_io.load(beside)
        extras = [teacher.path.parent / "run.json", teacher.path.parent / "log.jsonl"]
    else:
        name = zoo.label(teacher.path)
        own = Recipe(
            name=name,
            model=teacher.spec,
            verify=recipe.verify,
            export=recipe.export.model_copy(update={"fixed": []}),
            gates=Gates(),  # a teacher for real photographs may be below bicubic
        )
        extras = []
    folder = workspace.bundle(own.name)
    if own.name == recipe.name or (folder.exists() and not same_weights(folder, teacher)):
        console.say(f"teacher {teacher.path}: not exported, {folder} holds another network")
        return []
    if whole(folder):
        return [folder]
    with locked(folder, f"edgesr export {recipe.name}"):
        files = [file_of(name) for name in all_names((), own)]
        check_lost(folder, teacher, files, own=True)
        return [write_bundle(teacher, own, workspace, role="teacher", teacher=None, extras=extras)]
