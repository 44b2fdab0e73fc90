"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from edgesr import console
from edgesr.deploy.stage import write_bundle
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Recipe
from edgesr.workspace import Workspace


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of photographs, teachers and weights beside the checkout, where there is one."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (benchmark sets, teachers, perceptual weights)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def signals_as_at_a_terminal() -> None:
    """A runner may have been started to ignore signals, as `nohup` and `&` do; edgesr then ignores
    them too, and so would the processes that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def as_at_a_terminal() -> None:
    """What edgesr logs as a library is said, as commands have it."""
    console.listen()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's caches out of the tests and the tests out of the user's caches."""
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path_factory.getbasetemp() / "torch"))
    monkeypatch.delenv("EDGESR_WEIGHTS", raising=False)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with all four variants, never to be written to."""
    export = {"int8": {"images": 2, "min_channels": 1}}
    workspace = Workspace(tmp_path_factory.mktemp("made"))
    return _make(workspace, export, ("fp16", "int8", "uint8-io"))


@pytest.fixture(scope="session")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose files come in windows of 40 x 24 too, never to be written to."""
    export = {"int8": {"images": 2, "min_channels": 1}, "fixed": ["40x24"]}
    workspace = Workspace(tmp_path_factory.mktemp("fixed"))
    return _make(workspace, export, ("fp16", "int8", "uint8-io"))


@pytest.fixture(scope="session")
def integers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with every file of integers, never to be written to."""
    workspace = Workspace(tmp_path_factory.mktemp("integers"))
    settings = {"int8": {"images": 2, "min_channels": 1}}
    return _make(workspace, settings, ("int8-uint8-io", "s8s8", "a16w8", "s8s8-symmetric"))


@pytest.fixture(scope="session")
def luma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a student of Y, and its windows of 40 x 24, never to be written to."""
    export = {"int8": {"images": 2, "min_channels": 1}, "fixed": ["40x24"]}
    workspace = Workspace(tmp_path_factory.mktemp("luma"))
    return _make(workspace, export, ("fp16", "int8", "uint8-io", "int8-uint8-io"), colours=1)


@pytest.fixture(scope="session")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose fp16 file takes and gives float16, never to be written to."""
    workspace = Workspace(tmp_path_factory.mktemp("half"))
    return _make(workspace, {"fp16": {"io": "float16"}}, ("fp16",))


def _make(
    workspace: Workspace, export: dict[str, Any], variants: tuple[str, ...], **model: Any
) -> Path:
    torch.manual_seed(0)
    path, spec = workspace.root / "model.safetensors", Edge(channels=4, depth=1, **model)
    zoo.save(zoo.build(spec), path, licence="MIT")
    settings = Export.model_validate(export)
    recipe = Recipe(name="tiny", model=spec, export=settings)
    return write_bundle(
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
