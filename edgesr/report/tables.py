"""The evidence of a bundle and of its teacher's as the rows that the page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgesr.report.bundles import Bundle, Json
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
from edgesr.verify.measured import ORT
from edgesr.verify.measured import fp32 as fp32_of


@dataclass(frozen=True)
class Verdict:
    """Whether the bundle may ship: True, False, or None where nobody has looked."""

    holds: bool | None
    text: str


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
    teacher: Json | None
    own: Json | None
    teacher_share: float
    own_share: float


def verdict(verify: Json | None) -> Verdict:
    """What the gates say, in one sentence."""
    if verify is None:
        return Verdict(None, "Not verified yet.")
    return Verdict(gates_of.passed(verify["gates"]), gates_of.in_words(verify["gates"]))


@dataclass(frozen=True)
class Gate:
    """One gate, its limit and its measurement as text; `state` as in verify.json."""

    name: str
    limit: str
    measured: str
    state: str
    where: str
    reason: str


def gates(verify: Json) -> list[Gate]:
    """Every gate and place that was checked."""
    return [
        Gate(row["gate"], *_limit(row), row["state"], row["where"], row["reason"])
        for row in verify["gates"]
    ]


def _limit(row: Json) -> tuple[str, str]:
    """The limit with its direction, and the measurement."""
    gate, limit, measured = row["gate"], row["limit"], row["measured"]
    if gate == "provider_proof":  # proved or not: some shape arithmetic may run elsewhere
        return "proved", f"{percent(measured)} of nodes"
    if limit is None:
        return UNKNOWN, gate_value(measured, gate)
    sign = "≥" if gate.startswith("min_") else "≤"
    return f"{sign} {gate_value(limit, gate)}", gate_value(measured, gate)


def figures(verify: Json) -> list[Figure]:
    """The headline: size, parameters, latency, PSNR."""
    cost, speed, quality = verify["cost"], fp32(verify, "speed")[0], fp32(verify, "quality")[0]
    reduction = cost["reduction_percent"]
    fewer = "" if reduction is None else f"{reduction:.1f} % fewer than the teacher"
    gain = signed(quality["psnr_db"] - quality["bicubic_psnr_db"])
    return [
        Figure(megabytes(verify["file"]["bytes"]), "model.onnx"),
        Figure(count(cost["total"]["parameters"]), "parameters", fewer),
        Figure(milliseconds(speed["p50_ms"]), "latency p50", conditions(speed)),
        Figure(
            decibels(quality["psnr_db"]), "PSNR on Y", f"{gain} over bicubic, {quality['data']}"
        ),
    ]


def fp32(verify: Json, part: str) -> list[Json]:
    """What ONNX Runtime measured of model.onnx: the rows of "speed" or "quality"."""
    return fp32_of(verify[part], runtimes=ORT)


def timing(verify: Json, like: Json) -> Json | None:
    """The timing under the same conditions as `like`."""
    keys = ("runtime", "threads", "size", "batch")
    for speed in fp32(verify, "speed"):
        if all(speed[key] == like[key] for key in keys):
            found: Json = speed
            return found
    return None


def conditions(speed: Json) -> str:
    """`CPU, 2 threads, 128×128 LR`."""
    return f"{LABELS[speed['runtime']]}, {speed['threads']} threads, {size(speed['size'])} LR"


def comparison(own: Json, teacher: Bundle | None) -> list[Row]:
    """Size, cost, latency and PSNR of a bundle beside its teacher's.

    Args:
        own: the bundle's verify.json; it holds the teacher's cost, too.
        teacher: the teacher's bundle, where its file, latency and PSNR come from.
    """
    other = (teacher.verify if teacher else None) or {}
    cost, theirs = own["cost"]["total"], (own["cost"]["teacher"] or {}).get("total", {})
    at = f"at {size(own['cost']['size'])} LR"
    rows = [
        _ratio("Parameters", count, theirs.get("parameters"), cost["parameters"]),
        _ratio("Weights", megabytes, theirs.get("bytes"), cost["bytes"]),
        _ratio("model.onnx", megabytes, other.get("file", {}).get("bytes"), own["file"]["bytes"]),
        _ratio(f"MACs {at}", giga, theirs.get("macs"), cost["macs"]),
        _ratio(f"FLOPs {at}", giga, theirs.get("flops"), cost["flops"]),
    ]
    for speed in fp32(own, "speed"):
        slow = (timing(other, like=speed) if same_machine(own, other) else None) or {}
        for key in ("p50", "p95"):
            label = f"Latency {key}, {conditions(speed)}"
            rows.append(_ratio(label, milliseconds, slow.get(f"{key}_ms"), speed[f"{key}_ms"]))
    known = {quality["data"]: quality for quality in fp32(other, "quality")} if other else {}
    for quality in fp32(own, "quality"):
        best = known.get(quality["data"], {}).get("psnr_db")
        rows.append(_difference(f"PSNR on Y, {quality['data']}", best, quality["psnr_db"]))
    return rows


def same_machine(own: Json, other: Json) -> bool:
    """Whether two verify.json were measured on machines that call themselves the same."""
    return bool(own["machine"] == other.get("machine"))


def _ratio(label: str, show: Callable[[float], str], teacher: float | None, own: float) -> Row:
    if teacher is None:
        return Row(label, UNKNOWN, show(own), UNKNOWN)
    return Row(label, show(teacher), show(own), f"{three(teacher / own)} ×")


def _difference(label: str, teacher: float | None, own: float) -> Row:
    if teacher is None:
        return Row(label, UNKNOWN, decibels(own), UNKNOWN)
    return Row(label, decibels(teacher), decibels(own), signed(own - teacher))


def parts(cost: Json) -> list[Part]:
    """Every part of either network, in the order that data takes."""
    own, theirs = cost["parts"], (cost["teacher"] or {}).get("parts", {})
    # The teacher's order first: it has the up-sampler that a low-resolution student lacks.
    names = dict.fromkeys([*theirs, *own])
    most = max(part["macs"] for part in [*own.values(), *theirs.values()]) or 1

    def share(part: Json | None) -> float:
        return 100 * part["macs"] / most if part else 0.0

    return [
        Part(n, theirs.get(n), own.get(n), share(theirs.get(n)), share(own.get(n))) for n in names
    ]


@dataclass(frozen=True)
class Printed:
    """One line of the paper's table 1: teacher, student and their ratio, the paper's and ours."""

    label: str
    paper: list[str]
    ours: list[str]


def beside_paper(architecture: str, role: str, cost: Json) -> list[Printed]:
    """The paper's size and cost as printed beside ours, which are counted.

    Args:
        architecture, role: of the bundle whose verify.json holds `cost`.
    """
    own, theirs = cost["total"], (cost["teacher"] or {}).get("total")
    networks = [(cost["teacher"] or {}).get("architecture", UNKNOWN), architecture]
    sides = [theirs, own]
    if role == "teacher":
        networks, sides = [architecture, UNKNOWN], [own, None]
    at = f"at {size(cost['size'])} LR"
    printed = [PAPER["teacher"], PAPER["student"]]
    return [
        Printed("network", [f"SRGAN N={row['blocks']}" for row in printed] + [""], [*networks, ""]),
        Printed(
            "fp32 weights, MiB",
            _beside([row["mb"] for row in printed], "{:.2f}"),
            _beside([side and side["bytes"] / 2**20 for side in sides], "{:.2f}"),
        ),
        Printed(
            f"FLOPs; ours {at}",
            _beside([row["gflops"] for row in printed], "{:.2f} G"),
            _beside([side and side["flops"] / 1e9 for side in sides], "{:.2f} G"),
        ),
        Printed(
            f"MACs {at}",
            [UNKNOWN] * 3,
            _beside([side and side["macs"] / 1e9 for side in sides], "{:.2f} G"),
        ),
    ]


def _beside(values: list[float | None], form: str) -> list[str]:
    """Teacher's and student's value as text, and their ratio."""
    teacher, student = values
    ratio = f"{three(teacher / student)} ×" if teacher and student else UNKNOWN
    return [*(UNKNOWN if value is None else form.format(value) for value in values), ratio]
