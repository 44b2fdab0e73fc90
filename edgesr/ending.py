"""How a command ends: its exit code, and one message for what a user or a machine got wrong."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from edgesr import console, extras, streams
from edgesr.errors import EdgesrError
from edgesr.refusals import as_refusal
from edgesr.signals import Stopped, stoppable

OUTPUT_LOST = 4
DEFECT = 70
PATIENCE = 5.0
"""Seconds."""
LAUNCHER = os.getppid()


def run(command: Callable[[], object]) -> NoReturn:
    """Run `command` and end the process with the exit code that says how it went.

    0: done. 1: what was looked at does not hold. 2: a fault of the user's. 3: the machine refused.
    4: done, but output was lost. 70: a defect. 128 + N: stopped by signal N.
    """
    guarded = streams.guard()
    code = _code(command)
    if lost := streams.losses(guarded):
        code = code or OUTPUT_LOST
        if reasons := [reason for reason in lost if reason]:
            console.err.print(f"error: output was lost: {', '.join(reasons)}", style="red")
    sys.exit(code)


def _code(command: Callable[[], object]) -> int:
    try:
        with stoppable():
            command()
    except SystemExit as ended:
        return _number(ended.code)
    except Stopped as stopped:
        if not _is_first():
            return stopped.exit_code
        console.err.print(f"{stopped}")
        return stopped.exit_code
    except EdgesrError as error:
        return _tell(error)
    except Exception as error:
        told = extras.absent(error) or as_refusal(error)
        return _tell(told) if told else _defect()
    return 0


def _number(code: str | int | None) -> int:
    return code if isinstance(code, int) else int(code is not None)


def _tell(error: EdgesrError) -> int:
    if _is_told_by_another(error):
        return error.exit_code
    head = "error: " if error.is_fault else ""
    style = "red" if error.is_fault else None
    console.err.print(head + _indented(error.message), style=style, soft_wrap=True)
    if error.remedy:
        console.err.print(_indented(error.remedy), soft_wrap=True)
    if named := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        _tell_torchrun(Path(named), f"{head}{error}")
    return error.exit_code


def _tell_torchrun(path: Path, text: str) -> None:
    """Leave `text` where torchrun looks for the reason: it ends every failure with a traceback of
    its own and a table, which then says what went wrong."""
    reason = {"py_callstack": text, "timestamp": str(int(time.time()))}
    message = {"message": {"message": text, "extraInfo": reason}}
    with suppress(OSError):
        path.write_text(json.dumps(message), encoding="utf-8")


def _is_first() -> bool:
    """Whether this is the only process of a training on this machine, or the first of them."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _is_told_by_another(error: EdgesrError) -> bool:
    """Whether the first of the processes that share a training says the same.

    They have the same command and the same files, so a fault of the user's is everybody's. When the
    first one has told it and ends, the launcher ends the others, or is that process itself. Whoever
    is left after `PATIENCE` has a fault of its own.
    """
    if _is_first() or not error.is_fault:
        return not _is_first()
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if os.getppid() != LAUNCHER:
            return True
        time.sleep(0.05)
    return False


def _indented(text: str) -> str:
    """A line break in a file's name cannot begin what looks like another message."""
    return text.replace("\n", "\n  ")


def _defect() -> int:
    traceback.print_exc()
    console.err.print(
        "This is a defect of edgesr. Please report it with the lines above, the command and what "
        "edgesr doctor says.",
        soft_wrap=True,
    )
    return DEFECT
