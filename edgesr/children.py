"""Processes of edgesr's own that end with the one that started them, however that ends."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lifeline() -> Iterator[int]:
    """A file to give a child as its stdin: it ends when this process does, killed or not."""
    reads, writes = os.pipe()
    try:
        yield reads
    finally:
        os.close(reads)
        os.close(writes)


def follow() -> None:
    """End this process when the one that holds its lifeline has ended.

    Where stdin is not a pipe, somebody has started the module by hand, and nothing is followed.
    """
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
