"""Commands as a user types them, each in a process of its own.

The processes are forked from one that has loaded edgesr once: a command starts in a tenth of a
second instead of the five that torch and ONNX take to load.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path

LOADED = [f"edgesr.{room}.stage" for room in ("training", "deploy", "verify", "report", "fit")]
LIMIT = 300.0
"""Seconds that any command may take here; one that takes longer hangs."""


def context() -> BaseContext:
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    forking = get_context("forkserver")
    forking.set_forkserver_preload(["edgesr.cli", *LOADED])
    return forking


CONTEXT = context()


def edgesr(folder: Path, *words: str, code: int = 0, **environment: str) -> str:
    """What `edgesr WORDS` prints in `folder`; its exit code must be `code`."""
    ended, said = run(folder, *words, **environment)
    assert ended == code, f"edgesr {' '.join(words)}\n{said}"
    assert "Traceback" not in said
    return said


def run(folder: Path, *words: str, **environment: str) -> tuple[int, str]:
    """The exit code of `edgesr WORDS` in `folder`, and what it printed."""
    with tempfile.NamedTemporaryFile() as said:
        settings = {"COLUMNS": "80", "OMP_NUM_THREADS": "1"} | environment
        arguments = (folder, words, os.environ | settings, said.name)
        process = CONTEXT.Process(target=_run, args=arguments)
        process.start()
        process.join(LIMIT)
        if process.exitcode is None:
            process.kill()
            process.join()
        return int(process.exitcode or 0), said.read().decode()


def _run(folder: Path, words: tuple[str, ...], environment: dict[str, str], said: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(said, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    warnings.simplefilter("error")
    sys.argv = [str(Path(sys.executable).with_name("edgesr")), *words]
    from edgesr.cli import main

    main()
