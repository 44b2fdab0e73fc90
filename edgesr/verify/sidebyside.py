"""Runtimes and variants side by side, as tables for an 80-column terminal and in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from rich.table import Table

from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.rows import Input, Measured, Parity, Speed
from edgesr.runtimes.base import LABELS
from edgesr.verify.measured import at, photographs, ratio

NOTICEABLE = 1.05
"""A variant that is slower than fp32 by less than this is called neither slower nor faster."""


def tables(evidence: Evidence) -> Iterator[Table | str]:
    """Speed and parity, cold start and new shapes, what the variants cost and give."""
    yield _speed(evidence)
    if evidence.speed:
        yield _starts(evidence)
    if len(evidence.variants) > 1:
        yield _variants(evidence)
    yield from slower(evidence)


def table(title: str, *columns: str, left: int = 1) -> Table:
    """A table of 78 columns whose first `left` columns are text."""
    view = Table(title=title, title_justify="left", width=78)
    for i, column in enumerate(columns):
        view.add_column(column, justify="left" if i < left else "right")
    return view


def names(row: Measured) -> tuple[str, str]:
    """Runtime and variant as they are printed; the precision where it is not float32."""
    variant = row.variant if row.exact else f"{row.variant}, {row.precision}"
    return LABELS[row.runtime], variant


def pairs(evidence: Evidence) -> list[tuple[Speed | None, Parity]]:
    """Speed and parity of each job; None where nothing was timed."""
    speeds: list[Speed | None] = [*evidence.speed] or [None] * len(evidence.parity)
    return list(zip(speeds, evidence.parity, strict=True))


def _speed(evidence: Evidence) -> Table:
    size, threads = evidence.cost.size, evidence.parity[0].threads
    title = f"Runtimes at {size} LR, batch 1, CPU threads: {threads}"
    columns = ("runtime", "variant", "p50 ms", "p95 ms", "max diff")
    view = table(title, *columns, left=2)
    for speed, parity in pairs(evidence):
        view.add_row(
            *names(parity),
            _ms(speed.p50_ms) if speed else "-",
            _ms(speed.p95_ms) if speed else "-",
            f"{parity.max_abs_diff:.1e}",
        )
    lines = [*versions(evidence), *noisy(evidence), *not_measured(evidence)]
    view.caption = "\n".join(lines) or None
    view.caption_justify = "left"
    return view


def versions(evidence: Evidence) -> list[str]:
    """A line for each runtime: its version, and what was changed from its defaults."""
    rows = {row.runtime: row for row in evidence.parity if row.exact}
    return [
        f"{LABELS[name]}: {'ONNX Runtime ' * (name in ('cpu', 'cuda'))}{row.version}"
        + (f", {row.note}" if row.note else "")
        for name, row in rows.items()
    ]


def noisy(evidence: Evidence) -> list[str]:
    """A line for each reason why latencies are the machine's and not the files'."""
    rows = [row for row in evidence.speed if row.noisy]
    return [f"busy while {', '.join(names(row))} was timed: {row.noisy}" for row in rows]


def not_measured(evidence: Evidence) -> list[str]:
    """A line for each provider, file and kind of input that could not be run, with the reason."""
    lines = ["nothing was timed: --quick"] if evidence.quick else []
    lines += [
        f"{p.provider.removesuffix('ExecutionProvider')}: {p.message}"
        for p in evidence.providers
        if not p.available and p.variant == "fp32"
    ]
    lines += [f"{LABELS[r.runtime]}, {r.variant}: {r.reason}" for r in evidence.unsupported]
    for row in evidence.parity:
        by_reason = groupby(row.unsupported, key=lambda case: case.reason)
        for reason, cases in by_reason:
            inputs = ", ".join(dict.fromkeys(_input(case) for case in cases))
            lines.append(f"{', '.join(names(row))}: not taken: {inputs} ({reason})")
    return lines


def _input(case: Input) -> str:
    return f"{case.width}x{case.height} batch {case.batch}"


def _starts(evidence: Evidence) -> Table:
    """Opening and the first run; then, for each new shape, its first run and its later ones."""
    first = evidence.speed[0]
    sizes = [shape.size for shape in first.shapes][:2]
    title = f"Cold start at {first.size} LR, peak memory; a new shape: first run > later runs"
    columns = ("runtime", "variant", "start ms", "MB", *(f"{s} ms" for s in sizes))
    view = table(title, *columns, left=2)
    for speed in evidence.speed:
        peak = speed.peak_memory_mb
        shapes = [shape for shape in speed.shapes if shape.size in sizes]
        view.add_row(
            *names(speed),
            f"{speed.cold_start_ms:.0f}",
            "-" if peak is None else f"{peak:.0f}",
            *(f"{_ms(s.first_ms)} > {_ms(s.p50_ms)}" for s in shapes),
        )
    return view


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def unsigned_zero(value: float, digits: int) -> str:
    """`value` with so many digits; what rounds to zero has no sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _variants(evidence: Evidence) -> Table:
    """Each variant on ONNX Runtime: what it weighs, what it loses, how fast it is."""
    columns = ("variant", "MB", "PSNR on Y", "loss", "speed-up")
    view = table("Variants, the first runtime's", *columns)
    for row in variants(evidence):
        speedup = row.speedup
        view.add_row(
            row.variant,
            f"{row.bytes / 1e6:.2f}",
            "-" if row.psnr_db is None else f"{row.psnr_db:.2f} dB",
            "-" if row.loss_db is None else f"{unsigned_zero(row.loss_db, 3)} dB",
            "-" if speedup is None else f"{speedup:.2f} x",
        )
    return view


