"""What is shipped: `exports/<name>/` with the ONNX files, their contract and how to test them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesr import console
from edgesr.bundle.card import read_card
from edgesr.bundle.records.run import Checkpoint, Run
from edgesr.deploy import foreign
from edgesr.deploy.bundle import write_bundle
from edgesr.deploy.earlier import check_lost
from edgesr.deploy.formats import check_formats, formats_in, of_formats
from edgesr.deploy.teacher import export_teacher, find_teacher
from edgesr.deploy.variants import all_names, completed, names_in
from edgesr.errors import ExportError
from edgesr.folders import locked
from edgesr.models import zoo
from edgesr.models.zoo import SRModel
from edgesr.recipe import Edge, Recipe, Spandrel
from edgesr.recipe import io as recipe_io
from edgesr.variant import file_of, parse
from edgesr.workspace import BEST, WEIGHTS, Workspace, weights_in

AFTER_TRAINING = ("export", "verify", "gates", "data.photos", "data.sources", "data.lr")
"""The photographs set ranges and judge; where they lie is another matter on each machine."""
NO_RUN = "Is the run finished? Train it again with this version."


@dataclass(frozen=True)
class Asked:
    """Which files a bundle is to have, see `export`."""

    variants: tuple[str, ...]
    formats: tuple[str, ...]
    force: bool = False
    keep_int8: bool = False


def export(
    run: Path,
    workspace: Workspace,
    variants: tuple[str, ...] | None = (),
    overrides: Sequence[str] = (),
    *,
    formats: tuple[str, ...] = (),
    checkpoint: Checkpoint = "last",
    force: bool = False,
    keep_int8: bool = False,
) -> list[Path]:
    """Export a run's model, and its teacher where that is an edgesr model, as bundles.

    Args:
        run: a finished run's folder, or a bundle's, which is then written anew.
        variants: which files to make of the run's model beside fp32's, by their names in
            `deploy.variants`; None makes those that the recipe's gates ask for, and those that
            the bundle which is replaced has. The teacher's bundle gets fp32 alone.
        overrides: KEY=VALUE for the tables of the run's recipe that training has not used.
        formats: for which runtimes that open no ONNX to make copies, by their names in
            `deploy.formats`. With variants of None also those that the bundle had.
        checkpoint: the weights after the last step, or of the best validation
            (`training.keep_best`).
        keep_int8: take the int8 graph of the bundle that is there: nothing is calibrated.
        force: replace an earlier bundle even where files of it, or another network, are lost.

    Returns:
        The folders `exports/<name>`, the run's own first. A teacher's bundle that is whole and
        holds the same weights is left as it is. Why a teacher is not exported is said.

    Raises:
        EdgesrError: the run's record is missing or damaged, another command works on the bundle,
            or the folder that is there is not edgesr's to replace.
        ExportError: an ONNX file falls short of its contract, or the earlier bundle would lose
            something.
    """
    check_formats(formats)
    record = Run.read(run / "run.json", NO_RUN)
    recipe = recipe_io.load(run / "recipe.toml", overrides=_checked(overrides))
    if checkpoint == "best":
        record, model = _best(run, record)
    else:
        model = zoo.load(weights_in(run) or run / WEIGHTS[0])
    teacher = find_teacher(recipe, record, workspace)
    made = variants
    if made is None:
        made, recipe = _unless_named(recipe, workspace)
        formats = tuple(dict.fromkeys([*formats, *formats_in(workspace.bundle(recipe.name))]))
    asked = Asked(made, formats, force, keep_int8)
    own = _export_own(run, model, recipe, record, teacher, workspace, asked)
    _warn_ungated(recipe, made)
    return [own, *(export_teacher(teacher, recipe, workspace) if teacher else [])]


def _best(run: Path, record: Run) -> tuple[Run, SRModel]:
    """What a bundle says of the run's best validation, and its network."""
    best = record.best
    if best is None or not (run / BEST).is_file():
        raise ExportError(
            f"{run} has no weights of its best validation",
            "Export the last ones, or train again with training.keep_best = psnr or lpips.",
        )
    console.say(f"{run}: step {best.step} of its last stage, the best by {best.metric.upper()}")
    update = {"checkpoint": "best", "sha256": best.sha256, "validation": best.validation}
    return record.model_copy(update=update), zoo.load(run / BEST)


