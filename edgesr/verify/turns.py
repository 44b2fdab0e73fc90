"""Latency of several model files that take turns, in a process that imports no torch.

    python -m edgesr.verify.turns '{"files": [...], "size": "320x180", ...}'

In its turn a file is opened, warmed up, timed and closed: it is alone on the cores, as it is where
`edgesr verify` times it, and a drift of the machine meets all files alike.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgesr.children import follow
from edgesr.runtimes.base import Name
from edgesr.runtimes.registry import load
from edgesr.verify.quiet import Watch
from edgesr.verify.speed import WARMUP, in_process, noise, percentiles

TURNS = 4
RUNS = 5


@dataclass(frozen=True)
class Timed:
    """A file on a runtime; see `verify.jobs.Job`.

    Attributes:
        colours: channels that it takes.
        size: LR "WIDTHxHEIGHT" of the one size that it takes; empty where it takes any.
    """

    model: Path
    runtime: Name = "cpu"
    dtype: str = "float32"
    exact: bool = True
    size: str = ""
    colours: int = 3


@dataclass(frozen=True)
class Taken:
    """Attributes:
    rows: for each file what `verify.speed.percentiles` says: min_ms, p50_ms and p95_ms.
    noisy: why they are not to be judged, see `verify.quiet`; empty where the machine was quiet.
    """

    rows: list[dict[str, float]]
    noisy: str


def in_turn(
    files: Sequence[Timed], *, size: str, threads: int, patience: float = math.inf
) -> Taken:
    """Time `files` at batch 1 on noise, `TURNS` times `RUNS` runs each.

    Args:
        size: LR "WIDTHxHEIGHT", of files that take any.
        patience: seconds; a file whose first run takes longer is not run again in its turn.

    Raises:
        VerifyError: the measuring process failed.
    """
    job: dict[str, Any] = {
        "files": [asdict(file) | {"model": str(file.model)} for file in files],
        "size": size,
        "threads": threads,
        "patience": patience,
    }
    runtimes = ", ".join(dict.fromkeys(file.runtime for file in files))
    measured = in_process("edgesr.verify.turns", job, f"timing networks on {runtimes}")
    return Taken(measured["rows"], measured["noisy"])


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """What the worker does."""
    files = [Timed(**file | {"model": Path(file["model"])}) for file in job["files"]]
    seconds: list[list[float]] = [[] for _ in files]
    watch = Watch(job["threads"])
    for _ in range(TURNS):
        for file, taken in zip(files, seconds, strict=True):
            taken += _turn(file, job)
    return {"rows": [percentiles(taken) for taken in seconds], "noisy": watch.stop().noise}


def _turn(file: Timed, job: dict[str, Any]) -> list[float]:
    """Seconds of each run after the warm-up."""
    lr = noise(file.size or job["size"], file.dtype, file.colours)
    runtime = load(file.runtime)
    with closing(runtime.open(file.model, threads=job["threads"], exact=file.exact)) as running:
        if (first := running.run(lr)[1]) > job["patience"]:
            return [first]
        return [running.run(lr)[1] for _ in range(WARMUP + RUNS - 1)][WARMUP - 1 :]


if __name__ == "__main__":
    follow()
    sys.stdout.write(json.dumps(measure(json.loads(sys.argv[1]))) + "\n")
