"""Places that a command will write to, tried before its work begins."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgesr.errors import EdgesrError, MachineError
from edgesr.workspace import TEMPORARY


def check_writable(folder: Path, what: str) -> None:
    """Try to write where `what` will be written, or to where its folder will be made; leaves
    nothing there.

    Raises:
        MachineError: nothing can be written there.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=TEMPORARY):
            pass
    except OSError as error:
        raise MachineError(
            f"{what} cannot be written to {folder}: {error.strerror or error} ({there})",
            "Make the folder writable, or name another place.",
        ) from None


def check_file(path: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Refuse a file that could not be written, or whose suffix names no format.

    Raises:
        EdgesrError: another suffix than one of `suffixes`, or a folder is there.
        MachineError: see `check_writable`.
    """
    if path.suffix.lower() not in suffixes:
        raise EdgesrError(f"{what} {path}: expected a file name in {' or '.join(suffixes)}")
    if path.is_dir():
        raise EdgesrError(f"{what} {path} is a folder", "Name a file.")
    check_writable(path.parent, what)
