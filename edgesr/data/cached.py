"""Files of the user's cache: bytes to be mapped, behind them what they are, and a sum of both.

    bytes | facts, JSON | length of the facts, 8 bytes | SHA-256 of all before, 32 bytes

It is one file: of two processes that make it at once, the one's or the other's is there, whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from edgesr import console
from edgesr.errors import DataError
from edgesr.workspace import atomic, sync_folder, write_text

LENGTH, SUM = 8, 32
PARTIAL = ".partial"
CHUNK = 1 << 20


@contextmanager
def writing(path: Path, facts: dict[str, Any]) -> Iterator[Callable[[bytes], None]]:
    """Yield what appends bytes to a new file at `path`, which is there when the block ends well.

    Args:
        facts: what `read` returns; they may still be filled inside the block.
    """
    with atomic(path) as temporary, temporary.open("wb") as file:
        sums = hashlib.sha256()

        def append(data: bytes) -> None:
            sums.update(data)
            file.write(data)

        yield append
        end = json.dumps(facts).encode()
        append(end + len(end).to_bytes(LENGTH, "little"))
        file.write(sums.digest())


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Be the only one to make the file at `path` inside the block; says so where it has to wait for
    another command that makes it.

    Yields:
        Whether it waited: the file may be there now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, waits = FileLock(path.with_suffix(".lock")), False
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waits = True
        console.say(f"another command is making {path}: waiting for it")
        lock.acquire()
    try:
        yield waits
    finally:
        lock.release()


def begun(path: Path) -> int:
    """Bytes of the file at `path` that an earlier command made before it was interrupted."""
    partial = path.with_suffix(PARTIAL)
    return partial.stat().st_size if partial.is_file() else 0


@contextmanager
def continued(path: Path, facts: dict[str, Any]) -> Iterator[Parts]:
    """Yield the parts of a new file at `path`, which is there when the block ends well. Whatever
    else ends it, the parts that are finished by then are there in the next block.

    The caller is `alone` with the file.

    Args:
        facts: what `read` returns.
    """
    partial, journal = path.with_suffix(PARTIAL), path.with_suffix(".parts")
    partial.touch()
    with partial.open("r+b") as file:
        parts = Parts(file, journal)
        try:
            yield parts
        except BaseException:
            if not parts.done:
                partial.unlink(missing_ok=True)
                journal.unlink(missing_ok=True)
            raise
        end = json.dumps(facts).encode()
        parts.append(end + len(end).to_bytes(LENGTH, "little"))
        file.write(parts.sums.digest())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    journal.unlink()
    sync_folder(path.parent)


class Parts:
    """Parts of a file in the making, and a journal of them: of each its length and SHA-256.

    Attributes:
        done: how many parts are finished. What an earlier block has left counts where its bytes are
            those that were written.
    """

    def __init__(self, file: BinaryIO, journal: Path) -> None:
        self.file, self.journal = file, journal
        self.done, self.sums = 0, hashlib.sha256()
        written = journal.read_text("ascii", "replace").splitlines() if journal.is_file() else []
        end = 0
        with console.bar("checking the cache", len(written), unit="parts") as bar:
            while self.done < len(written) and (length := self._check(written[self.done])):
                end += length
                self.done += 1
                bar.advance()
        if self.done < len(written):
            console.warn(f"{len(written) - self.done} parts of {file.name} are damaged: made anew")
        file.seek(end)
        file.truncate()
        write_text(journal, "".join(f"{line}\n" for line in written[: self.done]))
        self._begin()

    def _begin(self) -> None:
        self.part, self.length = hashlib.sha256(), 0

    def _check(self, line: str) -> int:
        """The length of the next part if its bytes are what the journal's `line` says; else 0."""
        stated, _, expected = line.partition(" ")
        length = left = int(stated) if stated.isdecimal() else 0
        part, sums = hashlib.sha256(), self.sums.copy()
        while data := self.file.read(min(CHUNK, left)):
            part.update(data)
            sums.update(data)
            left -= len(data)
        if left or part.hexdigest() != expected:
            return 0
        self.sums = sums
        return length

    def append(self, data: bytes) -> None:
        """Add to the part in hand."""
        self.part.update(data)
        self.sums.update(data)
        self.length += len(data)
        self.file.write(data)

    def finish(self) -> None:
        """Count the part in hand as done, and begin the next."""
        self.file.flush()
        with self.journal.open("a", encoding="ascii") as journal:
            journal.write(f"{self.length} {self.part.hexdigest()}\n")
        self.done += 1
        self._begin()


def read(path: Path) -> dict[str, Any] | None:
    """The facts of the file at `path` if its bytes are those that were written; else None.

    The whole file is read. That it is damaged is said.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return _facts(file, path.stat().st_size)
    except (OSError, ValueError) as error:
        console.warn(f"the cache {path} is damaged: {error}; it is made anew")
        return None


def _facts(file: BinaryIO, size: int) -> dict[str, Any]:
    """Raise ValueError unless the file's sum is that of its content."""
    if size < LENGTH + SUM:
        raise ValueError("it was cut short")
    sums, left = hashlib.sha256(), size - SUM
    with console.bar("checking the cache", left >> 20, unit="MiB") as bar:
        while data := file.read(min(CHUNK, left)):
            sums.update(data)
            left -= len(data)
            bar.advance(len(data) >> 20)
    if file.read(SUM) != sums.digest():
        raise ValueError("its content is not what its sum states")
    file.seek(size - SUM - LENGTH)
    length = int.from_bytes(file.read(LENGTH), "little")
    file.seek(size - SUM - LENGTH - length)
    facts: dict[str, Any] = json.loads(file.read(length))
    return facts


def check_room(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        needed: bytes.

    Raises:
        DataError: there are fewer on the disk of `folder`.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise DataError(
            f"{what} take {needed / 1e9:.2f} GB in {folder}, {free / 1e9:.2f} GB are free",
            "Make room there, or name a folder on another disk: EDGESR_CACHE=DIR",
        )
