"""Commands as a user types them, each in a process of its own.

The processes are forked from one that has loaded edgesr once: a command starts in a tenth of a
second instead of the five that torch and ONNX take to load.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

LOADED = [f"edgesr.{room}.stage" for room in ("training", "deploy", "verify", "report", "fit")]
LOADED += ["edgesr.cli", "edgesr.blend", "edgesr.quality.compare"]
LIMIT = 300.0
"""Seconds that any command may take here; one that takes longer hangs."""


def context() -> BaseContext:
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    forking = get_context("forkserver")
    forking.set_forkserver_preload(LOADED)
    return forking


CONTEXT = context()


def nothing() -> None:
    """What a command does before it begins, unless told."""


class Ended(NamedTuple):
    """A command that has ended: its exit code, or minus the signal that ended it; what it said."""

    code: int
    said: str

    @property
    def told(self) -> bool:
        """Whether it ended well, or in one message."""
        return self.code in (0, 1, 2, 3, 4) and "Traceback" not in self.said

    def __str__(self) -> str:
        return f"exit code {self.code}: {' / '.join(self.said.strip().splitlines()[-3:])[-300:]}"


class Command:
    """`edgesr WORDS` in `folder`, begun, with a session of its own.

    Args:
        before: what the process does first, e.g. give up its rights; a function of a module.
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        before: Callable[[], None] = nothing,
        **environment: str,
    ) -> None:
        self._said = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed when it is read
        settings = os.environ | {"COLUMNS": "80", "OMP_NUM_THREADS": "1"} | environment
        arguments = (folder, words, settings, self._said.name, before)
        self._process: BaseProcess = CONTEXT.Process(target=_run, args=arguments)
        self._process.start()
        self.pid = int(self._process.pid or 0)

    def wait(self) -> Ended:
        """Its end; one that hangs is ended, which shows as signal 9."""
        self._process.join(LIMIT)
        if self._process.exitcode is None:
            self.kill()
            self._process.join()
        with self._said as said:
            words = said.read().decode(errors="replace")
        return Ended(int(self._process.exitcode or 0), words)

    def kill(self) -> None:
        """End it, and what it has started, as a machine that loses its power would."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (AttributeError, ProcessLookupError):  # Windows; it has no session yet
            self._process.kill()


def edgesr(folder: Path, *words: str, code: int = 0, **environment: str) -> str:
    """What `edgesr WORDS` prints in `folder`; its exit code must be `code`."""
    ended, said = run(folder, *words, **environment)
    assert ended == code, f"edgesr {' '.join(words)}\n{said}"
    assert "Traceback" not in said
    return said


def run(
    folder: Path, *words: str, before: Callable[[], None] = nothing, **environment: str
) -> Ended:
    """`edgesr WORDS` in `folder`, to its end; see `Command`."""
    return Command(folder, *words, before=before, **environment).wait()


def _run(
    folder: Path,
    words: tuple[str, ...],
    environment: dict[str, str],
    said: str,
    before: Callable[[], None],
) -> None:
    if hasattr(os, "setsid"):
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    warnings.simplefilter("error")
    before()
    sys.argv = [str(Path(sys.executable).with_name("edgesr")), *words]
    from edgesr.cli import main

    main()
