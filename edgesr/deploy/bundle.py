"""A network -> the folder `exports/<name>/`, every file of it proved before it is there."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from pydantic import ValidationError

from edgesr import console, shipped
from edgesr.bundle.check import check
from edgesr.bundle.checksums import write_checksums
from edgesr.bundle.readme import readme
from edgesr.bundle.records.card import FORMAT, ORIGINAL, WEIGHTS, Card, Origin, Role
from edgesr.bundle.records.run import Run, TaughtBy
from edgesr.bundle.records.schemas import schema
from edgesr.deploy.export import Exported, export_onnx, finish, save
from edgesr.deploy.fixed import check_window
from edgesr.deploy.foreign_graph import foreign_graph, name_ends, shapes
from edgesr.deploy.golden import write_golden
from edgesr.deploy.kept import kept_int8
from edgesr.deploy.others import write_others
from edgesr.deploy.portable import portable
from edgesr.deploy.rewrites.apply import rewritten
from edgesr.deploy.sight import sight
from edgesr.deploy.variants import (
    Graph,
    Maker,
    Variant,
    batch_of,
    clips,
    copies,
    free_names,
    write_fixed,
    write_variant,
)
from edgesr.errors import EdgesrError, ExportError, cut
from edgesr.folders import BUNDLE, replacing
from edgesr.models.zoo import Network, OnnxNetwork, SRModel, Student, colours_of
from edgesr.recipe import AnyRecipe, Recipe
from edgesr.recipe import io as recipe_io
from edgesr.revision import git_revision
from edgesr.variant import file_of, parse
from edgesr.workspace import Workspace, sha256, write_json, write_text


def write_bundle(
    model: SRModel,
    recipe: AnyRecipe,
    workspace: Workspace,
    *,
    role: Role,
    teacher: TaughtBy | None,
    extras: list[Path],
    run: Run | None = None,
    variants: tuple[str, ...] = (),
    formats: tuple[str, ...] = (),
    keep_int8: bool = False,
) -> Path:
    """Write `exports/<recipe.name>/` whole; an earlier bundle of that name is replaced.

    The caller has `locked` the folder.

    Args:
        model: its file is safetensors, or ONNX.
        teacher: what run.json says of it, see `zoo.facts`.
        extras: files of the run to copy, where they are there.
        run: what run.json says; as it is among `extras` unless given.
        variants: which files to make beside fp32's, by their names in `deploy.variants`; and the
            copies that `export.fixed` asks for, with what they are copies of.
        keep_int8: take the int8 graph over from the earlier bundle, see `deploy.kept`.
        formats: for which other runtimes to make copies, by their names in `deploy.formats`.

    Raises:
        ExportError: a file falls short of its contract, or of its own golden vectors.
    """
    target = workspace.bundle(recipe.name)
    kept = kept_int8(target, model.sha256) if keep_int8 else None
    with replacing(target, BUNDLE) as folder:
        shutil.copyfile(model.path, folder / stored_as(model))
        write_text(folder / "recipe.toml", recipe_io.dumps(portable(recipe)))
        for extra in extras:
            if extra.is_file():
                shutil.copyfile(extra, folder / extra.name)
        if run is not None:
            run.write(folder / "run.json")
        facts = _write_models(model, recipe, folder, variants, role, teacher, kept)
        write_golden(folder, facts)
        facts = _with_others(facts, model, folder, recipe, formats)
        facts.write(folder / "card.json")
        write_json(folder / "card.schema.json", schema("card"))
        if text := shipped.licence(facts.licence):
            shutil.copyfile(text, folder / "LICENSE")
        write_text(
            folder / "README.md",
            readme(facts, **_kind(recipe)),
        )
        write_checksums(folder)
        _check(folder, recipe.name)
    return target


def _kind(recipe: AnyRecipe) -> dict[str, Any]:
    """What the bundle's page says of how its network was trained."""
    if not isinstance(recipe, Recipe):
        return {"invents": False, "photographs": ""}
    judged = recipe.gan is not None and recipe.gan.losses.adversarial > 0
    data = portable(recipe).data
    photographs = ", ".join(each.photos for each in data.sources) or data.photos
    return {"invents": judged, "kind": recipe.data.degradation.kind, "photographs": photographs}


def stored_as(model: SRModel) -> str:
    """What the file is called in a bundle that its other files are made from."""
    return ORIGINAL if isinstance(model.module, OnnxNetwork) else WEIGHTS


