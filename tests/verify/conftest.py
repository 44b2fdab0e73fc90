"""A tiny real bundle with its teacher's, exported once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr.bundle.records.base import Record
from edgesr.bundle.records.evidence import Evidence
from edgesr.deploy.stage import write_bundle
from edgesr.models import zoo
from edgesr.recipe import Edge, Recipe, Srgan
from edgesr.recipe import io as recipe_io
from edgesr.workspace import Workspace


def constructed(kind: type[Record], stated: dict[str, Any]) -> Any:
    """A record of only what is stated, unchecked; tables in it are records, too."""
    inner = {name: field.annotation for name, field in kind.model_fields.items()}
    return kind.model_construct(
        **{name: _value(inner[name], value) for name, value in stated.items()}
    )


def _value(annotation: Any, value: Any) -> Any:
    kinds = [k for k in _leaves(annotation) if isinstance(k, type) and issubclass(k, Record)]
    if kinds and isinstance(value, list):
        return [_value(kinds[0], item) for item in value]
    return constructed(kinds[0], value) if kinds and isinstance(value, dict) else value


def _leaves(annotation: Any) -> list[Any]:
    return [annotation, *(leaf for a in get_args(annotation) for leaf in _leaves(a))]


@pytest.fixture(scope="session")
def construct() -> Callable[[dict[str, Any]], Evidence]:
    """Evidence of which only what is stated is there."""
    return lambda stated: constructed(Evidence, stated)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`exports/` with a student "small" of the teacher "big", never to be written to."""
    workspace = Workspace(tmp_path_factory.mktemp("verify"))
    torch.manual_seed(0)
    models = {}
    for name, spec in (("big", Srgan(blocks=2, channels=4)), ("small", Edge(channels=4, depth=1))):
        path = workspace.root / f"{name}.safetensors"
        zoo.save(zoo.build(spec), path, licence="MIT")
        models[name] = zoo.load(path)
    quick = {"size": "16x12", "shapes": ["8x8", "9x7"], "threads": 1, "runs": 5}
    for name, teacher in (("big", None), ("small", zoo.facts(models["big"]))):
        model = models[name]
        assert model.spec is not None
        raw = {"name": name, "model": model.spec.model_dump(), "verify": quick}
        raw["gates"] = {"min_gain_over_bicubic_db": -99.0}  # its weights are random
        recipe = Recipe.model_validate(raw)
        role = "student" if teacher else "teacher"
        write_bundle(model, recipe, workspace, role=role, teacher=teacher, extras=[])
    return workspace.exports


@pytest.fixture
def exports(exported: Path, tmp_path: Path) -> Path:
    """A copy of `exported` that a test may change."""
    return Path(shutil.copytree(exported, tmp_path / "exports"))


@pytest.fixture(scope="session")
def with_variants(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the student "small" with the variants fp16 and uint8-io, not to be written to."""
    return _again(exported, tmp_path_factory.mktemp("variants"), ("fp16", "uint8-io"))


@pytest.fixture(scope="session")
def with_half(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with an fp16 file that takes and gives float16, not to be written to."""
    return _again(exported, tmp_path_factory.mktemp("half"), ("fp16",), "export.fp16.io=float16")


@pytest.fixture
def clipped(exported: Path, tmp_path: Path) -> Path:
    """A bundle of the student "small" whose files clip, with int8."""
    export = ("export.rewrites.clip=true", "export.int8.images=2", "export.int8.min_channels=1")
    return _again(exported, tmp_path, ("int8",), *export, "export.int8.finetune_steps=0")


def _again(exported: Path, root: Path, variants: tuple[str, ...], *overrides: str) -> Path:
    model = zoo.load(exported / "small/weights.safetensors")
    recipe = recipe_io.load(exported / "small/recipe.toml", overrides=overrides)
    return write_bundle(
        model,
        recipe,
        Workspace(root),
        role="student",
        teacher=None,
        extras=[],
        variants=variants,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one small picture to measure on."""
    folder = tmp_path_factory.mktemp("pictures")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    return folder
