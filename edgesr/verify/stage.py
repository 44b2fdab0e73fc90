"""verify(): a bundle in, the evidence out; verify.json and junit.xml in the bundle's folder.

checksums -> provider proof -> parity -> speed -> cost -> quality -> gates
"""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from edgesr import __version__, console, recipe_io
from edgesr.deploy import bundle
from edgesr.deploy.card import read_card, record_evidence
from edgesr.deploy.variants import FILES
from edgesr.errors import VerifyError
from edgesr.machine import machine
from edgesr.models import zoo
from edgesr.places import check_writable
from edgesr.quality.evaluate import find_lpips
from edgesr.recipe import Recipe
from edgesr.runtimes.base import Name
from edgesr.verify import cost, gates, parity, speed
from edgesr.verify import providers as proof
from edgesr.verify.jobs import Job, check_asked, plan
from edgesr.verify.junit import junit
from edgesr.verify.measured import file_size, place
from edgesr.verify.quality import PictureSet, picture_sets, quality
from edgesr.verify.targets import check_bundle
from edgesr.workspace import write_json, write_text

Evidence = dict[str, Any]
FORMAT = 2


def bundles(exports: Path) -> list[Path]:
    """Every bundle's folder in `exports`.

    Raises:
        VerifyError: there is none.
    """
    found = bundle.bundles(exports)
    if not found:
        raise VerifyError(f"no bundle in {exports}", "Make one: edgesr export --onnx")
    return found


def verify(
    folder: Path,
    *,
    providers: list[str] | None = None,
    runtimes: list[str] | None = None,
    data: Path | None = None,
    targets: list[str] | None = None,
) -> Evidence:
    """Measure a bundle and check its recipe's gates.

    Args:
        folder: the bundle.
        providers: "cpu", "cuda"; what is asked for must really run. None: CPU, and CUDA where it
            works.
        runtimes: "openvino", "ncnn", "web", measured beside ONNX Runtime; see `runtimes`.
        data: HR photographs to measure quality on; the pictures that ship unless given, see
            `data.judges`.
        targets: delegates to check each variant against by their documentation, see
            `verify.targets`; none unless given.

    Returns:
        The evidence, which is also written to verify.json and junit.xml, and in short to
        card.json; "passed" says whether no gate fails.

    Raises:
        VerifyError: the bundle is not what its card says, or cannot be run as asked.
    """
    card = read_card(folder)
    recipe = recipe_io.load(folder / "recipe.toml")
    looked = check_bundle(folder, card, targets or [], recipe.verify.size)
    others = check_asked(runtimes or [])
    proof.check_asked(providers)
    check_writable(folder, "the evidence")
    sets = picture_sets(data)
    console.say(f"{folder.name}: provider proof, parity, speed, quality")
    files = {name: folder / facts["file"] for name, facts in card["variants"].items()}
    placed = proof.placements(files, providers, recipe.verify.threads)
    evidence = _measure(folder, card, recipe, placed, others, sets)
    evidence["targets"] = looked
    evidence["gates"] = gates.check(recipe.gates, evidence)
    evidence["passed"] = gates.passed(evidence["gates"])
    write_json(folder / "verify.json", evidence)
    write_text(folder / "junit.xml", junit(evidence))
    record_evidence(folder, evidence)
    return evidence


def _measure(
    folder: Path,
    card: dict[str, Any],
    recipe: Recipe,
    placed: list[proof.Placement],
    others: list[Name],
    sets: list[PictureSet],
) -> Evidence:
    settings, variants = recipe.verify, card["variants"]
    running = proof.running(placed)
    jobs, refused = plan(
        folder, variants, [*running, *others], settings.threads, proof.unproved(placed)
    )
    return {
        "format": FORMAT,
        "bundle": card["name"],
        "architecture": card["architecture"],
        "role": card["role"],
        "versions": _versions(),
        "machine": machine(),
        "file": {"bytes": (folder / "model.onnx").stat().st_size},
        "variants": {name: facts["bytes"] for name, facts in variants.items()},
        "providers": [p.as_dict() for p in placed],
        "not_taken": refused,
        "parity": _parity(folder, jobs),
        "speed": _speed(jobs, recipe),
        "cost": cost.compare(
            card, settings.size, collapsed=recipe.export.rewrites.collapse_branches
        ),
        "quality": quality(jobs, card, sets, find_lpips(recipe.weights.folder)),
    }


def _parity(folder: Path, jobs: list[Job]) -> list[dict[str, Any]]:
    module = zoo.load(folder / "weights.safetensors").module
    references = {
        bytes_io: parity.expected(module, bytes_io=bytes_io)
        for bytes_io in {job.bytes_io for job in jobs}
    }
    rows = []
    for job in jobs:
        with job.opened() as (run, facts):
            row = job.row() | asdict(facts)
            console.say(f"  {place(row)}")
            expected = references[job.bytes_io]
            held = [each.clipped() for each in expected] if job.clipped else expected
            row |= parity.parity(held, run)
            if job.bytes_io:
                with replace(job, dtype="float32", file=folder / FILES["fp32"]).opened() as (
                    fp32,
                    _,
                ):
                    row["bytes_off"] = parity.bytes_off(references[True], run, fp32)
        rows.append(row)
    return rows


def _speed(jobs: list[Job], recipe: Recipe) -> list[dict[str, Any]]:
    settings, rows = recipe.verify, []
    for job in jobs:
        asked = [file_size(recipe.gates, job.runtime, each.variant) for each in jobs]
        sizes = dict.fromkeys([settings.size, *settings.shapes, *filter(None, asked)])
        found = speed.speed(
            job.runtime,
            job.file,
            sizes=list(sizes),
            threads=job.threads,
            runs=settings.runs,
            dtype=job.dtype,
            exact=job.exact,
        )
        rows.append(job.row() | found)
    return rows


def _versions() -> dict[str, str]:
    return {
        "edgesr": __version__,
        "onnxruntime": onnxruntime.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
