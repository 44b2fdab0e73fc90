"""The recipe of the proposed student, ready for `edgesr distill`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnxruntime
import tomli_w

from edgesr.errors import RecipeError
from edgesr.fit.budget import Budget, Latency
from edgesr.fit.candidates import Candidate
from edgesr.machine import machine
from edgesr.recipe import NAME, Edge, Recipe
from edgesr.workspace import write_text

FOLDER = Path("recipes")
# As in recipes/edge-s.toml.
LOSSES = {"l1": 0.2, "luma": 1.0, "teacher_l1": 0.2, "teacher_luma": 1.0}
TRAINING = {
    "steps": 50_000,
    "lr": 1e-3,
    "warmup": 500,
    "schedule": "cosine",
    "precision": "bf16-mixed",
    "checkpoint_every": 1_000,
    "log_every": 200,
}
LR_PATCH = 32
SMALL: dict[str, dict[str, Any]] = {
    "data": {"photos": "embedded"},
    "training": {
        "steps": 600,
        "batch": 8,
        "warmup": 100,
        "precision": "fp32",
        "log_every": 50,
        "validate_every": 300,
        "checkpoint_every": 300,
    },
}


def small(candidate: Candidate) -> dict[str, Any]:
    """The recipe's [small] table."""
    training = {**SMALL["training"], "patch": LR_PATCH // 2 * candidate.scale}
    return {**SMALL, "training": training}


def path_for(candidate: Candidate) -> Path:
    """Where the recipe goes unless told otherwise."""
    times = "" if candidate.scale == Edge().scale else f"-x{candidate.scale}"
    return FOLDER / f"fit-{candidate.channels}x{candidate.depth}{times}.toml"


def check_target(path: Path, *, overwrite: bool) -> None:
    """Say early what would stop `write`.

    Raises:
        RecipeError: `path` is there already and must not be, or its stem names no run.
    """
    if path.suffix != ".toml" or not re.fullmatch(NAME, path.stem):
        raise RecipeError(f"recipe {path}: expected FILE.toml, FILE of letters, digits, . _ and -")
    if path.exists() and not overwrite:
        raise RecipeError(f"recipe {path} exists already", "Give --overwrite or another --output.")


def write(
    path: Path,
    candidate: Candidate,
    budget: Budget,
    *,
    latency: Latency,
    provider: str,
    threads: int,
) -> None:
    """Write the recipe; its name is the file's stem.

    Args:
        latency: of the candidate alone, told in the head of the file.
    """
    raw = table(path.stem, candidate, budget, provider=provider, threads=threads)
    Recipe.model_validate(raw)
    where = f"{provider}, CPU threads: {threads}, ONNX Runtime {onnxruntime.__version__}"
    text = "".join(
        f"# {line}\n" for line in _head(path, candidate, budget, latency=latency, where=where)
    ) + tomli_w.dumps(raw | {"small": small(candidate)})
    write_text(path, text)


def table(
    name: str, candidate: Candidate, budget: Budget, *, provider: str, threads: int
) -> dict[str, Any]:
    """The recipe without its [small] table: what differs from the defaults."""
    gate = {f"{budget.percentile}_ms": budget.ms, "size": budget.size}
    return {
        "name": name,
        "model": candidate.spec.model_dump(),
        "teacher": {"path": "teacher", "once": True},
        "data": {"photos": "data/DIV2K", "validation": 8},
        "training": TRAINING | {"patch": LR_PATCH * candidate.scale},
        "losses": LOSSES,
        "verify": {"size": budget.size, "threads": threads},
        "gates": {provider: {"fp32": gate}},
    }


def _head(
    path: Path, candidate: Candidate, budget: Budget, *, latency: Latency, where: str
) -> list[str]:
    facts, macs = machine(), candidate.cost.macs / 1e3
    return [
        f"{candidate}, {macs:.0f} k MACs per LR pixel: the most of all candidates that kept to",
        f'"{budget}". MACs are a proxy for quality: training decides.',
        f"Random weights took p50 {latency.p50_ms:.2f} ms, p95 {latency.p95_ms:.2f} ms: fp32,",
        f"{where},",
        f"{facts['cpu']}, {facts['cores']} cores.",
        f"  edgesr distill {path} --teacher FILE --data DIR",
        f"  edgesr distill {path} --teacher FILE --small  two CPU cores, minutes",
    ]
