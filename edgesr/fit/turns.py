"""Latency of several model files that take turns, in a process that imports no torch.

    python -m edgesr.fit.turns '{"runtime": "cpu", "models": [...], "size": "320x180", ...}'

In its turn a file is opened, warmed up, timed and closed: it is alone on the cores, as it is where
`edgesr verify` times it, and a drift of the machine meets all files alike.
"""

from __future__ import annotations

import json
import math
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from edgesr.children import follow
from edgesr.runtimes.base import Name, Runtime, Tensor
from edgesr.runtimes.registry import load
from edgesr.verify.speed import WARMUP, in_process, noise, percentiles

TURNS = 4
RUNS = 5


def in_turn(
    runtime: Name, models: list[Path], *, size: str, threads: int, patience: float = math.inf
) -> list[dict[str, float]]:
    """Time `models` at batch 1 on noise, `TURNS` times `RUNS` runs each.

    Args:
        size: LR "WIDTHxHEIGHT".
        patience: seconds; a file whose first run takes longer is not run again in its turn.

    Returns:
        For each file what `verify.speed.percentiles` says: min_ms, p50_ms and p95_ms.

    Raises:
        VerifyError: the measuring process failed.
    """
    job: dict[str, Any] = {
        "runtime": runtime,
        "models": list(map(str, models)),
        "size": size,
        "threads": threads,
        "patience": patience,
    }
    measured: list[dict[str, float]] = in_process(
        "edgesr.fit.turns", job, f"timing networks on {runtime}"
    )
    return measured


def measure(job: dict[str, Any]) -> list[dict[str, float]]:
    """What the worker does."""
    runtime, lr = load(job["runtime"]), noise(job["size"], "float32")
    seconds: list[list[float]] = [[] for _ in job["models"]]
    for _ in range(TURNS):
        for model, taken in zip(job["models"], seconds, strict=True):
            taken += _turn(runtime, Path(model), lr, job)
    return [percentiles(taken) for taken in seconds]


def _turn(runtime: Runtime, model: Path, lr: Tensor, job: dict[str, Any]) -> list[float]:
    """Seconds of each run after the warm-up."""
    with closing(runtime.open(model, threads=job["threads"])) as running:
        if (first := running.run(lr)[1]) > job["patience"]:
            return [first]
        return [running.run(lr)[1] for _ in range(WARMUP + RUNS - 1)][WARMUP - 1 :]


if __name__ == "__main__":
    follow()
    sys.stdout.write(json.dumps(measure(json.loads(sys.argv[1]))) + "\n")
