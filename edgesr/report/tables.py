"""The evidence of a bundle and of its teacher's as the rows that the page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.evidence import Gate as Checked
from edgesr.bundle.records.rows import Cost, Counts, Quality, Speed
from edgesr.report.bundles import Bundle
from edgesr.report.text import (
    UNKNOWN,
    count,
    decibels,
    gate_value,
    giga,
    megabytes,
    milliseconds,
    percent,
    signed,
    size,
    three,
)
from edgesr.runtimes.base import LABELS
from edgesr.verify import gates as gates_of
from edgesr.verify.cost import PAPER
from edgesr.verify.measured import ORT, fp32


@dataclass(frozen=True)
class Verdict:
    """Whether the bundle may ship: True, False, or None where nobody has looked.

    Attributes:
        unjudged: gates that were not judged, and why, a text for each reason.
    """

    holds: bool | None
    text: str
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """One number of the headline, what it is, and what it stands beside."""

    value: str
    what: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the comparison; `UNKNOWN` where something was not measured."""

    label: str
    teacher: str
    own: str
    ratio: str


@dataclass(frozen=True)
class Part:
    """One part of the networks; None where a network has no such part.

    Attributes:
        teacher, own: counts as in verify.json.
        teacher_share, own_share: its MACs in percent of the largest part of either network.
    """

    name: str
    teacher: Counts | None
    own: Counts | None
    teacher_share: float
    own_share: float


def verdict(verify: Evidence | None, stale: str = "") -> Verdict:
    """What the gates say, in one sentence; `stale` is why evidence that is there does not count."""
    if verify is None:
        return Verdict(None, f"Not verified as it is: {stale}." if stale else "Not verified yet.")
    rows = verify.gates
    return Verdict(gates_of.passed(rows), gates_of.verdict(rows), tuple(gates_of.reasons(rows)))


@dataclass(frozen=True)
class Gate:
    """One gate, its limit and its measurement as text; `state` as in verify.json."""

    name: str
    limit: str
    measured: str
    state: str
    where: str
    reason: str


def gates(verify: Evidence) -> list[Gate]:
    """Every gate and place that was checked."""
    return [Gate(row.gate, *_limit(row), row.state, row.where, row.reason) for row in verify.gates]


def _limit(row: Checked) -> tuple[str, str]:
    """The limit with its direction, and the measurement."""
    gate, limit, measured = row.gate, row.limit, row.measured
    if gate == "provider_proof":  # proved or not: some shape arithmetic may run elsewhere
        return "proved", f"{percent(measured or 0)} of nodes"
    if limit is None:
        return UNKNOWN, gate_value(measured, gate)
    sign = "≥" if gate.startswith("min_") else "≤"
    return f"{sign} {gate_value(limit, gate)}", gate_value(measured, gate)


def figures(verify: Evidence) -> list[Figure]:
    """The headline: size, parameters, latency, PSNR."""
    cost, timed, quality = verify.cost, timings(verify), scores(verify)[0]
    reduction = cost.reduction_percent
    fewer = "" if reduction is None else f"{reduction:.1f} % fewer than the teacher"
    gain = signed(quality.psnr_db - quality.bicubic_psnr_db)
    return [
        Figure(megabytes(verify.file.bytes), "model.onnx"),
        Figure(count(cost.total.parameters), "parameters", fewer),
        *(Figure(milliseconds(s.p50_ms), "latency p50", conditions(s)) for s in timed[:1]),
        Figure(decibels(quality.psnr_db), "PSNR on Y", f"{gain} over bicubic, {quality.data}"),
    ]


def timings(verify: Evidence) -> list[Speed]:
    """What ONNX Runtime took with model.onnx."""
    return fp32(verify.speed, runtimes=ORT)


def scores(verify: Evidence) -> list[Quality]:
    """How good ONNX Runtime's pictures by model.onnx are."""
    return fp32(verify.quality, runtimes=ORT)


def timing(verify: Evidence, like: Speed) -> Speed | None:
    """The timing under the same conditions as `like`."""

    def measured(speed: Speed) -> tuple[object, ...]:
        return speed.runtime, speed.threads, speed.size, speed.batch

    return next((s for s in timings(verify) if measured(s) == measured(like)), None)


def conditions(speed: Speed) -> str:
    """`CPU, 2 threads, 128×128 LR`."""
    return f"{LABELS[speed.runtime]}, {speed.threads} threads, {size(speed.size)} LR"


def comparison(own: Evidence, teacher: Bundle | None) -> list[Row]:
    """Size, cost, latency and PSNR of a bundle beside its teacher's.

    Args:
        own: of the bundle; it holds the teacher's cost, too.
        teacher: the teacher's bundle, where its file, latency and PSNR come from.
    """
    other = teacher.verify if teacher else None
    return [*_costs(own, other), *_latencies(own, other), *_qualities(own, other)]


