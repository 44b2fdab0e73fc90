"""A tiny bundle with every variant, exported once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from edgesr.deploy import bundle
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Recipe
from edgesr.workspace import Workspace


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with all four variants, never to be written to."""
    export = {"int8": {"images": 2, "min_channels": 1}}
    workspace = Workspace(tmp_path_factory.mktemp("made"))
    return _make(workspace, export, ("fp16", "int8", "uint8-io"))


@pytest.fixture(scope="session")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose fp16 file takes and gives float16, never to be written to."""
    workspace = Workspace(tmp_path_factory.mktemp("half"))
    return _make(workspace, {"fp16": {"io": "float16"}}, ("fp16",))


def _make(workspace: Workspace, export: dict[str, Any], variants: tuple[str, ...]) -> Path:
    torch.manual_seed(0)
    path = workspace.root / "model.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="MIT")
    settings = Export.model_validate(export)
    recipe = Recipe(name="tiny", model=Edge(channels=4, depth=1), export=settings)
    return bundle.write_bundle(
        zoo.load(path),
        recipe,
        workspace,
        role="student",
        teacher=None,
        extras=[],
        variants=variants,
    )


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of `made` that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "tiny"))
