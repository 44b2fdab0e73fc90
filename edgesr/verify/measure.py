"""One model file on one runtime after the other: parity, speed and quality of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from edgesr import console
from edgesr.bundle.records.card import ORIGINAL, WEIGHTS, Card
from edgesr.bundle.records.rows import Parity, Quality, Speed
from edgesr.models import zoo
from edgesr.models.zoo import Network
from edgesr.recipe import AnyRecipe
from edgesr.runtimes.base import OWN_FILES
from edgesr.variant import file_of, parse
from edgesr.verify import parity, speed
from edgesr.verify.jobs import Job, Run
from edgesr.verify.measured import file_size
from edgesr.verify.parity import Expected
from edgesr.verify.quality import PictureSet, quality
from edgesr.verify.resume import Measured, Rows

STORED = (WEIGHTS, ORIGINAL)
"""What a bundle's files were made from, and are held against."""
References = Callable[[Job], list[Expected]]
"""A file -> what PyTorch makes of the grid, in the windows that it takes."""


@dataclass(frozen=True)
class Subject:
    """What is measured, and with what.

    Attributes:
        sets: the pictures for quality.
        lpips: of `losses.perceptual.find_lpips`.
        timed: whether latencies are measured.
    """

    folder: Path
    card: Card
    recipe: AnyRecipe
    sets: list[PictureSet]
    lpips: nn.Module | None
    timed: bool


def measure(
    subject: Subject, jobs: list[Job], so_far: Measured, keep: Callable[[Measured], None]
) -> list[Rows]:
    """The rows of each job, in their order; what `so_far` holds is not measured again.

    Args:
        keep: is given all that is measured, after each job.
    """
    found = {job: rows for job in jobs if (rows := so_far.find(job))}
    if found:
        console.say(f"{subject.card.name}: resumed: {len(found)} of {len(jobs)} measured")
    references = _references(subject.folder, subject.card)
    with console.bar(subject.card.name, len(jobs), len(found), every=math.inf) as bar:
        for job in (job for job in jobs if job not in found):
            bar.advance(0, f"{job.runtime}, {job.variant}")
            plain = _plain(list(found.values()), job)
            found[job] = _rows(subject, job, jobs, references, plain)
            keep(so_far.model_copy(update={"rows": list(found.values())}))
            bar.advance()
    return [found[job] for job in jobs]


def _rows(
    subject: Subject, job: Job, jobs: list[Job], references: References, plain: list[Quality] | None
) -> Rows:
    return Rows(
        parity=_parity(job, subject.folder, references),
        speed=_speed(job, jobs, subject.recipe) if subject.timed else None,
        quality=quality(job, subject.card, subject.sets, subject.lpips, plain),
    )


def _plain(found: list[Rows], job: Job) -> list[Quality] | None:
    """The quality of fp32 on the job's runtime; None where that is the job itself."""
    if job.variant == "fp32":
        return None
    rows = [row for each in found for row in each.quality]
    return [row for row in rows if (row.runtime, row.variant) == (job.runtime, "fp32")]


def _references(folder: Path, card: Card) -> References:
    """PyTorch runs where a job asks for it, once for floats and once for bytes, and for windows."""
    stored = next((path for name in STORED if (path := folder / name).exists()), folder / STORED[0])
    module = zoo.load(stored).module
    assert isinstance(module, Network), "zoo.load gives these"

    @cache
    def found(bytes_io: bool, window: tuple[int, int] | None) -> list[Expected]:
        sizes = {"multiple": card.multiple, "least": card.min_size, "halo": card.halo}
        return parity.expected(module, bytes_io=bytes_io, window=window, **sizes)

    return lambda job: found(job.bytes_io, job.window)


def _parity(job: Job, folder: Path, references: References) -> Parity:
    expected = references(job)
    with job.opened() as (run, facts):
        row = job.row() | asdict(facts)
        row |= _compared(job, expected, run)
        if job.bytes_io and job.runtime not in OWN_FILES:
            answer = replace(parse(job.variant).answer(), window="")
            plain = replace(job, dtype="float32", file=folder / file_of(str(answer)))
            with plain.opened() as (fp32, _):
                row["bytes_off"] = parity.bytes_off(expected, run, fp32)
    return Parity(**row)


def _compared(job: Job, expected: list[Expected], run: Run) -> dict[str, Any]:
    """Clipped with clipped, where the file clips, or has integers, whose range is about 0..1."""
    if not job.clipped and not parse(job.variant).quantised:
        return parity.parity(expected, run)
    held = [each.clipped() for each in expected]
    return parity.parity(held, lambda lr: run(lr).clip(0, 1))


def _speed(job: Job, jobs: list[Job], recipe: AnyRecipe) -> Speed:
    """At every size at which a gate of the bundle judges the runtime, and those of the recipe; of a
    file that takes one size alone at that."""
    settings, window = recipe.verify, parse(job.variant).window
    requested = [file_size(recipe.gates, job.runtime, each.variant) for each in jobs]
    sizes = dict.fromkeys([settings.size, *settings.shapes, *filter(None, requested)])
    found = speed.speed(
        job.runtime,
        job.file,
        sizes=[window] if window else list(sizes),
        threads=job.threads,
        runs=settings.runs,
        dtype=job.dtype,
        colours=job.colours,
        exact=job.exact,
    )
    return Speed(**job.row(), **found)
