"""Threads keep their scheduling class where an encoder is opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

THREADS = Path("/proc/self/task")


@contextmanager
def kept() -> Iterator[None]:
    """Undo what SVT-AV1 does where root opens it: it puts the thread that calls, and so its own,
    into the class of real-time threads, at the highest priority (FIFO 99). Every process that the
    thread starts later inherits that, and as many busy ones as there are cores stop the machine.

    Threads that were there before get back what they had, new ones what this thread had.
    """
    if sys.platform != "linux":
        yield
        return
    before, own = _classes(), _class(0)
    try:
        yield
    finally:
        # A real-time thread may have started another since it was looked at.
        while changed := {t: c for t, c in _classes().items() if c != before.get(t, own)}:
            for thread in changed:
                policy, priority = before.get(thread, own)
                with suppress(ProcessLookupError):
                    os.sched_setscheduler(thread, policy, os.sched_param(priority))


def _classes() -> dict[int, tuple[int, int]]:
    """Of each thread of the process; one that ends meanwhile is left out."""
    found = {}
    for path in THREADS.iterdir():
        with suppress(ProcessLookupError):
            found[int(path.name)] = _class(int(path.name))
    return found


def _class(thread: int) -> tuple[int, int]:
    """Policy and priority; 0 is the thread that asks."""
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
