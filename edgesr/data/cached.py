"""Files of the user's cache: bytes to be mapped, behind them what they are, and a sum of both.

    bytes | facts, JSON | length of the facts, 8 bytes | SHA-256 of all before, 32 bytes

It is one file: of two processes that make it at once, the one's or the other's is there, whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from edgesr import console
from edgesr.errors import DataError
from edgesr.workspace import atomic

LENGTH, SUM = 8, 32
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
