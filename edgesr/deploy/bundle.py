"""What is shipped: `exports/<name>/` with the ONNX files, their contract and how to test them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesr import console, recipe_io
from edgesr.deploy import card
from edgesr.deploy.check import check
from edgesr.deploy.export import MIN_SIZE, export_onnx
from edgesr.deploy.golden import write_golden
from edgesr.deploy.readme import readme
from edgesr.deploy.sums import write_sums
from edgesr.deploy.variants import Variant, write_variant
from edgesr.errors import BundleError, ExportError
from edgesr.models import zoo
from edgesr.models.zoo import SRModel, Student
from edgesr.recipe import Recipe
from edgesr.workspace import (
    WEIGHTS,
    Workspace,
    read_json,
    sha256,
    weights_in,
    write_json,
    write_text,
)

AFTER_TRAINING = ("export", "verify", "gates")


def export(
    run: Path, workspace: Workspace, variants: tuple[str, ...] = (), overrides: Sequence[str] = ()
) -> list[Path]:
    """Export a run's model, and its teacher where that is an edgesr model, as bundles.

    Args:
        run: a finished run's folder, or a bundle's, which is then written anew.
        variants: which files to make of the run's model beside fp32's, by their names in
            `deploy.variants`; the teacher's bundle gets fp32 alone.
        overrides: KEY=VALUE for the tables of the run's recipe that training has not used.

    Returns:
        The folders `exports/<name>`, the run's own first. A teacher's bundle that is whole and
        holds the same weights is left as it is; a foreign teacher is not exported, which is said.

    Raises:
        EdgesrError: the run's record is missing or damaged.
        ExportError: an ONNX file falls short of its contract.
    """
    record = read_json(run / "run.json", "Is the run finished?")
    recipe = recipe_io.load(run / "recipe.toml", overrides=_checked(overrides))
    role = "student" if recipe.teacher else "teacher"
    model = zoo.load(weights_in(run) or run / WEIGHTS[0])
    teacher = _find_teacher(recipe)
    extras = [run / "run.json", run / "log.jsonl"]
    own = write_bundle(
        model,
        recipe,
        workspace,
        role=role,
        teacher=zoo.facts(teacher) if teacher else record.get("teacher"),
        extras=extras,
        variants=variants,
    )
    return [own, *(_export_teacher(teacher, recipe, workspace) if teacher else [])]


def _find_teacher(recipe: Recipe) -> SRModel | None:
    """The recipe's teacher where it has one and its file is there."""
    if recipe.teacher is None:
        return None
    path = Path(recipe.teacher.path)
    if not path.is_file():
        console.warn(f"teacher {path} is not there: it gets no bundle, and is named by run.json")
        return None
    return zoo.load(path)


def _checked(overrides: Sequence[str]) -> list[str]:
    for override in overrides:
        if override.partition(".")[0] not in AFTER_TRAINING:
            raise ExportError(
                f"--set {override}: the run was trained with its recipe, export can change "
                f"{', '.join(AFTER_TRAINING)} only",
                "Train again with the other value.",
            )
    return list(overrides)


def _export_teacher(teacher: SRModel, recipe: Recipe, workspace: Workspace) -> list[Path]:
    if teacher.spec is None:
        console.say(f"teacher {teacher.path} ({teacher.architecture}) is foreign: not exported")
        return []
    name = zoo.label(teacher.path)
    folder = workspace.bundle(name)
    if _holds(folder, teacher):
        return [folder]
    beside = teacher.path.parent / "recipe.toml"
    if beside.is_file():
        own = recipe_io.load(beside)
        extras = [teacher.path.parent / "run.json", teacher.path.parent / "log.jsonl"]
    else:
        own = Recipe(name=name, model=teacher.spec, verify=recipe.verify, export=recipe.export)
        extras = []
    return [write_bundle(teacher, own, workspace, role="teacher", teacher=None, extras=extras)]


def _holds(folder: Path, model: SRModel) -> bool:
    """Whether `folder` is a whole bundle of this model."""
    try:
        facts = card.read_card(folder)
    except BundleError:
        return False
    return bool(facts["sha256"]["weights.safetensors"] == model.sha256)


def write_bundle(
    model: SRModel,
    recipe: Recipe,
    workspace: Workspace,
    *,
    role: str,
    teacher: dict[str, Any] | None,
    extras: list[Path],
    variants: tuple[str, ...] = (),
) -> Path:
    """Write `exports/<recipe.name>/` whole; an earlier bundle of that name is replaced.

    Args:
        teacher: what run.json says of it, see `zoo.facts`.
        extras: files of the run to copy, where they are there.
        variants: which files to make beside fp32's, by their names in `deploy.variants`.

    Raises:
        ExportError: a file falls short of its contract, or of its own golden vectors.
    """
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
        facts = _write_models(model, recipe, folder, variants) | _origin(role, teacher)
        write_json(folder / "card.json", facts)
        write_text(folder / "README.md", readme(facts))
        write_golden(folder, facts["variants"])
        write_sums(folder)
        _check(folder)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return target


def _write_models(
    model: SRModel, recipe: Recipe, folder: Path, names: tuple[str, ...]
) -> dict[str, Any]:
    """Write model.onnx, then the variants; what the card says of them."""
    module = model.module
    if not isinstance(module, Student) or model.spec is None:
        raise ExportError(f"{model.path} is {model.architecture}: edgesr exports its own models")
    facts = {
        "format": card.FORMAT,
        "name": recipe.name,
        "architecture": model.architecture,
        "scale": module.scale,
        "min_size": MIN_SIZE,
        "halo": module.halo,
        "licence": model.licence,
        "git_revision": git_revision(),
    }
    metadata = {f"edgesr.{key}": str(value) for key, value in facts.items()}
    metadata |= {
        "edgesr.colour": "RGB",
        "edgesr.checkpoint_sha256": model.sha256,
        "edgesr.recipe_sha256": sha256(folder / "recipe.toml"),
    }
    fp32 = Variant("fp32", clipped=recipe.export.rewrites.clip)
    own = metadata | fp32.metadata()
    exported = export_onnx(module, folder / fp32.file, recipe.export, metadata=own)
    variants = [fp32, *(write_variant(name, module, folder, recipe, metadata) for name in names)]
    files = [*card.FILES, *(variant.file for variant in variants)]
    return {
        **facts,
        "opset": exported.opset,
        "ir_version": exported.ir_version,
        "simplified": exported.simplified,
        "spec": model.spec.model_dump(),
        "variants": {variant.name: variant.card(folder) for variant in variants},
        "sha256": {name: sha256(folder / name) for name in files},
    }


def _origin(role: str, teacher: dict[str, Any] | None) -> dict[str, Any]:
    """What the card says of where the network came from."""
    named = teacher and {
        "name": teacher["name"],
        "architecture": teacher["architecture"],
        "spec": teacher.get("spec"),
    }
    return {"role": role, "teacher": named}


def _check(folder: Path) -> None:
    """What a bundle's user would check, before the bundle is there to be used."""
    failed = [row for row in check(folder) if not row.passed]
    if failed:
        lines = "; ".join(" ".join(row.cells()) for row in failed)
        raise ExportError(f"{folder.name} falls short of its golden vectors: {lines}")


def git_revision() -> str:
    """The commit that this copy of edgesr is at, "-dirty" where it was changed, else "unknown"."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()
