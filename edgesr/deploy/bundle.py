"""What is shipped: `exports/<name>/` with the ONNX file, its contract and where it came from."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from edgesr import console, recipe_io
from edgesr.deploy.export import MIN_SIZE, export_onnx
from edgesr.errors import ExportError
from edgesr.models import zoo
from edgesr.models.zoo import SRModel, Student
from edgesr.recipe import Recipe
from edgesr.workspace import Workspace, sha256, write_json, write_text

FORMAT = 1


def export(run: Path, workspace: Workspace) -> list[Path]:
    """Export a run's model, and its teacher where that is an edgesr model, as bundles.

    Args:
        run: a finished run's folder.

    Returns:
        The folders `exports/<name>`, the run's own first. A teacher's bundle that already holds
        the same weights is left as it is; a foreign teacher is not exported, which is said.

    Raises:
        ExportError: the run is incomplete or the ONNX file falls short of its contract.
    """
    facts = _read_json(run / "run.json")
    recipe = recipe_io.load(run / "recipe.toml")
    role = "teacher" if facts["command"] == "train" else "student"
    model = zoo.load(run / "model.safetensors")
    teacher = zoo.load(Path(recipe.teacher.path)) if recipe.teacher else None
    extras = [run / "run.json", run / "log.jsonl"]
    bundles = [write_bundle(model, recipe, workspace, role=role, teacher=teacher, extras=extras)]
    if teacher is not None:
        bundles += _export_teacher(teacher, recipe, workspace)
    return bundles


def _export_teacher(teacher: SRModel, recipe: Recipe, workspace: Workspace) -> list[Path]:
    if teacher.spec is None:
        console.say(f"teacher {teacher.path} ({teacher.architecture}) is foreign: not exported")
        return []
    name = zoo.label(teacher.path)
    weights = workspace.bundle(name) / "weights.safetensors"
    if weights.is_file() and sha256(weights) == teacher.sha256:
        return [weights.parent]
    beside = teacher.path.parent / "recipe.toml"
    if beside.is_file():
        own = recipe_io.load(beside)
        extras = [teacher.path.parent / "run.json", teacher.path.parent / "log.jsonl"]
    else:
        own = Recipe(name=name, model=teacher.spec, verify=recipe.verify, export=recipe.export)
        extras = []
    return [write_bundle(teacher, own, workspace, role="teacher", teacher=None, extras=extras)]


def write_bundle(
    model: SRModel,
    recipe: Recipe,
    workspace: Workspace,
    *,
    role: str,
    teacher: SRModel | None,
    extras: list[Path],
) -> Path:
    """Write `exports/<recipe.name>/` whole; an earlier bundle of that name is replaced."""
    target = workspace.bundle(recipe.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".bundle-") as temporary:
        folder = Path(temporary) / recipe.name
        folder.mkdir()
        shutil.copyfile(model.path, folder / "weights.safetensors")
        write_text(folder / "recipe.toml", recipe_io.dumps(recipe))
        for extra in extras:
            if extra.is_file():
                shutil.copyfile(extra, folder / extra.name)
        write_json(folder / "card.json", _write_model(model, recipe, folder, role, teacher))
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return target


def _write_model(
    model: SRModel, recipe: Recipe, folder: Path, role: str, teacher: SRModel | None
) -> dict[str, Any]:
    """Write model.onnx; returns the card: everything that an app must know to call it."""
    module = model.module
    if not isinstance(module, Student) or model.spec is None:
        raise ExportError(f"{model.path} is {model.architecture}: edgesr exports its own models")
    revision = git_revision()
    metadata = {
        "edgesr.format": str(FORMAT),
        "edgesr.name": recipe.name,
        "edgesr.architecture": model.architecture,
        "edgesr.scale": str(module.scale),
        "edgesr.layout": "NCHW",
        "edgesr.colour": "RGB",
        "edgesr.range": "0..1",
        "edgesr.min_size": str(MIN_SIZE),
        "edgesr.halo": str(module.halo),
        "edgesr.licence": model.licence,
        "edgesr.git_revision": revision,
        "edgesr.checkpoint_sha256": model.sha256,
        "edgesr.recipe_sha256": sha256(folder / "recipe.toml"),
    }
    path = folder / "model.onnx"
    exported = export_onnx(module, path, recipe.export, metadata=metadata)
    picture = {"layout": "NCHW", "dtype": "float32", "colour": "RGB", "range": [0, 1]}
    files = ("model.onnx", "weights.safetensors", "recipe.toml")
    return {
        "format": FORMAT,
        "name": recipe.name,
        "architecture": model.architecture,
        "role": role,
        "spec": model.spec.model_dump(),
        "scale": module.scale,
        "input": {"name": "lr", **picture, "shape": ["batch", 3, "height", "width"]},
        "output": {
            "name": "sr",
            **picture,
            "clipped": recipe.export.rewrites.clip,
            "shape": ["batch", 3, "4*height", "4*width"],
        },
        "min_size": MIN_SIZE,
        "halo": module.halo,
        "opset": exported.opset,
        "ir_version": exported.ir_version,
        "simplified": exported.simplified,
        "licence": model.licence,
        "git_revision": revision,
        "sha256": {name: sha256(folder / name) for name in files},
        "teacher": teacher
        and {
            "name": zoo.label(teacher.path),
            "architecture": teacher.architecture,
            "spec": teacher.spec and teacher.spec.model_dump(),
        },
    }


def git_revision() -> str:
    """The commit that this copy of edgesr is at, "-dirty" where it was changed, else "unknown"."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ExportError(f"{path} cannot be read: {error}", "Is the run finished?") from None
    return data