def _costs(own: Evidence, other: Evidence | None) -> list[Row]:
    cost, theirs = own.cost.total, own.cost.teacher.total if own.cost.teacher else None
    at = f"at {size(own.cost.size)} LR"
    return [
        _ratio("Parameters", count, theirs.parameters if theirs else None, cost.parameters),
        _ratio("Weights", megabytes, theirs.bytes if theirs else None, cost.bytes),
        _ratio("model.onnx", megabytes, other.file.bytes if other else None, own.file.bytes),
        _ratio(f"MACs {at}", giga, theirs.macs if theirs else None, cost.macs),
        _ratio(f"FLOPs {at}", giga, theirs.flops if theirs else None, cost.flops),
    ]


def _latencies(own: Evidence, other: Evidence | None) -> list[Row]:
    known = other if other and same_machine(own, other) else None
    rows = []
    for speed in timings(own):
        slow = timing(known, like=speed) if known else None
        for name, theirs, ours in (
            ("p50", slow.p50_ms if slow else None, speed.p50_ms),
            ("p95", slow.p95_ms if slow else None, speed.p95_ms),
        ):
            rows.append(_ratio(f"Latency {name}, {conditions(speed)}", milliseconds, theirs, ours))
    return rows


def _qualities(own: Evidence, other: Evidence | None) -> list[Row]:
    known = {row.data: row.psnr_db for row in scores(other)} if other else {}
    return [
        _difference(f"PSNR on Y, {row.data}", known.get(row.data), row.psnr_db)
        for row in scores(own)
    ]


def same_machine(own: Evidence, other: Evidence) -> bool:
    """Whether two verify.json were measured on machines that call themselves the same."""
    return own.machine == other.machine


def _ratio(label: str, show: Callable[[float], str], teacher: float | None, own: float) -> Row:
    if teacher is None or not own:
        return Row(label, UNKNOWN if teacher is None else show(teacher), show(own), UNKNOWN)
    return Row(label, show(teacher), show(own), f"{three(teacher / own)} ×")


def _difference(label: str, teacher: float | None, own: float) -> Row:
    if teacher is None:
        return Row(label, UNKNOWN, decibels(own), UNKNOWN)
    return Row(label, decibels(teacher), decibels(own), signed(own - teacher))


def parts(cost: Cost) -> list[Part]:
    """Every part of either network, in the order that data takes."""
    own, theirs = cost.parts, cost.teacher.parts if cost.teacher else {}
    # The teacher's order first: it has the up-sampler that a low-resolution student lacks.
    names = dict.fromkeys([*theirs, *own])
    most = max(part.macs for part in [*own.values(), *theirs.values()]) or 1

    def share(part: Counts | None) -> float:
        return 100 * part.macs / most if part else 0.0

    return [
        Part(n, theirs.get(n), own.get(n), share(theirs.get(n)), share(own.get(n))) for n in names
    ]


@dataclass(frozen=True)
class Printed:
    """One line of the paper's table 1: teacher, student and their ratio, the paper's and ours."""

    label: str
    paper: list[str]
    ours: list[str]


def beside_paper(architecture: str, role: str, cost: Cost) -> list[Printed]:
    """The paper's size and cost as printed beside ours, which are counted.

    Args:
        architecture, role: of the bundle whose verify.json holds `cost`.
    """
    own, theirs = cost.total, cost.teacher.total if cost.teacher else None
    networks_of_paper = [f"SRGAN N={row.blocks}" for row in (PAPER["teacher"], PAPER["student"])]
    networks = [cost.teacher.architecture if cost.teacher else UNKNOWN, architecture]
    sides: list[Counts | None] = [theirs, own]
    if role == "teacher" or (cost.teacher is None and architecture == networks_of_paper[0]):
        networks, sides = [architecture, UNKNOWN], [own, None]
    at = f"at {size(cost.size)} LR"
    printed = [PAPER["teacher"], PAPER["student"]]
    return [
        Printed("network", [*networks_of_paper, ""], [*networks, ""]),
        Printed(
            "fp32 weights, MiB",
            _beside([row.mb for row in printed], "{:.2f}"),
            _beside([side.bytes / 2**20 if side else None for side in sides], "{:.2f}"),
        ),
        Printed(
            f"FLOPs; ours {at}",
            _beside([row.gflops for row in printed], "{:.2f} G"),
            _beside([side.flops / 1e9 if side else None for side in sides], "{:.2f} G"),
        ),
        Printed(
            f"MACs {at}",
            [UNKNOWN] * 3,
            _beside([side.macs / 1e9 if side else None for side in sides], "{:.2f} G"),
        ),
    ]


def _beside(values: list[float | None], form: str) -> list[str]:
    """Teacher's and student's value as text, and their ratio."""
    teacher, student = values
    ratio = f"{three(teacher / student)} ×" if teacher and student else UNKNOWN
    return [*(UNKNOWN if value is None else form.format(value) for value in values), ratio]
