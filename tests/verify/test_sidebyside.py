"""Runtimes and variants in one table, and in words."""

from __future__ import annotations

import io
from typing import Any

import pytest

from edgesr.bundle.records.evidence import Evidence
from edgesr.console import Terminal
from edgesr.verify import sidebyside

CASE = {"case": "noise", "width": 9, "height": 7}


def speed(runtime: str, variant: str, p50: float, **more: Any) -> dict[str, Any]:
    place = {"runtime": runtime, "variant": variant, "exact": True, "precision": "float32"}
    sizes = {"size": "320x180", "threads": 2, "p50_ms": p50, "p95_ms": 1.2 * p50}
    shapes = [
        {"size": size, "first_ms": 3 * p50, "p50_ms": p50, "p95_ms": p50}
        for size in ("64x64", "160x96", "9x9")
    ]
    start = {"cold_start_ms": 5 * p50, "peak_memory_mb": None, "shapes": shapes, "noisy": ""}
    return place | sizes | start | more


def parity(timed: dict[str, Any], **more: Any) -> dict[str, Any]:
    facts = {"version": "1.2.3", "note": "", "max_abs_diff": 1e-6, "max_pixels_changed": 0.01}
    rest = {"min_psnr_db": None, "unsupported": []}
    keys = ("runtime", "variant", "exact", "precision", "threads")
    return {key: timed[key] for key in keys} | facts | rest | more


@pytest.fixture
def stated() -> dict[str, Any]:
    speeds = [
        speed("cpu", "fp32", 1000.0),
        speed("cpu", "uint8-io", 1040.0),
        speed("cpu", "int8", 1300.0),
        speed("openvino", "fp32", 1234.5),
        speed("openvino", "fp32", 900.0, exact=False, precision="bfloat16"),
        speed("ncnn", "fp32", 9.5),
    ]
    parities = [parity(row) for row in speeds]
    parities[-1] |= {"note": "half precision off"}
    reason = "one picture at a time"
    parities[-1]["unsupported"] = [CASE | {"batch": 3, "reason": reason}] * 2
    return {
        "speed": speeds,
        "cost": {"size": "320x180"},
        "parity": parities,
        "quality": [
            {k: row[k] for k in ("runtime", "variant", "exact")}
            | {"psnr_db": db, "loss_db": 0.01, "kind": kind}
            for row in speeds
            for kind, db in (("photographs", 27.5), ("graphics", 20.0))
        ],
        "variants": {"fp32": 360_000, "uint8-io": 361_000, "int8": 120_000},
        "providers": [],
        "unsupported": [{"runtime": "ncnn", "variant": "int8", "reason": "no such [layer]"}],
    }


@pytest.fixture
def evidence(construct, stated: dict[str, Any]) -> Evidence:
    return construct(stated)


def shown(evidence: Evidence) -> str:
    out = io.StringIO()
    console = Terminal(file=out, width=80)
    for part in sidebyside.tables(evidence):
        console.print(part)
    return out.getvalue()


def test_80_columns_hold_every_runtime_on_one_line(evidence: Evidence) -> None:
    text = shown(evidence)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for name in ("fp32, bfloat16", "1234", "3000 > 1000", "0.36 │"):
        assert name in text


def test_what_was_not_measured_is_said_with_the_reason(evidence: Evidence) -> None:
    lines = sidebyside.not_measured(evidence)
    assert lines == [
        "ncnn, int8: no such [layer]",
        "ncnn, fp32: not taken: 9x7 batch 3 (one picture at a time)",
    ]
    assert "no such [layer]" in shown(evidence)


def test_versions_and_changed_defaults_are_said(evidence: Evidence) -> None:
    assert sidebyside.versions(evidence) == [
        "CPU: ONNX Runtime 1.2.3",
        "OpenVINO: 1.2.3",
        "ncnn: 1.2.3, half precision off",
    ]


def test_a_slower_variant_is_told_in_words_and_noise_is_not(evidence: Evidence) -> None:
    assert list(sidebyside.slower(evidence)) == [
        "int8 is 1.30 x slower than fp32 here: 1300.0 ms against 1000.0 ms (CPU, 2 threads, "
        "320x180 LR)."
    ]


def test_a_busy_machine_is_said_and_nothing_is_concluded_from_it(
    construct, stated: dict[str, Any]
) -> None:
    stated["speed"][0]["noisy"] = "other processes took 1.4 of 2 cores"
    evidence = construct(stated)
    line = "busy while CPU, fp32 was timed: other processes took 1.4 of 2 cores"
    assert sidebyside.noisy(evidence) == [line]
    assert "busy while CPU, fp32 was timed" in shown(evidence)
    assert list(sidebyside.slower(evidence)) == []


def test_variants_are_those_of_the_first_runtime(evidence: Evidence) -> None:
    rows = sidebyside.variants(evidence)
    assert [(row.variant, row.bytes) for row in rows] == [
        ("fp32", 360_000),
        ("uint8-io", 361_000),
        ("int8", 120_000),
    ]
    assert {row.psnr_db for row in rows} == {27.5}  # photographs', not graphics'
    assert rows[2].speedup == pytest.approx(1000 / 1300)


def test_a_bundle_of_one_file_has_no_table_of_variants(construct, stated: dict[str, Any]) -> None:
    only = {part: [stated[part][0]] for part in ("speed", "parity", "quality")}
    assert "Variants" in shown(construct(stated))
    assert "Variants" not in shown(construct(stated | only | {"variants": {"fp32": 360_000}}))
