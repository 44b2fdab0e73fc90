"""The recipe's budget against the evidence: what must hold before a bundle ships."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgesr.recipe import Fidelity, Gates, VariantGates

Evidence = dict[str, Any]
RUNTIMES = ("cpu", "cuda", "openvino", "ncnn", "web")
ORT = ("cpu", "cuda")


def check(gates: Gates, evidence: Evidence) -> list[dict[str, Any]]:
    """One row for each gate and place; a gate without its measurement does not hold.

    Returns:
        Rows of gate, limit, measured (None where it is missing), passed, where.
    """
    rows = []
    for gate, measurements in _measured(gates, evidence).items():
        limit = getattr(gates, gate)
        if limit is not None:
            rows += [_row(gate, limit, value, where) for where, value in measurements]
    for runtime in RUNTIMES:
        for variant, own in limits(gates, runtime).items():
            rows += list(_variant(own, evidence, runtime, variant))
    return [*rows, *_int8(gates.int8, evidence), *_bytes(evidence), *_providers(evidence)]


def limits(gates: Gates, runtime: str) -> dict[str, VariantGates]:
    """The gates of each variant on one runtime."""
    found: dict[str, VariantGates] = getattr(gates, runtime)
    return found


def _row(gate: str, limit: float, value: float | None, where: str) -> dict[str, Any]:
    at_most = not gate.startswith("min_")
    held = value is not None and (value <= limit if at_most else value >= limit)
    return {"gate": gate, "limit": limit, "measured": value, "passed": held, "where": where}


def place(row: dict[str, Any]) -> str:
    """Where a row of evidence was measured: `cpu, int8`; `openvino, fp32, bfloat16`."""
    where = f"{row['runtime']}, {row['variant']}"
    return where if row["exact"] else f"{where}, {row['precision']}"


def _measured(gates: Gates, evidence: Evidence) -> dict[str, list[tuple[str, float | None]]]:
    """Gate of the whole bundle -> what was measured of fp32 where."""
    parity = fp32(evidence["parity"])
    speed = fp32(evidence["speed"], runtimes=ORT)
    quality = photographs(fp32(evidence["quality"], runtimes=ORT))
    unstated = [row for row in parity if not _stated(gates, row["runtime"])]
    gain = [(q["data"], q["psnr_db"] - q["bicubic_psnr_db"]) for q in quality]
    reduction = evidence["cost"]["reduction_percent"]
    found: dict[str, list[tuple[str, float | None]]] = {
        "max_mb": [("model.onnx", evidence["file"]["bytes"] / 1e6)],
        "max_abs_diff": [(place(p), p["max_abs_diff"]) for p in unstated],
        "max_pixels_changed": [(place(p), p["max_pixels_changed"]) for p in parity],
        "p95_ms": [(f"{place(s)}, {s['size']}", s["p95_ms"]) for s in speed],
        "min_psnr_db": [(q["data"], q["psnr_db"]) for q in quality],
        "min_gain_over_bicubic_db": list(gain),
        "min_reduction_percent": [("against the teacher", reduction)],
    }
    stated = {"max_abs_diff"} if parity and not unstated else set()
    return {
        gate: measurements or [("not measured", None)]
        for gate, measurements in found.items()
        if gate not in stated
    }


def fp32(rows: list[dict[str, Any]], runtimes: tuple[str, ...] = RUNTIMES) -> list[dict[str, Any]]:
    """The rows of fp32, computed in float32, on some of the runtimes."""
    exact = [row for row in rows if row["variant"] == "fp32" and row["exact"]]
    return [row for row in exact if row["runtime"] in runtimes]


def photographs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of "quality" that were measured on photographs, which gates look at."""
    return [row for row in rows if row["kind"] == "photographs"]


def _stated(gates: Gates, runtime: str) -> bool:
    """Whether the runtime has a limit of its own for the parity of fp32."""
    own = limits(gates, runtime).get("fp32")
    return own is not None and own.max_abs_diff is not None


def _variant(
    own: VariantGates, evidence: Evidence, runtime: str, variant: str
) -> Iterator[dict[str, Any]]:
    """The gates of one variant on one runtime."""
    timed, plain, parity = (
        _find(evidence[part], runtime, name)
        for part, name in (("speed", variant), ("speed", "fp32"), ("parity", variant))
    )
    quality = _find(photographs(evidence["quality"]), runtime, variant)
    size = own.size or next((row["size"] for row in evidence["speed"]), "")
    bytes_ = evidence["variants"].get(variant)
    found = {
        "p50_ms": at(timed, size).get("p50_ms"),
        "p95_ms": at(timed, size).get("p95_ms"),
        "max_psnr_loss_db": quality.get("loss_db"),
        "max_abs_diff": parity.get("max_abs_diff"),
        "max_mb": bytes_ and bytes_ / 1e6,
        "min_speedup": ratio(at(plain, size).get("p50_ms"), at(timed, size).get("p50_ms")),
    }
    for gate, value in found.items():
        limit = getattr(own, gate)
        if limit is not None:
            at_size = f", {size}" if gate in ("p50_ms", "p95_ms", "min_speedup") else ""
            yield _row(gate, limit, value, f"{runtime}, {variant}{at_size}")


def _find(rows: list[dict[str, Any]], runtime: str, variant: str) -> dict[str, Any]:
    """The row of one exact job; empty where there is none."""
    keys = (runtime, variant, True)
    return next((r for r in rows if (r["runtime"], r["variant"], r["exact"]) == keys), {})


def at(timed: dict[str, Any], size: str) -> dict[str, Any]:
    """The latencies of one speed row at one of its sizes; empty where it was not timed."""
    places = [timed, *timed["shapes"]] if timed else []
    return next((row for row in places if row["size"] == size), {})


def ratio(slow: float | None, fast: float | None) -> float | None:
    """How many times faster, where both were measured."""
    return slow / fast if slow and fast else None


def _int8(own: Fidelity, evidence: Evidence) -> Iterator[dict[str, Any]]:
    """What int8 files must keep on pictures of every kind, on each runtime that takes them."""
    for row in evidence["parity"]:
        if row["variant"] != "int8":
            continue
        found = {f"min_{kind}_db": value for kind, value in row["kinds_db"].items()}
        found["max_flat_levels"] = row["flat_levels"]
        for gate, limit in own:
            if limit is not None:
                yield _row(gate, limit, found.get(gate), place(row))


def _bytes(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """On the CPU the file of bytes must give the very bytes of the float file."""
    found = _find(evidence["parity"], "cpu", "uint8-io")
    if found:
        yield _row("bytes_off", 0, found["bytes_off"], place(found))


def _providers(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """A provider that is there must have run every node that makes a picture.

    Of fp32, and of every other file where the provider was asked for: unasked, a file that a
    provider does not run whole is not measured there.
    """
    for p in evidence["providers"]:
        if p["asked"] or (p["available"] and (p["proved"] or p["variant"] == "fp32")):
            share = p["nodes"].get(p["provider"], 0) / max(1, sum(p["nodes"].values()))
            row = {"gate": "provider_proof", "limit": 1.0, "measured": share, "passed": p["proved"]}
            yield row | {"where": proved_of(p)}


def proved_of(placement: dict[str, Any]) -> str:
    """Which file on which provider a row of "providers" is about: `cpu, int8`."""
    name = placement["provider"].removesuffix("ExecutionProvider").lower()
    return f"{name}, {placement['variant']}"
