"""The recipe's budget against the evidence: what must hold before a bundle ships.

A gate holds, fails, or is not judged: because the recipe states no limit, or because what was
measured is not fit to be held against one. What is not judged is shown with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from edgesr.bundle.records.evidence import FAILS, HOLDS, NOT_JUDGED, Gate, Measurements, State
from edgesr.bundle.records.rows import Placement
from edgesr.recipe import Fidelity, Gates, VariantGates
from edgesr.variant import parse
from edgesr.verify.measured import (
    QUICK,
    RUNTIMES,
    Measured,
    file_limit,
    file_size,
    fp32,
    of_bundle,
    of_file,
    own_limit,
    place,
    proved_of,
)

NO_LIMIT = "the recipe states no limit"
SHOWN = ("p95_ms", "min_gain_over_bicubic_db", "max_lpips", "max_psnr_loss_db")
"""What is measured and worth a limit: without one it is shown as not judged."""


def check(gates: Gates, evidence: Measurements) -> list[Gate]:
    """One row for each gate and place; a gate without its measurement does not hold."""
    rows = [*_bundle(gates, evidence), *_files(gates, evidence), *_kinds(gates.int8, evidence)]
    rows += [*_bytes(evidence), *_loose(evidence), *_providers(evidence)]
    return rows


def passed(rows: Iterable[Gate]) -> bool:
    """Whether no gate fails."""
    return all(row.state != FAILS for row in rows)


def in_words(rows: list[Gate]) -> str:
    """The verdict in a sentence, and how much was not judged, and why."""
    unjudged = sum(row.state == NOT_JUDGED for row in rows)
    said = verdict(rows)
    return f"{said} {unjudged} not judged: {'; '.join(reasons(rows))}." if unjudged else said


def verdict(rows: list[Gate]) -> str:
    """Which gates fail, in a sentence."""
    judged = [row for row in rows if row.state != NOT_JUDGED]
    failed = [row.gate for row in judged if row.state == FAILS]
    if not failed:
        return f"All {len(judged)} gates hold."
    verb, named = "does" if len(failed) == 1 else "do", ", ".join(dict.fromkeys(failed))
    return f"{len(failed)} of {len(judged)} gates {verb} not hold: {named}."


def reasons(rows: list[Gate]) -> Iterator[str]:
    """The gates that were not judged, each once, by its first reason; those of one together."""
    first: dict[str, str] = {}
    for row in rows:
        if row.state == NOT_JUDGED:
            first.setdefault(row.gate, row.reason)
    for reason in dict.fromkeys(first.values()):
        yield f"{', '.join(gate for gate in first if first[gate] == reason)} ({reason})"


def judge(found: Measured, limit: float | None) -> Gate:
    """The row of one measurement."""
    finite = found.value is not None and math.isfinite(found.value)
    value = found.value if finite else None

    def row(state: State, reason: str = "") -> Gate:
        return Gate(
            gate=found.gate,
            where=found.where,
            limit=limit,
            measured=value,
            state=state,
            reason=reason,
        )

    if limit is None or found.why_not:
        return row(NOT_JUDGED, found.why_not or NO_LIMIT)
    if value is None:
        return row(FAILS, "not measured")
    at_most = not found.gate.startswith("min_")
    held = value <= limit if at_most else value >= limit
    return row(HOLDS if held else FAILS)


def _bundle(gates: Gates, evidence: Measurements) -> Iterator[Gate]:
    """The gates of the bundle as a whole."""
    found = list(of_bundle(gates, evidence))
    for gate in Gates.model_fields:
        limit, own = getattr(gates, gate), [each for each in found if each.gate == gate]
        if isinstance(limit, float) and not own and not _stated_apart(gates, evidence, gate):
            own = [Measured(gate, "not measured", None)]
        yield from (judge(each, limit) for each in own if _shown(gates, each, limit))


def _stated_apart(gates: Gates, evidence: Measurements, gate: str) -> bool:
    """Whether every runtime that was measured has its own limit for the parity of fp32."""
    runtimes = [row.runtime for row in fp32(evidence.parity)]
    if gate != "max_abs_diff" or not runtimes:
        return False
    return all(own_limit(gates, runtime, "fp32", gate) is not None for runtime in runtimes)


def _shown(gates: Gates, found: Measured, limit: float | None) -> bool:
    """Whether a measurement gets a row: it is judged, or worth saying that it is not."""
    if limit is not None:
        return True
    untimed = found.why_not == QUICK
    if found.gate not in SHOWN or (found.value is None and not untimed):
        return False
    runtime, variant, *_ = [*found.where.split(", "), ""]
    if found.gate != "p95_ms":
        return True
    stated = (own_limit(gates, runtime, variant, gate) for gate in ("p50_ms", "p95_ms"))
    return all(each is None for each in stated)


def _files(gates: Gates, evidence: Measurements) -> Iterator[Gate]:
    """The gates of each file on each runtime: those that it is measured on, or that are stated."""
    for runtime in RUNTIMES:
        stated: dict[str, VariantGates] = getattr(gates, runtime)
        measured = [row.variant for row in evidence.parity if row.runtime == runtime]
        for variant in dict.fromkeys([*measured, *stated]):
            limit_of = file_limit if variant in measured else own_limit
            size = file_size(gates, runtime, variant) or evidence.cost.size
            for found in of_file(evidence, runtime, variant, size):
                limit = limit_of(gates, runtime, variant, found.gate)
                # What the bundle's own gates say of fp32 is not said twice.
                if limit is not None or (variant != "fp32" and _shown(gates, found, limit)):
                    yield judge(found, limit)


def _kinds(own: Fidelity, evidence: Measurements) -> Iterator[Gate]:
    """What files that compute with integers must keep on pictures of every kind, on each runtime
    that takes them."""
    for row in evidence.parity:
        if parse(row.variant).quantised:
            found: dict[str, float | None] = {
                f"min_{kind}_db": value for kind, value in row.kinds_db.items()
            }
            found["max_flat_levels"] = row.flat_levels
            for gate in Fidelity.model_fields:
                if (limit := getattr(own, gate)) is not None:
                    yield judge(Measured(gate, place(row), found.get(gate)), limit)


def _bytes(evidence: Measurements) -> Iterator[Gate]:
    """On the CPU the file of bytes must give the very bytes of the float file."""
    for row in evidence.parity:
        if parse(row.variant).bytes_io:
            why_not = "" if row.runtime == "cpu" else "the very bytes are asked of the CPU alone"
            yield judge(Measured("bytes_off", place(row), row.bytes_off, why_not), 0)


def _loose(evidence: Measurements) -> Iterator[Gate]:
    """A runtime as it comes computes in less than float32: that is shown, and nobody's limit."""
    for row in evidence.parity:
        if not row.exact:
            why_not = f"computed in {row.precision}, as the runtime comes"
            yield judge(Measured("max_abs_diff", place(row), row.max_abs_diff, why_not), None)


def _providers(evidence: Measurements) -> Iterator[Gate]:
    """A provider that is there must have run every node that makes a picture.

    Of fp32, and of every other file where the provider was asked for: unasked, a file that a
    provider does not run whole is not measured there, and not judged.
    """
    for placement in evidence.providers:
        if placement.available or placement.requested:
            yield _provider(placement)


def _provider(placement: Placement) -> Gate:
    nodes = placement.nodes
    share = nodes.get(placement.provider, 0) / max(1, sum(nodes.values()))
    must = placement.requested or placement.variant == "fp32"
    state: State = HOLDS if placement.proved else FAILS if must else NOT_JUDGED
    return Gate(
        gate="provider_proof",
        where=proved_of(placement),
        limit=1.0,
        measured=share,
        state=state,
        reason="" if placement.proved else placement.message,
    )