@dataclass(frozen=True)
class Row:
    """One variant on ONNX Runtime.

    Attributes:
        psnr_db, loss_db: on photographs; None where there are none.
        speedup: over fp32.
    """

    variant: str
    bytes: int
    psnr_db: float | None
    loss_db: float | None
    speedup: float | None


def variants(evidence: Evidence) -> list[Row]:
    """Each variant on the first runtime: size, quality, speed."""
    runtime = evidence.parity[0].runtime
    scores = {
        row.variant: row
        for row in photographs(evidence.quality)
        if row.runtime == runtime and row.exact
    }
    own = [(s, p) for s, p in pairs(evidence) if p.runtime == runtime and p.exact]
    plain = next(speed for speed, parity in own if parity.variant == "fp32")
    return [
        Row(
            parity.variant,
            evidence.variants[parity.variant],
            score.psnr_db if (score := scores.get(parity.variant)) else None,
            score.loss_db if score else None,
            _speedup(plain, speed),
        )
        for speed, parity in own
    ]


def _speedup(plain: Speed | None, speed: Speed | None) -> float | None:
    """How many times faster than fp32 at the same size."""
    base = at(plain, speed.size) if speed else None
    return ratio(base.p50_ms, speed.p50_ms) if base and speed else None


def slower(evidence: Evidence) -> Iterator[str]:
    """A sentence for each variant that is slower than fp32 on the same runtime.

    What was timed on a busy machine is left out, and all that would be compared with it.
    """
    exact = [row for row in evidence.speed if row.exact and not row.noisy]
    plain = {row.runtime: row for row in exact if row.variant == "fp32"}
    for row in exact:
        base = at(plain.get(row.runtime, row), row.size) or row
        times = ratio(row.p50_ms, base.p50_ms)
        if times is not None and times >= NOTICEABLE:
            yield (
                f"{row.variant} is {times:.2f} x slower than fp32 here: {row.p50_ms:.1f} ms "
                f"against {base.p50_ms:.1f} ms ({LABELS[row.runtime]}, {row.threads} "
                f"threads, {row.size} LR)."
            )
