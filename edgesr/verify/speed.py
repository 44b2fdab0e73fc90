"""Latency, throughput and memory of a model file, measured in a process of its own.

In one process the idle thread pools of other sessions take the cores, and memory cannot be told
apart. The worker is this file, run as a module; it imports no torch:

    python -m edgesr.verify.speed '{"runtime": "cpu", "model": ..., "sizes": ["128x128"], ...}'
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgesr.bounds import parse_size
from edgesr.children import follow, lifeline
from edgesr.errors import VerifyError
from edgesr.runtimes.base import Name, Running, Runtime, Tensor
from edgesr.runtimes.registry import load
from edgesr.verify.quiet import Watch

WARMUP = 3


def speed(
    runtime: Name,
    model: Path,
    *,
    sizes: list[str],
    threads: int,
    runs: int,
    dtype: str = "float32",
    colours: int = 3,
    exact: bool = True,
) -> dict[str, Any]:
    """Time `model` at batch 1 on noise.

    Args:
        sizes: LR "WIDTHxHEIGHT"; the headline is the first one's.
        dtype, colours: what the file takes: float32, float16 or uint8; channels.
        exact: as `runtimes.base.Runtime.open`.

    Returns:
        What the runtime says of itself; open_ms, and cold_start_ms, which is opening and the first
        run; min_ms, p50_ms and p95_ms of the latency at the first size, images_per_s and
        output_megapixels_per_s (one request at a time); peak_memory_mb of the process at the first
        size, above what it held with its libraries loaded (None on other systems than Linux); and
        in "shapes", for each further size in turn, first_ms of its first run and p50_ms and p95_ms
        of the later ones; noisy, why the latencies are not to be judged, and "surroundings", see
        `verify.quiet`.

    Raises:
        VerifyError: the measuring process failed.
    """
    job = {
        "runtime": runtime,
        "model": str(model),
        "sizes": sizes,
        "threads": threads,
        "runs": runs,
        "dtype": dtype,
        "colours": colours,
        "exact": exact,
    }
    measured: dict[str, Any] = in_process(
        "edgesr.verify.speed", job, f"timing {model} on {runtime}"
    )
    return measured


def in_process(module: str, job: dict[str, Any], doing: str) -> Any:
    """What `module`, run with `job` in a process of its own, prints as JSON on its last line.

    Raises:
        VerifyError: it failed; `doing` says at what.
    """
    command = [sys.executable, "-m", module, json.dumps(job)]
    with lifeline() as line:
        done = subprocess.run(command, stdin=line, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise VerifyError(f"{doing} failed: {reason}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """What the worker does: open, time each size, report, and what else the machine did."""
    runtime = load(job["runtime"])
    watch = Watch(job["threads"])
    found = _measured(runtime, job)
    return found | watch.stop().as_dict()


def _measured(runtime: Runtime, job: dict[str, Any]) -> dict[str, Any]:
    first, *others = job["sizes"]
    with closing(
        runtime.open(Path(job["model"]), threads=job["threads"], exact=job["exact"])
    ) as model:
        cold, headline, pixels = _time(model, first, job)
        peak = model.memory_mb()
        return {
            **asdict(model.describe()),
            "size": first,
            "batch": 1,
            "warmup": WARMUP,
            "runs": job["runs"],
            "open_ms": 1e3 * model.open_seconds,
            "cold_start_ms": 1e3 * (model.open_seconds + cold),
            **summarise(headline, pixels),
            "peak_memory_mb": peak,
            "shapes": [_shape(model, size, job) for size in others],
        }


def _shape(model: Running, size: str, job: dict[str, Any]) -> dict[str, Any]:
    """A size that the model has not seen, in a process that is warm."""
    first, later, _ = _time(model, size, job)
    found = percentiles(later)
    return {
        "size": size,
        "first_ms": 1e3 * first,
        "p50_ms": found["p50_ms"],
        "p95_ms": found["p95_ms"],
    }


def _time(model: Running, size: str, job: dict[str, Any]) -> tuple[float, list[float], int]:
    """Seconds of the first run, and of the runs after the warm-up; pixels of the result."""
    lr = noise(size, job["dtype"], job["colours"])
    sr, first = model.run(lr)
    later = [model.run(lr)[1] for _ in range(WARMUP - 1 + job["runs"])]
    return first, later[WARMUP - 1 :], sr.size // job["colours"]


def noise(size: str, dtype: str, colours: int = 3) -> Tensor:
    """One picture of noise, as a model file takes it."""
    width, height = parse_size(size)
    rng = np.random.default_rng(0)
    if dtype == "uint8":
        return rng.integers(0, 256, (1, height, width, colours), dtype=np.uint8)
    return rng.random((1, colours, height, width), dtype=np.float32).astype(dtype)


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Least, median and 95th percentile of latencies, in ms."""
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"min_ms": 1e3 * min(seconds), "p50_ms": 1e3 * float(p50), "p95_ms": 1e3 * float(p95)}


def summarise(seconds: list[float], pixels: int) -> dict[str, float]:
    """Percentiles and rates of latencies in seconds for a result of so many pixels."""
    return percentiles(seconds) | {
        "images_per_s": 1 / float(np.mean(seconds)),
        "output_megapixels_per_s": pixels / 1e6 / float(np.mean(seconds)),
    }


if __name__ == "__main__":
    follow()
    sys.stdout.write(json.dumps(measure(json.loads(sys.argv[1]))) + "\n")
