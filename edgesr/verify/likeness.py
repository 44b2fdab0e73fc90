"""How like PyTorch's pictures a file's are as they are shown, in figures that name their case."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from edgesr.bundle.likeness import IDENTICAL_DB
from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.rows import Case, Parity
from edgesr.verify.sidebyside import names


@dataclass(frozen=True)
class Likeness:
    """Of a file on a runtime, over the parity grid; both pictures held to 0..1.

    Attributes:
        median_db, worst_db: PSNR on RGB, at most `IDENTICAL_DB`.
        median_changed, worst_changed: shares of 8-bit values that differ.
        least_like, most_changed: the inputs of the worst, `noise 64x48`.
    """

    median_db: float
    worst_db: float
    least_like: str
    median_changed: float
    worst_changed: float
    most_changed: str


def likeness(row: Parity) -> Likeness:
    """The likeness of one row of evidence."""
    least = min(row.cases, key=lambda case: case.shown_db)
    most = max(row.cases, key=_changed)
    return Likeness(
        median(case.shown_db for case in row.cases),
        least.shown_db,
        _input(least),
        median(map(_changed, row.cases)),
        _changed(most),
        _input(most),
    )


def in_words(evidence: Evidence) -> str:
    """A sentence for each file on each runtime, below what they are about."""
    inputs = max(len(row.cases) for row in evidence.parity)
    lines = [f"As shown, beside PyTorch's pictures held to 0..1 ({inputs} inputs):"]
    return "\n".join([*lines, *(f"- {_sentence(row)}" for row in evidence.parity)])


def _sentence(row: Parity) -> str:
    found = likeness(row)
    worst = f"{decibels(found.worst_db)} at worst ({found.least_like})"
    if found.worst_db >= IDENTICAL_DB:
        worst = "on each of them"
    most = f"{share(found.worst_changed)} at most ({found.most_changed})"
    return (
        f"{', '.join(names(row))}: PSNR {decibels(found.median_db)} in the median, {worst}; 8-bit "
        f"values changed: {share(found.median_changed)} in the median, {most}"
    )


def decibels(value: float) -> str:
    """`49.5 dB`, or that nothing can be seen to differ."""
    return f"{value:.0f} dB or more" if value >= IDENTICAL_DB else f"{value:.1f} dB"


def share(value: float) -> str:
    """A share in percent of two digits."""
    return f"{100 * value:.2g} %" if value < 0.995 else "100 %"


def _changed(case: Case) -> float:
    return case.changed / case.values


def _input(case: Case) -> str:
    return f"{case.case} {case.width}x{case.height}"
