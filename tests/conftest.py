"""Fixtures that every test may use."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

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
