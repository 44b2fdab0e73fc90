"""A verification in short: a line for each bundle, what does not hold of it, and the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from edgesr import console
from edgesr.bundle.records.evidence import FAILS, Evidence, Gate
from edgesr.errors import EdgesrError
from edgesr.verify import gates
from edgesr.verify.measured import ORT, fp32, photographs
from edgesr.verify.sidebyside import unsigned_zero

COLUMNS = ("verdict", "max diff", "p50 ms", "PSNR dB", "gain", "loss", "MB")
WIDTH = 80


class Lines:
    """The lines of a verification of the bundles `names`, printed as they come."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.short, self.errors = names, list[str](), list[str]()
        self._begun = False

    def print_bundle(self, name: str, evidence: Evidence, note: str = "") -> None:
        """A line of figures; below it `note`, and each gate that fails or is not judged."""
        if not self._begun:
            self._row("bundle", COLUMNS)
            self._begun = True
        self._row(name, figures(evidence))
        for line in [*([note] if note else []), *remarks(evidence.gates)]:
            _wrapped(line, "  ")
        if not evidence.passed:
            self.short.append(name)

    def print_error(self, name: str, error: EdgesrError) -> None:
        """Why a bundle could not be verified."""
        console.warn(f"{name} is not verified: {_in_a_line(str(error))}")
        self.errors.append(name)

    def print_summary(self) -> None:
        """The verdict over all bundles."""
        held = len(self.names) - len(self.short) - len(self.errors)
        parts = [f"{held} of {len(self.names)} bundles hold"]
        if len(self.names) == 1:
            parts = [f"{self.names[0]} holds"] if held else []
        parts += [f"falls short: {', '.join(self.short)}"] if self.short else []
        parts += [f"not verified: {', '.join(self.errors)}"] if self.errors else []
        verdict = "FAILED" if self.short or self.errors else "PASSED"
        _wrapped(f"{verdict}: {'; '.join(parts)}.")

    def _row(self, name: str, cells: tuple[str, ...]) -> None:
        first, *others = cells
        width = max(len("bundle"), *map(len, self.names))
        console.say(f"{name:{width}}  {first:7}" + "".join(f"{cell:>9}" for cell in others))


def figures(evidence: Evidence) -> tuple[str, ...]:
    """The cells under `COLUMNS`: of fp32 on ONNX Runtime, and the most that another file loses on
    photographs."""
    timed = fp32(evidence.speed, runtimes=ORT)
    scored = photographs(fp32(evidence.quality, runtimes=ORT))[0]
    losses = [row.loss_db for row in photographs(evidence.quality) if row.variant != "fp32"]
    return (
        "PASSED" if evidence.passed else "FAILED",
        f"{fp32(evidence.parity)[0].max_abs_diff:.1e}",
        f"{timed[0].p50_ms:.1f}" if timed else "-",
        f"{scored.psnr_db:.2f}",
        f"{scored.psnr_db - scored.bicubic_psnr_db:+.2f}",
        unsigned_zero(max(losses), 2) if losses else "-",
        f"{evidence.file.bytes / 1e6:.2f}",
    )


def remarks(rows: list[Gate]) -> Iterator[str]:
    """A line for each gate that fails, and one for all that were not judged."""
    for row in rows:
        if row.state == FAILS:
            yield f"FAILS: {row.gate} ({row.where}): {row.reason or _compared(row)}"
    unjudged = "; ".join(gates.reasons(rows))
    if unjudged:
        yield f"not judged: {unjudged}"


def _compared(row: Gate) -> str:
    bound = "at least" if row.gate.startswith("min_") else "at most"
    measured = "missing" if row.measured is None else f"{row.measured:.4g}"
    return f"{measured}, {bound} {row.limit:g}"


def _wrapped(text: str, indent: str = "") -> None:
    for line in textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=2 * indent, break_on_hyphens=False
    ):
        console.say(line)


def _in_a_line(message: str) -> str:
    """`message` without its line breaks: a recipe's faults are told on a line each."""
    return " ".join(message.split())
