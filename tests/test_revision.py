"""What a bundle was made by is edgesr's own commit, never that of a repository around it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgesr import __version__, revision
from edgesr.revision import git_revision


def git(folder: Path, *words: str) -> str:
    own = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    done = subprocess.run(
        ["git", "-C", str(folder), *own, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of edgesr's, with one commit."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "edgesr"\n')
    (tmp_path / "edgesr").mkdir()
    (tmp_path / "edgesr" / "cli.py").write_text("")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    monkeypatch.setattr(revision, "PACKAGE", tmp_path / "edgesr")
    return tmp_path


def test_a_change_of_the_package_is_said_and_one_of_what_it_wrote_is_not(source: Path) -> None:
    head = git(source, "rev-parse", "HEAD")
    (source / "exports").mkdir()
    (source / "exports" / "card.json").write_text("{}")
    assert git_revision() == head
    (source / "edgesr" / "cli.py").write_text("pass")
    assert git_revision() == f"{head}-dirty"


def test_a_repository_that_git_dir_names_says_nothing_of_edgesr(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(source, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(source / "elsewhere"))
    assert git_revision() == head


def test_installed_into_somebodys_project_it_is_the_version(source: Path) -> None:
    (source / "pyproject.toml").write_text('[project]\nname = "holiday"\n')
    assert git_revision() == __version__
