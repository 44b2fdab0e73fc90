"""What every part of the campaign works with: tiny networks, and what became of the cases."""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tests.commands import run

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