def _unless_named(recipe: Recipe, workspace: Workspace) -> tuple[tuple[str, ...], Recipe]:
    """Those that the gates ask for and those that were there, and the recipe with those of one
    size among the latter."""
    earlier = names_in(workspace.bundle(recipe.name))
    variants = completed([*recipe.gates.variants, *earlier])
    asked = all_names(variants, recipe)
    fixed = [name for name in earlier if parse(name).window and name not in asked]
    update = {"fixed": [*recipe.export.fixed, *fixed]}
    exported = recipe.export.model_copy(update=update)
    return variants, recipe.model_copy(update={"export": exported})


def _warn_ungated(recipe: Recipe, variants: tuple[str, ...]) -> None:
    made = all_names(variants, recipe)
    missing = [file_of(name) for name in recipe.gates.variants if name not in made]
    if missing:
        console.warn(
            f"the gates of recipe '{recipe.name}' ask for {' and '.join(missing)}: without it "
            f"edgesr verify fails. All that they ask for: edgesr export {recipe.name}"
        )


def again(
    folder: Path,
    workspace: Workspace,
    overrides: Sequence[str] = (),
    *,
    variants: tuple[str, ...] = (),
    formats: tuple[str, ...] = (),
    keep_int8: bool = False,
) -> Path:
    """Write a bundle in `exports/` anew: the files that it has, from its own weights and recipe.

    Args:
        variants, formats: which files it is to have beside those; see `export`.
        keep_int8: its int8 graph stays as it is.

    Raises:
        EdgesrError: see `export`; or `folder` is not a bundle, or not named as its recipe is.
    """
    if not (folder / "card.json").exists():
        read_card(folder)  # says that it is not a bundle
    if not (folder / "run.json").exists() and read_card(folder).spec is None:
        return foreign.again(folder, workspace, overrides, variants, formats, keep_int8=keep_int8)
    record = Run.read(folder / "run.json", "Only a bundle with its run.json can be made again.")
    recipe = recipe_io.load(folder / "recipe.toml", overrides=_checked(overrides))
    if folder.resolve() != workspace.bundle(recipe.name).resolve():
        raise ExportError(
            f"{folder} holds a bundle named {recipe.name}",
            f"Move it to {workspace.bundle(recipe.name)} first.",
        )
    model = zoo.load(weights_in(folder) or folder / WEIGHTS[1])
    both = tuple(dict.fromkeys([*formats_in(folder), *formats]))
    asked = Asked(completed([*names_in(folder), *variants]), both, keep_int8=keep_int8)
    return _export_own(folder, model, recipe, record, None, workspace, asked)


def _export_own(
    run: Path,
    model: SRModel,
    recipe: Recipe,
    record: Run,
    teacher: SRModel | None,
    workspace: Workspace,
    asked: Asked,
) -> Path:
    check_formats(asked.formats, own=not isinstance(recipe.model, Spandrel))
    target, recipe = workspace.bundle(recipe.name), foreign.fitted(recipe, model)
    with locked(target, f"edgesr export {recipe.name}"):
        if not asked.force:
            own = run.resolve() in (target.resolve(), workspace.run(recipe.name).resolve())
            names = all_names(asked.variants, recipe)
            files = [*map(file_of, names), *of_formats(names, asked.formats)]
            check_lost(target, model, files, own=own)
        return write_bundle(
            model,
            recipe,
            workspace,
            role="student" if recipe.teacher or isinstance(recipe.model, Edge) else "teacher",
            # What it learned from is what was recorded: the file may be another one by now.
            teacher=record.teacher or (zoo.facts(teacher) if teacher else None),
            extras=[run / "log.jsonl"],
            run=record,
            variants=asked.variants,
            formats=asked.formats,
            keep_int8=asked.keep_int8,
        )


def _checked(overrides: Sequence[str]) -> list[str]:
    for override in overrides:
        key = override.partition("=")[0].strip()
        if not {key, key.partition(".")[0]} & set(AFTER_TRAINING):
            raise ExportError(
                f"--set {override}: the run was trained with its recipe, export can change "
                f"{', '.join(AFTER_TRAINING)} only",
                "Train again with the other value.",
            )
    return list(overrides)
