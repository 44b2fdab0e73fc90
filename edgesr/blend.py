"""A network between two of the same shape: their weights interpolated, written as a run.

edgesr blend n4-psnr n4 --alpha 0.5 && edgesr export n4-psnr-n4-0.5 --onnx
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import edgesr
from edgesr import console
from edgesr.bundle.records.run import Run
from edgesr.errors import EdgesrError, ModelError
from edgesr.folders import RUN, locked, replacing
from edgesr.machine import machine
from edgesr.models import zoo
from edgesr.models.edge import EdgeStudent
from edgesr.models.foreign import Foreign
from edgesr.models.zoo import SRModel, Student
from edgesr.recipe import Recipe, check_name
from edgesr.recipe import io as recipe_io
from edgesr.workspace import (
    WEIGHTS,
    Workspace,
    sha256,
    write_text,
)

COMMAND = "blend"


def blend(
    one: str, other: str, alpha: float, workspace: Workspace, name: str | None = None
) -> Path:
    """Write the run `runs/<name>` whose network is (1 - alpha) A + alpha B.

    Recipe and teacher are those of A. An earlier blend of that name is replaced. Two models that
    are not edgesr's are blended too, into a teacher: a run without a recipe, which is not exported.

    Args:
        one, other: A and B: a run or a bundle, by name or folder, or a model file.
        alpha: 0..1; 0 is A.
        name: "A-B-alpha" unless given.

    Raises:
        ModelError: a model is missing, or of another shape than the other.
        EdgesrError: alpha or name are not allowed, or a trained run has that name.
    """
    if not 0 <= alpha <= 1:
        raise EdgesrError(f"--alpha {alpha:g}: expected a number from 0 (A) to 1 (B)")
    first, second = (zoo.load(workspace.find_weights(named)) for named in (one, other))
    name = _named(name or f"{zoo.label(first.path)}-{zoo.label(second.path)}-{alpha:g}")
    folder = workspace.run(name)
    if isinstance(first.module, Foreign) and isinstance(second.module, Foreign):
        _write_foreign(folder, first, second, alpha)
        return folder
    module = interpolate(_own(first), _own(second), alpha)
    licence = " AND ".join(sorted({first.licence, second.licence}))
    update = {"name": name, "model": module.spec, "licence": licence}
    recipe = _recipe(first, name).model_copy(update=update)
    facts = _facts(name, first, second, alpha, taught=recipe.teacher is not None)
    with locked(folder, f"edgesr blend --name {name}"):
        _check_free(folder)
        with replacing(folder, RUN, inputs=(first.path, second.path)) as new:
            zoo.save(module, new / WEIGHTS[0], licence=licence)
            write_text(new / "recipe.toml", recipe_io.dumps(recipe))
            digest = sha256(new / WEIGHTS[0])
            Run.model_validate(facts | {"sha256": digest}).write(new / "run.json")
        workspace.mark_latest(name)
    _tell(folder, first, second, alpha)
    return folder


def _tell(folder: Path, first: SRModel, second: SRModel, alpha: float) -> None:
    console.say(f"{folder}: {1 - alpha:g} x {first.path} + {alpha:g} x {second.path}")
    if _normalises(first.module):
        console.say("running statistics of batch normalisation interpolated, not measured anew")


def _write_foreign(folder: Path, first: SRModel, second: SRModel, alpha: float) -> None:
    """Write weights and run.json of a blend of two models that are not edgesr's."""
    blended, theirs = (
        {key.removeprefix("model."): value for key, value in model.module.state_dict().items()}
        for model in (first, second)
    )
    shapes, others = ({k: v.shape for k, v in w.items()} for w in (blended, theirs))
    if first.architecture != second.architecture or shapes != others:
        raise ModelError(
            f"{first.path} ({first.architecture}) and {second.path} ({second.architecture}) differ "
            "in their layers: a blend needs two models of the same shape"
        )
    blended = _between(blended, theirs, alpha)
    with locked(folder, f"edgesr blend --name {folder.name}"):
        _check_free(folder)
        with replacing(folder, RUN, inputs=(first.path, second.path)) as new:
            save_file(blended, new / WEIGHTS[0])
            facts = _facts(folder.name, first, second, alpha, taught=False)
            digest = sha256(new / WEIGHTS[0])
            Run.model_validate(facts | {"sha256": digest}).write(new / "run.json")
    _tell(folder, first, second, alpha)


