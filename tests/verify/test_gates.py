"""Gates: each holds at its limit, fails beyond it, and fails where nothing was measured."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as xml

import pytest

from edgesr.recipe import Gates
from edgesr.verify.gates import check
from edgesr.verify.junit import junit

CPU = "CPUExecutionProvider"


def evidence() -> dict[str, Any]:
    return {
        "bundle": "x",
        "file": {"bytes": 2_000_000},
        "parity": [{"provider": CPU, "max_abs_diff": 1e-5, "max_pixels_changed": 0.0005}],
        "speed": [{"provider": CPU, "size": "8x8", "p95_ms": 20.0}],
        "quality": [{"data": "set", "psnr_db": 30.0, "bicubic_psnr_db": 28.0}],
        "cost": {"reduction_percent": 57.0},
        "providers": [
            {"provider": CPU, "asked": False, "available": True, "nodes": {CPU: 4}, "proved": True}
        ],
    }


CASES = [
    ("max_mb", 2.0, 1.9),
    ("max_abs_diff", 1e-5, 9e-6),
    ("max_pixels_changed", 0.0005, 0.0004),
    ("p95_ms", 20.0, 19.9),
    ("min_psnr_db", 30.0, 30.1),
    ("min_gain_over_bicubic_db", 2.0, 2.1),
    ("min_reduction_percent", 57.0, 57.1),
]
NONE = {"max_abs_diff": None, "max_pixels_changed": None}


@pytest.mark.parametrize(("gate", "holds", "fails"), CASES, ids=[case[0] for case in CASES])
def test_a_gate_holds_at_its_limit_and_not_beyond(gate: str, holds: float, fails: float) -> None:
    for limit, expected in ((holds, True), (fails, False)):
        rows = check(Gates(**(NONE | {gate: limit})), evidence())
        assert [(r["gate"], r["passed"]) for r in rows] == [
            (gate, expected),
            ("provider_proof", True),
        ]


def test_every_gate_of_the_recipe_is_known_to_the_check() -> None:
    gates = Gates(**dict.fromkeys(Gates.model_fields, 1.0))
    assert {row["gate"] for row in check(gates, evidence())} >= set(Gates.model_fields)


def test_a_gate_without_its_measurement_fails() -> None:
    bare = evidence() | {"quality": [], "cost": {"reduction_percent": None}}
    rows = check(Gates(min_psnr_db=1.0, min_reduction_percent=1.0, **NONE), bare)
    failed = [(row["gate"], row["measured"]) for row in rows if not row["passed"]]
    assert failed == [("min_psnr_db", None), ("min_reduction_percent", None)]


def test_a_provider_that_did_not_run_every_node_fails() -> None:
    found = evidence()
    found["providers"][0] |= {"nodes": {CPU: 1, "CUDAExecutionProvider": 3}, "proved": False}
    row = check(Gates(**NONE), found)[0]
    assert (row["gate"], row["measured"], row["passed"]) == ("provider_proof", 0.25, False)


def test_a_provider_that_nobody_asked_for_and_is_not_there_is_no_gate() -> None:
    found = evidence()
    found["providers"][0] |= {"available": False, "proved": False, "nodes": {}}
    assert check(Gates(**NONE), found) == []


def test_junit_has_a_case_per_gate_and_a_failure_per_fault() -> None:
    found = evidence()
    found["gates"] = check(Gates(max_mb=1.0), found)
    suite = xml.fromstring(junit(found))
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["max_mb (model.onnx)"]
