"""What every part of the campaign works with: tiny networks, and commands in forked children.

A child is forked from a process that has loaded edgesr once, so that a command starts in
milliseconds, and dies by a signal as a process that was started does.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

LIMIT = 120.0
"""Seconds that any command may take here; one that takes longer hangs."""
RECIPE = """
name = "tiny"
[model]
arch = "edge"
channels = 4
depth = 1
[teacher]
path = "runs/big/model.safetensors"
[data]
photos = "photographs"
validation = 1
[losses]
teacher_l1 = 0.5
[training]
steps = 6
batch = 2
patch = 32
device = "cpu"
checkpoint_every = 2
validate_every = 3
log_every = 1
[verify]
size = "16x12"
shapes = []
threads = 1
runs = 5
"""


@dataclass
class Tally:
    """What became of one kind of case.

    Attributes:
        faults: one line for each case that failed: how to do it again, and what was wrong.
        skipped: why there is no case.
    """

    kind: str
    cases: int = 0
    faults: list[str] = field(default_factory=list)
    skipped: str = ""

    def expect(self, holds: bool, how: str) -> None:
        """Count a case, as a failure unless it holds."""
        self.cases += 1
        if not holds:
            self.faults.append(how)


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code, or minus the signal that ended it; what it said."""

    code: int
    said: str

    @property
    def told(self) -> bool:
        """Whether it ended well, or in one message."""
        return self.code in (0, 1, 2, 3, 4) and "Traceback" not in self.said

    def __str__(self) -> str:
        return f"exit code {self.code}: {' / '.join(self.said.strip().splitlines()[-3:])[-300:]}"


@dataclass
class Bench:
    """One campaign: its random numbers, its end, and a folder with two bundles and three runs."""

    folder: Path
    rng: random.Random
    end: float

    @property
    def over(self) -> bool:
        return time.monotonic() > self.end

    def share(self, part: float) -> Iterator[int]:
        """Count from 0 until `part` of the time that is left has passed, once at the least."""
        stop = time.monotonic() + part * max(self.end - time.monotonic(), 0)
        number = 0
        while number == 0 or time.monotonic() < stop:
            yield number
            number += 1

    def copy(self, to: Path) -> Path:
        """A copy of the folder to do harm to."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to)
        return to


def start(folder: Path, words: list[str], before: Callable[[], None] = lambda: None) -> int:
    """Begin `edgesr WORDS` in `folder`; its output goes to `folder/.said`.

    Args:
        before: what the child does first, e.g. give up its rights.

    Returns:
        The child's process id.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.chdir(folder)
        said = os.open(_said(folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(said, 1)
        os.dup2(said, 2)
        before()
        os._exit(_main(words))
    except BaseException as error:
        os.write(2, f"Traceback of the campaign itself: {error!r}\n".encode())
        os._exit(99)


def _main(words: list[str]) -> int:
    from edgesr.cli import main

    sys.argv = ["edgesr", *words]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def wait(pid: int, folder: Path, limit: float = LIMIT) -> Ended:
    """The end of a child; one that hangs is ended, which shows as signal 9."""
    end = time.monotonic() + limit
    while (done := os.waitpid(pid, os.WNOHANG))[0] == 0:
        if time.monotonic() > end:
            kill(pid)
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(done[1])
    return Ended(code, _said(folder).read_text(encoding="utf-8", errors="replace"))


def kill(pid: int) -> None:
    """End a child, and what it has started, as a machine that loses its power would."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(pid, signal.SIGKILL)


def run(folder: Path, *words: str, before: Callable[[], None] = lambda: None) -> Ended:
    """`edgesr WORDS` in `folder`, to its end."""
    return wait(start(folder, list(words), before), folder)


def _said(folder: Path) -> Path:
    return Path(tempfile.gettempdir()) / f"edgesr-campaign-{abs(hash(str(folder)))}.said"


def state(folder: Path, *parts: str) -> dict[str, str]:
    """The SHA-256 of every file below `parts` of `folder`, by path; locks and `latest` left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for part in parts
        for path in sorted((folder / part).rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def left_behind(folder: Path) -> list[str]:
    """What edgesr has written beside its places and not taken away; by design locks stay, and so
    does what a verification had measured."""
    kept = (".lock", ".verify.json")
    found = (path for path in folder.rglob(".edgesr-*") if not path.name.endswith(kept))
    return sorted(str(path.relative_to(folder)) for path in found)


def prepare(folder: Path) -> None:
    """Photographs, recipes; a teacher `big`, its students `tiny` and `other`, two bundles."""
    (folder / "photographs").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(3):
        small = Image.fromarray(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8))
        small.resize((80, 64), Image.Resampling.BICUBIC).save(folder / f"photographs/{i}.png")
    (folder / "recipe.toml").write_text(RECIPE)
    teacher = RECIPE.replace('"tiny"', '"big"').replace("teacher_l1 = 0.5", "")
    teacher = teacher.replace('[teacher]\npath = "runs/big/model.safetensors"\n', "")
    (folder / "teacher.toml").write_text(teacher)
    for words in (
        ["train", "teacher.toml", "--set", "training.steps=80", "--set", "training.lr=5e-3"],
        ["distill", "recipe.toml", "--set", "name=other", "--set", "seed=1"],
        ["distill", "recipe.toml"],
        ["export", "--onnx"],
        ["verify", "tiny"],
    ):
        ended = run(folder, *words)
        if ended.code not in (0, 1):
            raise SystemExit(f"the campaign cannot begin: edgesr {' '.join(words)}: {ended}")
