"""The first hour of a GPU: tests, evidence, benchmarks and a training on CUDA, in one command.

    make gpu PHOTOS=DIR      within 45 minutes on one card; writes docs/gpu.json and docs/gpu.md
    make gpu DRY=1           the same on the CPU, all of it reduced; writes into runs/gpu-dry/

Each job is a command with a limit of time. What came of it is written down as soon as it ends:
passed, failed and why, or left out for lack of time; a job that fails does not keep the next one
from running. What they print is kept in full beside, in a folder that the report names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from command import in_words

from edgesr import console
from edgesr.errors import DataError, VerifyError
from edgesr.inference.infer import infer
from edgesr.inference.session import Provider, open_session
from edgesr.machine import machine
from edgesr.workspace import write_json

ROOT = Path(__file__).resolve().parents[1]
MINUTES = 45.0
GRACE = 120.0
"""Seconds in which a job that is asked to stop must have ended."""


@dataclass(frozen=True)
class Job:
    """A command, and how long it may take.

    Attributes:
        reads: the folder whose JSON files say what came of it; None where its output does.
        endless: whether it is asked to stop when its time is over, and has passed then.
    """

    name: str
    command: list[str]
    minutes: float
    reads: Path | None = None
    endless: bool = False


@dataclass
class Hour:
    """The jobs of one call, and what is known of them so far.

    Attributes:
        out: where their output goes; `report` is the file that all is written to.
    """

    out: Path
    report: Path
    facts: dict[str, Any]
    minutes: float
    began: float = field(default_factory=time.monotonic)
    done: list[dict[str, Any]] = field(default_factory=list)

    def left(self) -> float:
        """Seconds."""
        return 60 * self.minutes - (time.monotonic() - self.began)

    def run(self, job: Job) -> None:
        """Run `job` in the time that is left, and write down what came of it."""
        limit = min(60 * job.minutes, self.left())
        began = time.monotonic()
        if limit < 1:
            found: dict[str, Any] = {"outcome": "left out", "reason": "no time was left"}
        else:
            found = attempt(job, limit, self.out)
        seconds = round(time.monotonic() - began, 1)
        command = " ".join(job.command[1:])
        self.done.append({"name": job.name, "command": command, "seconds": seconds, **found})
        self.write()
        reason = f": {found['reason']}" if found["reason"] else ""
        console.say(f"{job.name}: {found['outcome']}{reason} ({console.duration(seconds)})")

    def write(self) -> None:
        write_json(self.report, {**self.facts, "jobs": self.done})


def attempt(job: Job, limit: float, out: Path) -> dict[str, Any]:
    """What came of `job` in at most `limit` seconds, and all that it printed."""
    path = out / f"{job.name}.txt"
    with path.open("w", encoding="utf-8") as printed:
        running = subprocess.Popen(
            job.command, stdout=printed, stderr=subprocess.STDOUT, cwd=ROOT, text=True
        )
        stopped = not _ended(running, limit)
        if stopped:
            running.terminate()
            if not _ended(running, GRACE):
                running.kill()
                running.wait()
    text = path.read_text(encoding="utf-8", errors="replace")
    found = {"outcome": "passed", "reason": "", "output": text[-20_000:]}
    if stopped and job.endless and running.returncode in (0, 143):
        found["reason"] = "stopped when its time was over"
    elif stopped:
        found |= {"outcome": "failed", "reason": f"took longer than {limit / 60:.1f} minutes"}
    elif running.returncode:
        last = (text.strip().splitlines() or ["it printed nothing"])[-1]
        found |= {"outcome": "failed", "reason": f"exit code {running.returncode}: {last}"}
    return found | ({} if job.reads is None else {"read": list(_read(job.reads))})


def _ended(running: subprocess.Popen[str], limit: float) -> bool:
    try:
        running.wait(limit)
    except subprocess.TimeoutExpired:
        return False
    return True


def _read(folder: Path) -> Iterator[dict[str, Any]]:
    """What stands in the evidence of a bundle, or in the log of a training; the longest lists,
    which repeat what others say, left out."""
    for path in sorted(folder.rglob("verify.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        parity = [{k: v for k, v in row.items() if k != "cases"} for row in found["parity"]]
        keys = ("bundle", "providers", "speed", "quality", "passed")
        yield {key: found[key] for key in keys} | {"parity": parity}
    for path in sorted(folder.rglob("log.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        yield {"steps": lines[-1]["step"] if lines else 0, "log": lines[:: len(lines) // 200 + 1]}


def jobs(out: Path, photographs: Path, minutes: float) -> Iterator[Job]:
    """All of them on CUDA, in the order in which their results matter."""
    yield Job("tests", _python("-m", "pytest", "-m", "cuda", *TESTS), 8)
    yield Job("profile", _python("benchmarks/gpu.py", "--profile", "cuda", "--out", str(out)), 2)
    for bundle in sorted(path.parent for path in (ROOT / "exports").glob("*/card.json")):
        where = out / "verify"
        command = ("verify", str(bundle), "--provider", "cuda", "--output", str(where), "--quiet")
        yield Job(f"verify {bundle.name}", _edgesr(*command), 3, where / bundle.name)
    yield Job("runtimes", _python("benchmarks/runtimes.py", "--sizes", "128x128", "320x180"), 5)
    tiers = ("--provider", "cuda", "--sizes", "128x128", "320x180")
    yield Job("tiers", _python("benchmarks/tiers.py", *tiers), 5)
    every = ("fp32", "tf32", "fp16-mixed", "bf16-mixed")
    steps = ("--device", "cuda", "--networks", "edge", "n4", "--precisions", *every)
    where = ("--data", str(photographs), "--workers", "8", "--rounds", "3")
    yield Job("training", _python("benchmarks/training.py", *steps, *where), 8)
    often = ("--set", "training.validate_every=2000", "--set", "training.checkpoint_every=2000")
    cuda = ("--set", "training.device=cuda", "--set", f"data.photos={photographs}")
    recipe = (str(ROOT / "recipes/teacher.toml"), *often, *cuda, "--quiet")
    yield Job("teacher", _train(out, *recipe), minutes, out / "runs", endless=True)


def dry_jobs(out: Path) -> Iterator[Job]:
    """The same on the CPU: one bundle, one size, a few runs and steps."""
    yield Job("tests", _python("-m", "pytest", "-m", "cuda", *TESTS), 3)
    yield Job("profile", _python("benchmarks/gpu.py", "--profile", "cpu", "--out", str(out)), 1)
    where = out / "verify"
    command = ("verify", str(ROOT / "exports/edge-xs"), "--provider", "cpu", "--quick")
    evidence = ("--output", str(where), "--quiet")
    yield Job("verify edge-xs", _edgesr(*command, *evidence), 1, where / "edge-xs")
    little = ("--sizes", "16x16", "--runs", "1", "--threads", "1")
    yield Job("runtimes", _python("benchmarks/runtimes.py", *little, "--rounds", "1"), 1)
    yield Job("tiers", _python("benchmarks/tiers.py", *little), 1)
    short = ("--steps", "1", "--rounds", "1", "--batch", "2", "--patch", "32", "--threads", "1")
    yield Job("training", _python("benchmarks/training.py", *short, "--precisions", "fp32"), 2)
    few = ("steps=4", "batch=2", "patch=32", "validate_every=4", "log_every=2", "device=cpu")
    settings = [part for each in few for part in ("--set", f"training.{each}")]
    recipe = (str(ROOT / "recipes/teacher.toml"), "--small", *settings, "--quiet")
    yield Job("teacher", _train(out, *recipe), 2, out / "runs", endless=True)


TESTS = ("tests/cuda", "tests/inference/test_session.py")


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _edgesr(*arguments: str) -> list[str]:
    return _python("-m", "edgesr", *arguments)


def _train(out: Path, *arguments: str) -> list[str]:
    """`edgesr train` whose runs/ is in `out`."""
    inside = "import os, sys; os.chdir(sys.argv.pop(1)); from edgesr.__main__ import main; main()"
    return _python("-c", inside, str(out), "train", *arguments, "--fresh")


def profile(provider: Provider, out: Path) -> None:
    """Keep what ONNX Runtime's profiler says of one run, as the proof of the provider reads it."""
    file = ROOT / "exports/edge-xs/model.onnx"
    session = open_session(file, provider=provider, profile=out / "profile")
    infer(session, np.zeros((1, 3, 64, 64), np.float32))
    console.say(session.end_profiling())


