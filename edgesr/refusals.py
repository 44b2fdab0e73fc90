"""What the machine refuses, told from defects, whichever library says it in whichever words."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path

from edgesr.errors import MachineError
from edgesr.workspace import TEMPORARY

REMEDIES = {
    errno.ENOSPC: "Free some space, or work on another disk.",
    errno.EDQUOT: "Free some of your quota, or work on another disk.",
    errno.EFBIG: "Allow larger files (ulimit -f), or work on another disk.",
    errno.EROFS: "The disk cannot be written: work in another folder.",
    errno.EACCES: "Give yourself the permission, or name another place.",
    errno.EPERM: "Give yourself the permission, or name another place.",
    errno.EMFILE: "Allow more open files: ulimit -n 4096.",
    errno.ENFILE: "Close other programs: the system has no more files to open.",
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.ENOENT: "Look at the path: is it spelt as it is on the disk?",
    errno.EISDIR: "Name a file.",
    errno.ENOTDIR: "Part of that path is a file: name another place.",
    errno.EIO: "Look after the disk: it reports damage.",
    errno.ENOMEM: "Close other programs, or take smaller sizes.",
}
MEMORY = re.compile(
    r"can't allocate memory|out of memory|bad.alloc|[Ff]ailed to allocate|Cannot allocate memory"
)
"""How libraries that know no MemoryError put it."""
OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How safetensors names the system's error."""
TORCH_WRITE = re.compile(r"PytorchStreamWriter failed|file write failed|inline_container\.cc")


def as_refusal(error: Exception) -> MachineError | None:
    """What the machine refuses, in words; None for anything else, which is a defect."""
    text = str(error)
    if isinstance(error, MemoryError) or MEMORY.search(text):
        return MachineError(
            "there is not enough memory for this" + _where(error),
            "Take a smaller batch, patch, network or picture, or close other programs.",
        )
    if isinstance(error, RecursionError):
        return MachineError("a file is nested too deeply to be read" + _where(error))
    if isinstance(error, UnicodeError):
        return MachineError(f"text that is not UTF-8: {text}" + _where(error))
    if isinstance(error, OSError):
        return _system(error, error.errno or 0)
    if found := OS_ERROR.search(text):
        return _system(OSError(int(found[1]), os.strerror(int(found[1]))), int(found[1]), error)
    if TORCH_WRITE.search(text):
        return MachineError("a file could not be written" + _where(error), REMEDIES[errno.ENOSPC])
    return None


def _system(error: OSError, number: int, raised: Exception | None = None) -> MachineError:
    reason = error.strerror or str(error) or type(error).__name__
    named = str(error.filename) if error.filename is not None else ""
    # The name of a temporary file says nothing to a user; the note has the one that it becomes.
    path = str(Path(named).parent) if TEMPORARY in named else named
    head = f"{path}: {reason}" if path else reason
    return MachineError(head + _where(raised or error), REMEDIES.get(number, ""))


def _where(error: Exception) -> str:
    notes = getattr(error, "__notes__", [])
    with suppress(IndexError):
        return f" ({notes[0]})"
    return ""
