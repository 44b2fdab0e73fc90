"""The recipe's budget against the evidence: what must hold before a bundle ships."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgesr.recipe import Gates

Evidence = dict[str, Any]


def check(gates: Gates, evidence: Evidence) -> list[dict[str, Any]]:
    """One row for each gate and place; a gate without its measurement does not hold.

    Returns:
        Rows of gate, limit, measured (None where it is missing), passed, where.
    """
    rows = []
    for gate, (at_most, measurements) in _measured(evidence).items():
        limit = getattr(gates, gate)
        if limit is None:
            continue
        for where, value in measurements or [("not measured", None)]:
            held = value is not None and (value <= limit if at_most else value >= limit)
            row = {"gate": gate, "limit": limit, "measured": value, "passed": held}
            rows.append(row | {"where": where})
    return rows + list(_providers(evidence))


def _measured(evidence: Evidence) -> dict[str, tuple[bool, list[tuple[str, float | None]]]]:
    """Gate -> whether its limit is an upper one, and what was measured where."""
    parity, quality, cost = evidence["parity"], evidence["quality"], evidence["cost"]
    gain = [(q["data"], q["psnr_db"] - q["bicubic_psnr_db"]) for q in quality]
    return {
        "max_mb": (True, [("model.onnx", evidence["file"]["bytes"] / 1e6)]),
        "max_abs_diff": (True, [(p["provider"], p["max_abs_diff"]) for p in parity]),
        "max_pixels_changed": (True, [(p["provider"], p["max_pixels_changed"]) for p in parity]),
        "p95_ms": (
            True,
            [(f"{s['provider']}, {s['size']}", s["p95_ms"]) for s in evidence["speed"]],
        ),
        "min_psnr_db": (False, [(q["data"], q["psnr_db"]) for q in quality]),
        "min_gain_over_bicubic_db": (False, gain),
        "min_reduction_percent": (False, [("against the teacher", cost["reduction_percent"])]),
    }


def _providers(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """A provider that is there must have run every computing node."""
    for placement in evidence["providers"]:
        if placement["available"] or placement["asked"]:
            nodes, proved = placement["nodes"], placement["proved"]
            share = nodes.get(placement["provider"], 0) / max(1, sum(nodes.values()))
            row = {"gate": "provider_proof", "limit": 1.0, "measured": share, "passed": proved}
            yield row | {"where": placement["provider"]}
