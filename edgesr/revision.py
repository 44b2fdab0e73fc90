"""Which edgesr this is: what a bundle says that it was made by."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tomllib
from pathlib import Path

from edgesr import __version__

PACKAGE = Path(__file__).parent


def git_revision() -> str:
    """The commit that this copy of edgesr is at, "-dirty" where the package was changed since;
    elsewhere than in edgesr's own repository the package's version.

    A package that was installed into somebody's project lies in their repository, whose commit says
    nothing of edgesr; nor does a repository that GIT_DIR names.
    """
    top = PACKAGE.parent
    if not _is_source(top):
        return __version__
    root, tracked = _git(top, "rev-parse", "--show-toplevel"), _git(top, "ls-files", PACKAGE.name)
    if not tracked or not root or Path(root).resolve() != top.resolve():
        return __version__
    changed = "-dirty" if _git(top, "status", "--porcelain", "--", PACKAGE.name) else ""
    return _git(top, "rev-parse", "HEAD") + changed or __version__


def source_digest() -> str:
    """The SHA-256 of this copy's source files, whatever commit or package they are of."""
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".mjs"):
            found.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def _is_source(folder: Path) -> bool:
    """Whether `folder` holds edgesr's own pyproject.toml."""
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return bool(project["name"] == PACKAGE.name)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _git(folder: Path, *words: str) -> str:
    """What git says in `folder`; empty where it fails or is not there."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
            env=own,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