def _between(
    first: dict[str, Tensor], second: dict[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """(1 - alpha) A + alpha B of each tensor of floats, in float64; the others are A's."""
    return {
        key: ((1 - alpha) * value.double() + alpha * second[key].double()).to(value.dtype)
        if value.is_floating_point()
        else value
        for key, value in first.items()
    }


def _own(model: SRModel) -> Student:
    if not isinstance(model.module, Student):
        raise ModelError(
            f"{model.path} is {model.architecture}: edgesr blends it with another such model alone",
            "Name two models of the same shape.",
        )
    return model.module


def _named(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise EdgesrError(f"--name {name}: {error}", "Give another: --name NAME") from None


def _check_free(folder: Path) -> None:
    """Refuse a folder in which there is something else than an earlier blend."""
    found = _read(folder / "run.json")
    if folder.exists() and (found is None or found.command != COMMAND):
        raise EdgesrError(
            f"{folder} holds a run that is not a blend", "Give the blend another name: --name NAME"
        )


@torch.no_grad()
def interpolate(one: Student, other: Student, alpha: float) -> Student:
    """(1 - alpha) A + alpha B of two networks of the same spec, computed in float64.

    Every parameter is interpolated, as in ESRGAN (Wang et al., arXiv:1809.00219, section 3.4), and
    so are the running statistics of batch normalisation; its step counters are A's. That makes
    sense where B was trained from A on, or both from the same start.

    Branches are collapsed first, so that what is deployed is interpolated: the kernel that they
    add up to is not a linear function of their weights.

    Raises:
        ModelError: the specs differ in more than their branches.
    """
    first, second = (_collapsed(module) for module in (one, other))
    if first.spec != second.spec:
        raise ModelError(
            f"a blend needs two models of the same [model] table, not {one.spec!r} and "
            f"{other.spec!r}"
        )
    first.load_state_dict(_between(first.state_dict(), second.state_dict(), alpha))
    return first.eval()


def _collapsed(module: Student) -> Student:
    """A copy of `module`, without branches."""
    if isinstance(module, EdgeStudent):
        return module.collapsed()
    return copy.deepcopy(module)


def _recipe(model: SRModel, name: str) -> Recipe:
    """The recipe beside a run's or a bundle's weights, or one of defaults."""
    beside = model.path.parent / "recipe.toml"
    if model.path.name in WEIGHTS and beside.is_file():
        return recipe_io.load(beside)
    assert model.spec is not None
    return Recipe(name=name, model=model.spec)


def _facts(
    name: str, one: SRModel, other: SRModel, alpha: float, *, taught: bool
) -> dict[str, Any]:
    """run.json but for the sum of the weights; `teacher` is A's, where it was taught."""
    beside = _read(one.path.parent / "run.json")
    return {
        "name": name,
        "command": COMMAND,
        "architecture": one.architecture,
        "teacher": beside.teacher if beside and taught else None,
        "blend": {
            "alpha": alpha,
            "of": [{"name": zoo.label(m.path), "sha256": m.sha256} for m in (one, other)],
            "batch_norm": "running statistics interpolated" if _normalises(one.module) else None,
        },
        "steps": 0,
        "seconds": 0.0,
        "hardware": {"device": "cpu", **machine()},
        "validation": None,
        "versions": {"edgesr": edgesr.__version__, "torch": torch.__version__},
    }


def _normalises(module: nn.Module) -> bool:
    return any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


def _read(path: Path) -> Run | None:
    """A run.json; None where there is none."""
    if not path.is_file():
        return None
    return Run.read(path, "Train or blend it again, or remove its folder.")