def facts(dry: bool) -> dict[str, Any]:
    """The card and the versions that all results belong to."""
    versions = {
        "torch": torch.__version__,
        "CUDA of torch": torch.version.cuda,
        "cuDNN of torch": torch.backends.cudnn.version(),
        "ONNX Runtime": onnxruntime.__version__,
    }
    if dry:
        return {"dry": True, "card": "none: the CPU", **machine(), "versions": versions}
    card = torch.cuda.get_device_properties(0)
    about = {"card": card.name, "memory_mb": card.total_memory // 10**6, "cards": _cards()}
    return {"dry": False, **about, "capability": f"{card.major}.{card.minor}", "versions": versions}


def _cards() -> int:
    return int(torch.cuda.device_count())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dry", action="store_true", help="on the CPU, all of it reduced")
    parser.add_argument("--photos", type=Path, default=Path("data/DIV2K"), help="to train on")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--out", type=Path, help="runs/gpu, or runs/gpu-dry")
    parser.add_argument("--profile", choices=("cpu", "cuda"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    out = (options.out or ROOT / ("runs/gpu-dry" if options.dry else "runs/gpu")).resolve()
    if options.profile:
        return profile(options.profile, out)
    if not options.dry and not torch.cuda.is_available():
        raise VerifyError("no CUDA device works here", "See edgesr doctor. Without one: DRY=1.")
    if not options.dry and not options.photos.is_dir():
        raise DataError(f"there are no photographs in {options.photos}", "Give PHOTOS=DIR.")
    out.mkdir(parents=True, exist_ok=True)
    os.environ |= {"PYTHONPATH": str(ROOT), "EDGESR_ON_CPU": "1" if options.dry else ""}
    docs = out if options.dry else ROOT / "docs"
    hour = Hour(out, docs / "gpu.json", facts(options.dry), options.minutes)
    chosen = dry_jobs(out) if options.dry else jobs(out, options.photos.resolve(), options.minutes)
    for job in chosen:
        hour.run(job)
    tables = _python("docs/gpu_tables.py", str(hour.report), str(docs / "gpu.md"))
    subprocess.run(tables, cwd=ROOT, check=True)
    sys.exit(any(each["outcome"] == "failed" for each in hour.done))


if __name__ == "__main__":
    in_words(main)
