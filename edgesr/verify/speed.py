"""Latency, throughput and memory of an ONNX file, measured in a process of its own.

In one process the idle thread pools of other sessions take the cores, and memory cannot be told
apart. The worker is this file, run as a module; it imports no torch:

    python -m edgesr.verify.speed '{"model": ..., "provider": "cpu", ...}'
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgesr.deploy.session import Provider, open_session
from edgesr.errors import VerifyError
from edgesr.recipe import Verify, parse_size

WARMUP = 3
SCALE = 4


def speed(model: Path, provider: Provider, settings: Verify) -> dict[str, Any]:
    """Time `model` at batch 1 on noise of the recipe's size.

    Returns:
        p50_ms and p95_ms of the latency, images_per_s and output_megapixels_per_s (one request
        at a time), peak_memory_mb of the process above what it held with its libraries loaded
        (None on other systems than Linux), and the settings.

    Raises:
        VerifyError: the measuring process failed.
    """
    job = {
        "model": str(model),
        "provider": provider,
        "threads": settings.threads,
        "size": settings.size,
        "runs": settings.runs,
    }
    command = [sys.executable, "-m", "edgesr.verify.speed", json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise VerifyError(f"timing {model} failed: {reason}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def summarise(seconds: list[float], width: int, height: int) -> dict[str, float]:
    """Percentiles and rates of latencies in seconds for a width x height LR image."""
    p50, p95 = np.percentile(seconds, [50, 95])
    return {
        "p50_ms": 1e3 * float(p50),
        "p95_ms": 1e3 * float(p95),
        "images_per_s": 1 / float(np.mean(seconds)),
        "output_megapixels_per_s": SCALE**2 * width * height / 1e6 / float(np.mean(seconds)),
    }


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """What the worker does: open, warm up, time, report."""
    before = peak_memory_mb()
    width, height = parse_size(job["size"])
    session = open_session(Path(job["model"]), provider=job["provider"], threads=job["threads"])
    lr = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
    seconds = []
    for _ in range(WARMUP + job["runs"]):
        start = time.perf_counter()
        session.run(None, {"lr": lr})
        seconds.append(time.perf_counter() - start)
    after = peak_memory_mb()
    return {
        "provider": session.get_providers()[0],
        "threads": job["threads"],
        "size": job["size"],
        "batch": 1,
        "warmup": WARMUP,
        "runs": job["runs"],
        **summarise(seconds[WARMUP:], width, height),
        "peak_memory_mb": None if before is None or after is None else after - before,
    }


def peak_memory_mb() -> float | None:
    """The most memory that this process has held, in MB; None where Linux does not tell it."""
    # Not getrusage: its peak is inherited from the process that started this one.
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return None
    kibibytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kibibytes[0]) * 1024 / 1e6 if kibibytes else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(json.loads(sys.argv[1]))))
