"""A network that another project trained, as a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from safetensors.torch import save_file

from edgesr import console
from edgesr.bundle.records.card import ORIGINAL, WEIGHTS
from edgesr.deploy.bundle import stored_as, write_bundle
from edgesr.deploy.formats import check_formats, formats_in
from edgesr.deploy.variants import completed, names_in
from edgesr.errors import ExportError
from edgesr.folders import locked
from edgesr.inference.padding import rounded_up
from edgesr.models import zoo
from edgesr.models.adapt import Convention, adapt
from edgesr.models.foreign import Foreign
from edgesr.models.zoo import UNKNOWN, SRModel
from edgesr.recipe import AnyRecipe, ForeignRecipe, Recipe, Verify
from edgesr.recipe import io as recipe_io
from edgesr.workspace import Workspace, sha256


def export_file(
    path: Path,
    workspace: Workspace,
    variants: tuple[str, ...] = (),
    overrides: Sequence[str] = (),
    *,
    formats: tuple[str, ...] = (),
    name: str | None = None,
    licence: str | None = None,
    force: bool = False,
) -> Path:
    """Export a model file that spandrel opens as the bundle `exports/<name>`.

    Args:
        variants: which files to make beside fp32's. What the network does not fit is left out,
            and why is said.
        overrides: KEY=VALUE for the tables of `recipe.ForeignRecipe`.
        formats: for which other runtimes to make copies, by their names in `deploy.formats`.
        name: of the bundle; after the file unless given.
        licence: of the weights, where the file does not state one.
        force: replace an earlier bundle of that name that holds another network.

    Raises:
        ExportError: no licence is known, the network has no ONNX graph that computes the same, or
            one of `formats` does not take it, or the earlier bundle is of another network.
        ModelError: see `zoo.load`.
    """
    model = zoo.load(path)
    if model.spec is not None:
        raise ExportError(
            f"{path} is edgesr's own ({model.architecture}), which is exported with its recipe",
            "Name its run or its bundle: edgesr export NAME.",
        )
    check_formats(formats, own=False)
    stated = licence or model.licence
    if stated == UNKNOWN:
        raise ExportError(
            f"{path} does not state the licence of its weights, which whoever ships them must know",
            'Look where it was published, and say so: --licence "CC-BY-4.0".',
        )
    recipe = _recipe(model, name or zoo.label(path), stated, overrides)
    target = workspace.bundle(recipe.name)
    with locked(target, f"edgesr export {recipe.name}"), tempfile.TemporaryDirectory() as folder:
        kept = _as_safetensors(model, Path(folder) / WEIGHTS, stated)
        _refuse_another(target, kept, force=force)
        return _write(kept, recipe, workspace, variants, formats)


def export_onnx_file(
    path: Path,
    workspace: Workspace,
    convention: Convention,
    *,
    name: str | None = None,
    licence: str = UNKNOWN,
    gates: Path | None = None,
    force: bool = False,
) -> Path:
    """Make a bundle of an ONNX file of any project; how it is called is found out and said.

    Args:
        convention: what is known of how it is called.
        name, licence, force: see `export_file`.
        gates: a TOML file with a `[gates]` table, or with its keys.

    Raises:
        ModelError: see `adapt`.
        ExportError: the earlier bundle is of another network.
    """
    found = adapt(path, convention)
    console.say(f"{path}: {found.words()}")
    raw = recipe_io.read_tables(gates) if gates else {}
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder) / ORIGINAL
        onnx.helper.set_model_props(found.graph, found.metadata(licence))
        onnx.save_model(found.graph, original)
        model = zoo.load(original)
        recipe = _recipe(model, name or zoo.label(path), licence, (), raw.get("gates", raw))
        target = workspace.bundle(recipe.name)
        with locked(target, f"edgesr bundle make {recipe.name}"):
            _refuse_another(target, model, force=force)
            return _write(model, recipe, workspace)


def again(
    folder: Path,
    workspace: Workspace,
    overrides: Sequence[str] = (),
    variants: tuple[str, ...] = (),
    formats: tuple[str, ...] = (),
    *,
    keep_int8: bool = False,
) -> Path:
    """Write such a bundle anew: the files that it has, `variants` and `formats`, from its own
    weights and recipe."""
    formats = tuple(dict.fromkeys([*formats_in(folder), *formats]))
    check_formats(formats, own=False)
    recipe = recipe_io.load_any(folder / "recipe.toml", overrides)
    stored = WEIGHTS if (folder / WEIGHTS).exists() else ORIGINAL
    model = zoo.load(folder / stored)
    variants = completed([*names_in(folder), *variants])
    with locked(workspace.bundle(recipe.name), f"edgesr export {recipe.name}"):
        return _write(model, recipe, workspace, variants, formats, keep_int8=keep_int8)


def _write(
    model: SRModel,
    recipe: AnyRecipe,
    workspace: Workspace,
    variants: tuple[str, ...] = (),
    formats: tuple[str, ...] = (),
    *,
    keep_int8: bool = False,
) -> Path:
    """The bundle of a network that edgesr neither taught nor trained: there is no run to copy."""
    return write_bundle(
        model,
        recipe,
        workspace,
        role="teacher",
        teacher=None,
        extras=[],
        variants=variants,
        formats=formats,
        keep_int8=keep_int8,
    )


def _recipe(
    model: SRModel,
    name: str,
    licence: str,
    overrides: Sequence[str],
    gates: dict[str, object] | None = None,
) -> ForeignRecipe:
    """How such a bundle is made and measured; sizes fit the network."""
    plain = Verify()
    sizes = [_fit(size, model) for size in (plain.size, *plain.shapes)]
    raw: dict[str, object] = {
        "name": name,
        "licence": licence,
        "verify": {"size": sizes[0], "shapes": sizes[1:]},
        "gates": gates or {},
    }
    return recipe_io.foreign(raw, overrides, f"the bundle of {model.path}")


def fitted(recipe: Recipe, model: SRModel) -> Recipe:
    """`recipe`, measured at the next sizes that the network takes."""
    sizes = [_fit(size, model) for size in (recipe.verify.size, *recipe.verify.shapes)]
    verify = recipe.verify.model_copy(update={"size": sizes[0], "shapes": sizes[1:]})
    return recipe.model_copy(update={"verify": verify})


def _fit(size: str, model: SRModel) -> str:
    sides = (rounded_up(int(side), model.multiple, model.min_size) for side in size.split("x"))
    return "x".join(map(str, sides))


def _as_safetensors(model: SRModel, path: Path, licence: str) -> SRModel:
    """The network in a file that states its licence, opened again from there."""
    assert isinstance(model.module, Foreign)
    weights = model.module.model.state_dict()
    copies = {key: value.detach().clone().contiguous() for key, value in weights.items()}
    save_file(copies, path, {"licence": licence})
    return zoo.load(path)


def _refuse_another(target: Path, model: SRModel, *, force: bool) -> None:
    kept = target / stored_as(model)
    if not force and target.exists() and not (kept.is_file() and sha256(kept) == model.sha256):
        raise ExportError(
            f"{target} holds another network than is exported",
            "Give another name: --name NAME. Or replace it: --force.",
        )
