"""A tiny bundle with every variant, exported once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from edgesr.deploy import bundle
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Recipe
from edgesr.workspace import Workspace


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with all four variants, never to be written to."""
    workspace = Workspace(tmp_path_factory.mktemp("made"))
    torch.manual_seed(0)
    path = workspace.root / "model.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="MIT")
    raw = {"int8": {"images": 2, "min_channels": 1}}
    recipe = Recipe(name="tiny", model=Edge(channels=4, depth=1), export=Export.model_validate(raw))
    return bundle.write_bundle(
        zoo.load(path),
        recipe,
        workspace,
        role="student",
        teacher=None,
        extras=[],
        variants=("fp16", "int8", "uint8-io"),
    )


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of `made` that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "tiny"))
