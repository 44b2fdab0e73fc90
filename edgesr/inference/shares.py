"""Images shared among processes, each with models of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path

from edgesr.errors import MachineError
from edgesr.inference.tiling import ignore
from edgesr.inference.upscale_files import Enlarge, reason, write_all

SHARE = 4
"""Images that a process takes at a time at most: one is decoded while another is written."""

Told = tuple[int, int] | str
"""Width and height of the result, or what was wrong."""


def nothing() -> None:
    """What a process does first where nobody asks for more."""


@dataclass(frozen=True)
class Jobs:
    """Attributes:
    count: of processes.
    open: opens the models, in each; it is pickled.
    begin: what each does first; likewise.
    """

    count: int
    open: Callable[[], Enlarge]
    begin: Callable[[], None] = nothing


def one_by_one(
    enlarge: Enlarge, images: dict[Path, Path], quality: int
) -> Iterator[tuple[Path, Told]]:
    """Enlarge each file into its target; gives each once it is dealt with."""
    for path, outcome in write_all(enlarge, images, quality, ignore):
        yield path, reason(outcome) if isinstance(outcome, Exception) else outcome


def in_processes(jobs: Jobs, images: dict[Path, Path], quality: int) -> Iterator[tuple[Path, Told]]:
    """As `one_by_one`, in the order in which images are done.

    Raises:
        MachineError: one of the processes was killed, or could not begin.
    """
    spawn = get_context("spawn")
    stop = spawn.Event()
    begin = (jobs.begin, jobs.open, stop)
    pool = ProcessPoolExecutor(jobs.count, spawn, _begin, begin)
    try:
        waiting: list[Future[list[tuple[Path, Told]]]] = [
            pool.submit(_work, share, quality) for share in _shares(images, jobs.count)
        ]
        for future in as_completed(waiting):
            yield from future.result()
    except BrokenProcessPool:
        raise MachineError(
            "one of the jobs was killed, or could not begin",
            "Where memory ran out, take fewer --jobs; --skip-existing goes on from here.",
        ) from None
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _shares(images: dict[Path, Path], count: int) -> Iterator[dict[Path, Path]]:
    pairs = list(images.items())
    size = max(1, min(SHARE, len(pairs) // (2 * count)))
    for start in range(0, len(pairs), size):
        yield dict(pairs[start : start + size])


_opened: Enlarge
_stop: Event


def _begin(first: Callable[[], None], open_: Callable[[], Enlarge], stop: Event) -> None:
    """What a process does first."""
    global _opened, _stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the first decides
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    first()
    _opened, _stop = open_(), stop


def _end_with_the_first() -> None:
    first = parent_process()
    if first is not None:
        first.join()
        os._exit(1)


def _work(images: dict[Path, Path], quality: int) -> list[tuple[Path, Told]]:
    told = []
    for each in one_by_one(_opened, images, quality):
        told.append(each)
        if _stop.is_set():
            break
    return told
