"""A request to stop, by Ctrl-C, SIGTERM or SIGHUP, ends a command as an exception would: what
`finally` and `with` promise is kept, so that no temporary file and no child process stays."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ASKED = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
BURST = 1.0
"""Seconds in which further signals are the same request: a shell that closes sends SIGHUP twice."""


class Stopped(BaseException):
    """Somebody asked the process to stop. No error, so that no `except Exception` holds it up."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = exit_code(number)


def exit_code(number: int) -> int:
    """What a shell expects of a process that a signal has ended."""
    return 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the main thread where a signal asks to stop.

    A signal that the process was started to ignore, as `nohup` does with SIGHUP, stays ignored.
    """
    last = float("-inf")

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal last
        if (now := time.monotonic()) - last > BURST:
            last = now
            raise Stopped(number)

    before: dict[int, Any] = {}
    for number in ASKED:
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)
