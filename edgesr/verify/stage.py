"""verify(): a bundle in, the evidence out: verify.json and junit.xml, beside it or elsewhere.

checksums -> provider proof -> parity -> speed -> cost -> quality -> gates
"""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from pydantic import ValidationError

from edgesr import __version__, console
from edgesr.bundle import card as bundle_cards
from edgesr.bundle.card import read_card
from edgesr.bundle.checksums import EVIDENCE, check_checksums, digest
from edgesr.bundle.records.base import told
from edgesr.bundle.records.card import Card
from edgesr.bundle.records.evidence import FORMAT, Evidence, Measurements
from edgesr.bundle.records.rows import Measured, Parity, Speed
from edgesr.deploy.variants import FILES
from edgesr.errors import BundleError, VerifyError
from edgesr.folders import locked
from edgesr.machine import machine
from edgesr.models import zoo
from edgesr.places import check_writable
from edgesr.quality.evaluate import find_lpips
from edgesr.recipe import Recipe
from edgesr.recipe import io as recipe_io
from edgesr.runtimes.base import Name
from edgesr.verify import cost, gates, parity, speed
from edgesr.verify import providers as proof
from edgesr.verify.evidence import evidence_folder
from edgesr.verify.jobs import Job, check_requested, plan
from edgesr.verify.junit import junit
from edgesr.verify.measured import file_size, place
from edgesr.verify.quality import PictureSet, picture_sets, quality
from edgesr.verify.targets import check_bundle, check_names
from edgesr.workspace import write_text


def bundles(exports: Path) -> list[Path]:
    """Every bundle's folder in `exports`.

    Raises:
        VerifyError: there is none.
    """
    found = bundle_cards.bundles(exports)
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
    output: Path | None = None,
) -> Evidence:
    """Measure a bundle and check its recipe's gates.

    The bundle itself is not changed: the evidence names its digest. Earlier evidence in the same
    place is removed first, so that nothing stands for a verification that was broken off.

    Args:
        folder: the bundle.
        providers: "cpu", "cuda"; what is asked for must really run. None: CPU, and CUDA where it
            works.
        runtimes: "openvino", "ncnn", "web", measured beside ONNX Runtime; see `runtimes`.
        data: HR photographs to measure quality on; the pictures that ship unless given, see
            `data.judges`.
        targets: delegates to check each variant against by their documentation, see
            `verify.targets`; none unless given.
        output: the evidence goes into `output/<the bundle's folder>`; beside the bundle's files
            unless given.

    Returns:
        The evidence, which is also written to verify.json and junit.xml; "passed" says whether all
        gates hold.

    Raises:
        VerifyError: the bundle is not what its card says, or cannot be run as requested, or was
            replaced meanwhile; nothing is written then.
        MachineError: the evidence cannot be written.
    """
    folder = folder.resolve()
    place = evidence_folder(folder, output)
    if not (folder / "card.json").exists():
        read_card(folder)  # says that it is not a bundle, before anything is removed
    others = check_requested(runtimes or [])
    proof.check_requested(providers)
    check_names(targets or [])
    sets = picture_sets(data)
    check_writable(place, f"the evidence of {folder.name} (elsewhere: --output DIR)")
    with locked(place, f"edgesr verify {folder.name}"):
        for name in EVIDENCE:
            (place / name).unlink(missing_ok=True)
        evidence = _evidence(folder, providers, others, sets, targets or [])
        evidence.write(place / "verify.json")
        write_text(place / "junit.xml", junit(evidence))
    return evidence


def _evidence(
    folder: Path,
    providers: list[str] | None,
    others: list[Name],
    sets: list[PictureSet],
    targets: list[str],
) -> Evidence:
    """What is measured of the bundle, and judged, where it is the same from beginning to end."""
    found = digest(folder)
    card = read_card(folder)
    recipe = recipe_io.load(folder / "recipe.toml")
    looked = check_bundle(folder, card, targets, recipe.verify.size)
    console.say(f"{folder.name}: provider proof, parity, speed, quality")
    files: dict[str, Path] = {n: folder / facts.file for n, facts in card.variants.items()}
    placed = proof.placements(files, providers, recipe.verify.threads)
    try:
        measured = Measurements(
            bundle_sha256=found,
            targets=looked,
            **_measure(folder, card, recipe, placed, others, sets),
        )
    except ValidationError as error:
        raise VerifyError(f"{folder} gives what cannot be measured: {told(error)}") from None
    check_checksums(folder)
    if digest(folder) != found:
        raise BundleError(
            f"{folder} was replaced while it was verified", "Verify what is there now."
        )
    rows = gates.check(recipe.gates, measured)
    return Evidence(**dict(measured), gates=rows, passed=gates.passed(rows))


def _measure(
    folder: Path,
    card: Card,
    recipe: Recipe,
    placed: list[proof.Placement],
    others: list[Name],
    sets: list[PictureSet],
) -> dict[str, Any]:
    settings, variants = recipe.verify, card.variants
    running = proof.running(placed)
    jobs, refused = plan(
        folder, variants, [*running, *others], settings.threads, proof.unproved(placed)
    )
    return {
        "format": FORMAT,
        "bundle": card.name,
        "architecture": card.architecture,
        "role": card.role,
        "versions": _versions(),
        "machine": machine(),
        "file": {"bytes": (folder / "model.onnx").stat().st_size},
        "variants": {name: facts.bytes for name, facts in variants.items()},
        "providers": [p.as_dict() for p in placed],
        "unsupported": refused,
        "parity": _parity(folder, jobs),
        "speed": _speed(jobs, recipe),
        "cost": cost.compare(
            card, settings.size, collapsed=recipe.export.rewrites.collapse_branches
        ),
        "quality": quality(jobs, card, sets, find_lpips(recipe.weights.folder)),
    }


def _parity(folder: Path, jobs: list[Job]) -> list[Parity]:
    module = zoo.load(folder / "weights.safetensors").module
    references = {
        bytes_io: parity.expected(module, bytes_io=bytes_io)
        for bytes_io in {job.bytes_io for job in jobs}
    }
    rows = []
    for job in jobs:
        with job.opened() as (run, facts):
            row = job.row() | asdict(facts)
            console.say(f"  {place(Measured(**row))}")
            expected = references[job.bytes_io]
            held = [each.clipped() for each in expected] if job.clipped else expected
            row |= parity.parity(held, run)
            if job.bytes_io:
                with replace(job, dtype="float32", file=folder / FILES["fp32"]).opened() as (
                    fp32,
                    _,
                ):
                    row["bytes_off"] = parity.bytes_off(references[True], run, fp32)
        rows.append(Parity(**row))
    return rows


def _speed(jobs: list[Job], recipe: Recipe) -> list[Speed]:
    settings, rows = recipe.verify, []
    for job in jobs:
        requested = [file_size(recipe.gates, job.runtime, each.variant) for each in jobs]
        sizes = dict.fromkeys([settings.size, *settings.shapes, *filter(None, requested)])
        found = speed.speed(
            job.runtime,
            job.file,
            sizes=list(sizes),
            threads=job.threads,
            runs=settings.runs,
            dtype=job.dtype,
            exact=job.exact,
        )
        rows.append(Speed(**job.row(), **found))
    return rows


def _versions() -> dict[str, str]:
    return {
        "edgesr": __version__,
        "onnxruntime": onnxruntime.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