def _write_models(
    model: SRModel,
    recipe: AnyRecipe,
    folder: Path,
    names: tuple[str, ...],
    role: Role,
    teacher: TaughtBy | None,
    kept: Graph | None,
) -> Card:
    """Write model.onnx, then the variants; what the card says of them."""
    graph, multiple = _graph(model, recipe)
    seen = sight(model).on(multiple)
    for name in copies(["fp32"], recipe.export.fixed):
        check_window(parse(name).window, seen)
    facts: dict[str, object] = {
        "format": FORMAT,
        "name": recipe.name,
        "architecture": model.architecture,
        "scale": model.scale,
        "min_size": model.min_size,
        "halo": seen.halo,
        "multiple": seen.multiple,
        "licence": model.licence,
        "git_revision": git_revision(),
    }
    metadata = {f"edgesr.{key}": str(value) for key, value in facts.items()}
    metadata |= {
        "edgesr.tileable": str(int(seen.tileable)),
        "edgesr.checkpoint_sha256": model.sha256,
        "edgesr.recipe_sha256": sha256(folder / "recipe.toml"),
    }
    fp32, exported = _write_fp32(model, graph, multiple, recipe, folder, metadata)
    free = {fp32.name: fp32}
    others = _write_variants(names, model, folder, recipe, metadata, kept)
    free |= {each.name: each for each in others}
    fixed = [
        write_fixed(free[original], kind.window, folder, metadata)
        for kind in map(parse, copies(free, recipe.export.fixed))
        if (original := str(kind.fixed(""))) in free
    ]
    variants = [*free.values(), *fixed]
    files = [stored_as(model), "recipe.toml", *(variant.file for variant in variants)]
    facts |= {
        "opset": exported.opset,
        "ir_version": exported.ir_version,
        "simplified": exported.simplified,
        "tileable": seen.tileable,
        "spec": model.spec,
        "variants": {variant.name: variant.card(folder) for variant in variants},
        "sha256": {name: sha256(folder / name) for name in files},
        "role": role,
        "teacher": teacher
        and Origin(name=teacher.name, architecture=teacher.architecture, spec=teacher.spec),
    }
    try:
        return Card.model_validate(facts)
    except ValidationError as error:
        raise ExportError(f"{model.path} has no card: {cut(str(error))}") from None


def _with_others(
    card: Card, model: SRModel, folder: Path, recipe: AnyRecipe, formats: tuple[str, ...]
) -> Card:
    """The card, and the files for other runtimes, where they are asked for."""
    if not formats:
        return card
    module = model.module
    assert isinstance(module, Network), "zoo.load gives these"
    others = write_others(module, folder, card, recipe, formats)
    sums = {each.file: sha256(folder / each.file) for each in others}
    return card.model_copy(update={"others": others, "sha256": card.sha256 | sums})


def _graph(model: SRModel, recipe: AnyRecipe) -> tuple[onnx.ModelProto | None, int]:
    """The graph of another project's network, None of ours, and the multiple of sizes it takes."""
    if isinstance(model.module, Student):
        return None, 1
    if isinstance(model.module, OnnxNetwork):
        return name_ends(onnx.load(model.path), model.scale), model.multiple
    return foreign_graph(model, recipe.export.opset)


def _write_fp32(
    model: SRModel,
    original: onnx.ModelProto | None,
    multiple: int,
    recipe: AnyRecipe,
    folder: Path,
    metadata: dict[str, str],
) -> tuple[Variant, Exported]:
    module, settings = model.module, recipe.export
    assert isinstance(module, Network), "zoo.load gives these"
    fp32 = Variant("fp32", clips(module, recipe), model.scale, colours=colours_of(module))
    own = metadata | fp32.metadata()
    if isinstance(module, Student):
        return fp32, export_onnx(module, folder / fp32.file, settings, metadata=own)
    assert original is not None, "_graph gives it"
    sizes = shapes(multiple, model.min_size)
    keep_bn = not settings.rewrites.fold_batch_norm
    graph, simplified = finish(original, settings, keep_bn=keep_bn, shapes=sizes)
    graph = rewritten(graph, settings.rewrites, sizes)
    fp32 = dataclasses.replace(fp32, batch=batch_of(graph))
    settings = settings.model_copy(update={"opset": graph.opset_import[0].version})
    file = folder / fp32.file
    return fp32, save(graph, file, settings, model.scale, own, simplified=simplified)


def _write_variants(
    names: tuple[str, ...],
    model: SRModel,
    folder: Path,
    recipe: AnyRecipe,
    metadata: dict[str, str],
    kept: Graph | None,
) -> Iterator[Variant]:
    """See `write_variant`. A network of another project may not fit some, which is said."""
    module = model.module
    assert isinstance(module, Network), "zoo.load gives these"
    make, failed = Maker(module, folder / file_of("fp32"), recipe, kept), False
    for name in free_names(names, recipe):
        if isinstance(module, Student):
            yield write_variant(name, make, folder, metadata)
        elif not (failed and parse(name).quantised):
            try:
                yield write_variant(name, make, folder, metadata)
            except Exception as error:  # converters fail in as many ways as there are graphs
                reason = error.message if isinstance(error, EdgesrError) else str(error)
                console.warn(f"{name} is left out: {cut(reason)}")
                failed = failed or name == "int8"


def _check(folder: Path, name: str) -> None:
    """What a bundle's user would check, before the bundle is there to be used."""
    failed = [row for row in check(folder) if not row.passed]
    if failed:
        lines = "; ".join(" ".join(row.cells()) for row in failed)
        raise ExportError(f"{name} falls short of its golden vectors: {lines}")
