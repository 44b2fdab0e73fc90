"""The rows of the evidence, found by place, and what of them a gate can be held against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from edgesr.bundle.records import rows as records
from edgesr.bundle.records.evidence import Measurements
from edgesr.bundle.records.rows import Placement, Quality, Shape, Speed
from edgesr.recipe import Gates, VariantGates
from edgesr.runtimes.base import OWN_FILES
from edgesr.variant import parse

Row = TypeVar("Row", bound=records.Job)
RUNTIMES = ("cpu", "cuda", "openvino", "ncnn", "web", "litert", "executorch")
ORT = ("cpu", "cuda")
NO_WEIGHTS = "AlexNet's weights are missing: edgesr weights --fetch"
GRAPHICS = "gates look at photographs"
QUICK = "--quick"


class Measured(NamedTuple):
    """What is held against a gate's limit.

    Attributes:
        value: None where it was not measured.
        why_not: why it is not fit to be judged; else empty.
    """

    gate: str
    where: str
    value: float | None
    why_not: str = ""


def place(row: records.Measured) -> str:
    """Where a row of evidence was measured: `cpu, int8`; `openvino, fp32, bfloat16`."""
    where = f"{row.runtime}, {row.variant}"
    return where if row.exact else f"{where}, {row.precision}"


def proved_of(placement: Placement) -> str:
    """Which file on which provider a row of "providers" is about: `cpu, int8`."""
    name = placement.provider.removesuffix("ExecutionProvider").lower()
    return f"{name}, {placement.variant}"


def fp32(rows: list[Row], runtimes: tuple[str, ...] = RUNTIMES) -> list[Row]:
    """The rows of fp32, computed in float32, on some of the runtimes."""
    exact = [row for row in rows if row.variant == "fp32" and row.exact]
    return [row for row in exact if row.runtime in runtimes]


def photographs(rows: list[Quality]) -> list[Quality]:
    """The rows of "quality" that were measured on photographs, which gates look at."""
    return [row for row in rows if row.kind == "photographs"]


def find(rows: list[Row], runtime: str, variant: str) -> Row | None:
    """The row of one exact job; None where there is none."""
    keys = (runtime, variant, True)
    return next((r for r in rows if (r.runtime, r.variant, r.exact) == keys), None)


def at(timed: Speed | None, size: str) -> Speed | Shape | None:
    """The latencies of one speed row at one of its sizes; None where it was not timed."""
    places: list[Speed | Shape] = [timed, *timed.shapes] if timed else []
    return next((row for row in places if row.size == size), None)


def ratio(slow: float | None, fast: float | None) -> float | None:
    """How many times faster, where both were measured."""
    return slow / fast if slow and fast else None


def of_bundle(gates: Gates, evidence: Measurements) -> Iterator[Measured]:
    """What was measured of fp32, for the gates of the bundle as a whole."""
    yield Measured("max_mb", "model.onnx", evidence.file.bytes / 1e6)
    for row in fp32(evidence.parity):
        if own_limit(gates, row.runtime, "fp32", "max_abs_diff") is None:
            yield Measured("max_abs_diff", place(row), row.max_abs_diff)
        yield Measured("max_pixels_changed", place(row), row.max_pixels_changed)
    for timed in fp32(evidence.speed, runtimes=ORT):
        yield Measured("p95_ms", f"{place(timed)}, {timed.size}", timed.p95_ms, timed.noisy)
    if evidence.quick:
        for row in fp32(evidence.parity, runtimes=ORT):
            yield Measured("p95_ms", f"{place(row)}, {evidence.cost.size}", None, QUICK)
    for scored in fp32(evidence.quality, runtimes=ORT):
        yield from _quality(scored)
    reduction = evidence.cost.reduction_percent
    yield Measured("min_reduction_percent", "against the teacher", reduction)


def _quality(row: Quality) -> Iterator[Measured]:
    where, why_not = row.data, "" if row.kind == "photographs" else GRAPHICS
    gain = row.psnr_db - row.bicubic_psnr_db
    yield Measured("min_gain_over_bicubic_db", where, gain, why_not)
    if why_not:
        return
    yield Measured("min_psnr_db", where, row.psnr_db)
    unseen = NO_WEIGHTS if row.lpips is None or row.bicubic_lpips is None else ""
    gained = None
    if row.lpips is not None and row.bicubic_lpips is not None:
        gained = row.bicubic_lpips - row.lpips
    yield Measured("max_lpips", where, row.lpips, unseen)
    yield Measured("min_lpips_gain", where, gained, unseen)
    yield Measured("max_grid", where, row.grid)


def of_file(evidence: Measurements, runtime: str, variant: str, size: str) -> Iterator[Measured]:
    """What was measured of one file on one runtime; None for each gate where nothing was.

    Args:
        size: at which latencies are judged.
    """
    timed, plain = (find(evidence.speed, runtime, name) for name in (variant, "fp32"))
    fast, slow = at(timed, size), at(plain, size)
    parity = find(evidence.parity, runtime, variant)
    where, noisy = f"{runtime}, {variant}", timed.noisy if timed else ""
    if evidence.quick and parity:
        noisy = QUICK
    yield Measured("p50_ms", f"{where}, {size}", fast.p50_ms if fast else None, noisy)
    yield Measured("p95_ms", f"{where}, {size}", fast.p95_ms if fast else None, noisy)
    speedup = ratio(slow.p50_ms, fast.p50_ms) if slow and fast else None
    noisy = noisy or (plain.noisy if plain else "")
    yield Measured("min_speedup", f"{where}, {size}", speedup, noisy)
    yield Measured("max_abs_diff", where, parity.max_abs_diff if parity else None)
    bytes_ = evidence.others.get(where)
    if runtime not in OWN_FILES:
        bytes_ = evidence.variants.get(variant)
    yield Measured("max_mb", where, bytes_ / 1e6 if bytes_ else None)
    yield Measured("max_psnr_loss_db", where, _loss(find(_kind(evidence, True), runtime, variant)))
    if drawn := find(_kind(evidence, False), runtime, variant):
        yield Measured("max_psnr_loss_db", f"{where}, graphics", _loss(drawn), GRAPHICS)


def _kind(evidence: Measurements, photographed: bool) -> list[Quality]:
    rows = evidence.quality
    return [row for row in rows if (row.kind == "photographs") == photographed]


def _loss(quality: Quality | None) -> float | None:
    """What was lost on Y or on RGB, whichever is more."""
    return max(quality.loss_db, quality.loss_rgb_db) if quality else None


def own_limit(gates: Gates, runtime: str, variant: str, gate: str) -> float | None:
    """The limit that the runtime's own table states for one of its variants."""
    own: VariantGates | None = getattr(gates, runtime).get(variant)
    limit: float | None = getattr(own, gate) if own else None
    return limit


def file_limit(gates: Gates, runtime: str, variant: str, gate: str) -> float | None:
    """`own_limit`, or what the variant must keep on every runtime."""
    own = own_limit(gates, runtime, variant, gate)
    if own is not None or variant == "fp32":
        return own
    if (everywhere := _everywhere(gates, variant)) is not None:
        limit: float | None = getattr(everywhere, gate)
        return limit
    return gates.max_abs_diff if gate == "max_abs_diff" else None


def _everywhere(gates: Gates, variant: str) -> VariantGates | None:
    """What the variant must keep on every runtime; None of a copy of fp32 in windows, to which the
    bundle's own gates apply."""
    kind = parse(variant)
    if kind.quantised:
        return gates.int8
    if kind.bytes_io:
        return gates.uint8_io
    return gates.fp16 if kind.numbers == "fp16" else None


def file_size(gates: Gates, runtime: str, variant: str) -> str | None:
    """The LR size at which the latencies of a file are judged, where one is stated."""
    if window := parse(variant).window:
        return window
    own: VariantGates | None = getattr(gates, runtime).get(variant)
    everywhere = _everywhere(gates, variant)
    return (own.size if own else None) or (everywhere.size if everywhere else None)
