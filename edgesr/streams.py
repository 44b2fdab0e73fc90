"""Standard output and error whose loss does not stop the work: a full disk, a pipe that is closed.

An hour of training is worth more than its display. What is lost is remembered, for the exit code.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import TypeVar

T = TypeVar("T")


class Stream(io.TextIOWrapper):
    """A standard stream. Once it cannot be written, what comes after goes nowhere.

    Attributes:
        lost: why it could not be written; None while all is well.
    """

    lost: OSError | None = None

    def write(self, text: str, /) -> int:
        return self._kept(lambda: super(Stream, self).write(text), len(text))

    def flush(self) -> None:
        self._kept(super().flush, None)

    def _kept(self, write: Callable[[], T], instead: T) -> T:
        try:
            return write()
        except OSError as error:
            self.lost = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return instead


def stand_in(stream: object) -> Stream | None:
    """A `Stream` on the file of `stream`; None where that is closed, or not a file of the process.

    Characters that the terminal's encoding lacks are written as escapes.
    """
    try:
        file = stream.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None
    old = stream if isinstance(stream, io.TextIOWrapper) else None
    return Stream(
        os.fdopen(file, "wb", closefd=False),
        encoding=old.encoding if old else "utf-8",
        errors="backslashreplace",
        line_buffering=old.line_buffering if old else True,
        write_through=old.write_through if old else False,
    )


def guard() -> list[Stream]:
    """Put a `Stream` in the place of stdout and of stderr; returns them."""
    out, err = stand_in(sys.stdout), stand_in(sys.stderr)
    sys.stdout, sys.stderr = out or sys.stdout, err or sys.stderr
    return [stream for stream in (out, err) if stream is not None]


@contextmanager
def unheard() -> Iterator[None]:
    """Inside the block warnings, log lines and what native code writes to stderr go nowhere; for a
    library that cannot be told to be quiet. Exceptions pass."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    sys.stderr.flush()
    os.dup2(nowhere, 2)
    logging.disable(logging.WARNING)
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def losses(streams: list[Stream]) -> list[str]:
    """Why output was lost, in words; empty where none was, or its reader closed the pipe."""
    for stream in streams:
        stream.flush()
    return [
        "" if stream.lost.errno == errno.EPIPE else str(stream.lost.strerror)
        for stream in streams
        if stream.lost is not None
    ]
