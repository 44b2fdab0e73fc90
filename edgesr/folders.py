"""Folders that edgesr writes: owned by one command at a time, replaced whole or not at all.

A folder is built beside its place and moved there by two renames, the old one aside and the new one
in; then the old one is deleted. What a command that was killed has left is settled by the next one:
an old folder whose place is empty goes back, everything else is deleted.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from filelock import FileLock, Timeout

from edgesr import console
from edgesr.errors import EdgesrError, MachineError
from edgesr.workspace import TEMPORARY, is_litter, sync, sync_folder

NEW, OLD, GONE = (f"{TEMPORARY}{kind}-" for kind in ("new", "old", "gone"))
"""Before a folder's name: it is in the making; it was moved aside; it is being deleted."""

RUN = (
    *("recipe.toml", "run.json", "log.jsonl", "model.safetensors", "best.safetensors"),
    *("samples/*.png", "checkpoints/*", "tensorboard/*"),
)
"""What edgesr writes into `runs/<name>/`."""
BUNDLE = (
    *("card.json", "README.md", "SHA256SUMS", "recipe.toml", "run.json", "log.jsonl"),
    *("weights.safetensors", "model.onnx", "model.*.onnx", "golden/*"),
    *("model.tflite", "model.*.tflite", "model.pte", "model.*.pte"),
    *("model.mlpackage.zip", "model.*.mlpackage.zip"),
    *("model.ort", "model.*.ort", "required_operators_and_types.config"),
    *("card.schema.json", "LICENSE"),
    *("verify.json", "junit.xml", "report.html"),
)
"""What edgesr writes into `exports/<name>/`."""


@contextmanager
def locked(target: Path, command: str) -> Iterator[None]:
    """Own the name of `target` inside the block; what an earlier owner has left there is settled.

    The lock ends with the process, however that ends. Its file stays, and tells who holds it.

    Args:
        target: the folder, which need not be there yet.
        command: what the holder does, for the message that others get.

    Raises:
        EdgesrError: another process holds it, which the message names.
        MachineError: nothing can be written there.
    """
    path = _lock_of(target)
    lock = FileLock(path, timeout=0)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        holder = path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
        raise EdgesrError(
            f"{target} is in use by {holder}", "Wait until it has ended, or end it."
        ) from None
    except OSError as error:
        raise MachineError(
            f"{target.parent} cannot be written to: {error.strerror or error}",
            "Work in a folder where you may write.",
        ) from None
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = f"`{command}`, process {os.getpid()} on {socket.gethostname()}, since {since}"
        path.write_text(holder + "\n", encoding="utf-8")
        _settle(target)
        yield
    finally:
        with suppress(OSError):
            path.write_text("", encoding="utf-8")
        lock.release()


def settle(parent: Path) -> None:
    """Settle what commands that were killed have left in `parent`, but for what is in use."""
    names = {
        path.name.removeprefix(prefix)
        for prefix in (NEW, OLD, GONE)
        for path in parent.glob(f"{prefix}*")
    }
    for name in sorted(names):
        with suppress(EdgesrError, OSError), locked(parent / name, "settling"):
            pass


@contextmanager
def replacing(target: Path, owned: tuple[str, ...], inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target` when the block ends well.

    The caller has `locked` the target. Whatever ends the process, `target` is the old folder or the
    new one, each of them whole.

    Args:
        owned: patterns of the files that may go with the old folder, see `check_replaceable`.
        inputs: files and folders that the caller reads.

    Raises:
        EdgesrError: see `check_replaceable`.
    """
    check_replaceable(target, owned, inputs)
    new, old = target.with_name(NEW + target.name), target.with_name(OLD + target.name)
    new.mkdir(parents=True)
    try:
        yield new
        sync(new)
        check_replaceable(target, owned, inputs)
        if target.exists():
            target.rename(old)
        new.rename(target)
        sync_folder(target.parent)
    except BaseException:
        _settle(target)
        raise
    _delete(old)


def discard(target: Path, owned: tuple[str, ...], inputs: Iterable[Path] = ()) -> None:
    """Delete the folder `target`, which the caller has `locked`; nothing where there is none.

    Raises:
        EdgesrError: see `check_replaceable`.
    """
    check_replaceable(target, owned, inputs)
    if target.exists():
        gone = target.with_name(GONE + target.name)
        target.rename(gone)
        _delete(gone)


def check_replaceable(target: Path, owned: tuple[str, ...], inputs: Iterable[Path] = ()) -> None:
    """Refuse to replace or delete what is not the caller's to delete.

    Args:
        target: a folder, or a place where nothing is.
        owned: patterns, as `fnmatch` has them, of paths inside the folder that edgesr writes.
        inputs: what the command reads, and would lose.

    Raises:
        EdgesrError: `target` is not a folder, holds others' files or one of `inputs`, or cannot be
            deleted whole.
    """
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise EdgesrError(f"{target} is not a folder of its own", "Move it away, or rename it.")
    for path in inputs:
        if path.resolve().is_relative_to(target.resolve()):
            raise EdgesrError(
                f"{target} cannot be replaced: {path}, which this command reads, lies inside",
                "Copy it elsewhere first, or give another name.",
            )
    if strange := strangers(target, owned):
        raise EdgesrError(
            f"{target} holds files that edgesr did not write: {_some(strange)}",
            "Move them away, or give another name.",
        )
    if closed := [str(path) for path in _folders(target) if not os.access(path, os.W_OK | os.X_OK)]:
        raise EdgesrError(
            f"{target} cannot be deleted whole: no permission to write into {_some(closed)}",
            "Give the permission, or another name.",
        )


def strangers(folder: Path, owned: tuple[str, ...]) -> list[str]:
    """Paths inside `folder` that are neither `owned` nor litter, sorted."""
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        plain = path.is_dir() and not path.is_symlink()
        if not plain and not is_litter(path.name) and not any(fnmatch(name, p) for p in owned):
            found.append(name)
    return sorted(found)


def _some(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _folders(folder: Path) -> list[Path]:
    return [folder, *(path for path in folder.rglob("*") if path.is_dir())]


def _lock_of(target: Path) -> Path:
    return target.with_name(f"{TEMPORARY}{target.name}.lock")


def _settle(target: Path) -> None:
    """Put `target` in order, whose lock is held."""
    old = target.with_name(OLD + target.name)
    if old.is_dir() and not target.exists():
        old.rename(target)
        console.warn(f"{target} is restored: replacing it was interrupted")
    for prefix in (NEW, OLD, GONE):
        _delete(target.with_name(prefix + target.name))
    for path in target.rglob(f"{TEMPORARY}*") if target.is_dir() else ():
        if path.is_file():
            path.unlink(missing_ok=True)


def _delete(folder: Path) -> None:
    """Delete what is in nobody's way any more; what cannot be is left to the next command."""
    if os.path.lexists(folder):
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            console.warn(f"{folder} could not be deleted; it is not needed any more")
