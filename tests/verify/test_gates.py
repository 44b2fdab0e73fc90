"""Gates: each holds at its limit, fails beyond it, and fails where nothing was measured."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as xml

import pytest

from edgesr.recipe import Gates
from edgesr.verify.gates import check
from edgesr.verify.junit import junit

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
INPUT = {"width": 9, "height": 7, "batch": 1, "max_abs_diff": 1e-5, "changed": 0, "values": 2000}


def evidence() -> dict[str, Any]:
    return {
        "bundle": "x",
        "file": {"bytes": 2_000_000},
        "parity": [
            {
                "provider": CPU,
                "max_abs_diff": 1e-5,
                "max_pixels_changed": 0.0005,
                "cases": [INPUT | {"case": "noise"}, INPUT | {"case": "black", "changed": 1}],
            }
        ],
        "speed": [{"provider": CPU, "size": "8x8", "p95_ms": 20.0}],
        "quality": [{"data": "set", "psnr_db": 30.0, "bicubic_psnr_db": 28.0}],
        "cost": {"reduction_percent": 57.0},
        "providers": [
            {
                "provider": CPU,
                "asked": False,
                "available": True,
                "nodes": {CPU: 4},
                "proved": True,
                "message": "",
            }
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
    found["providers"][0] |= {"nodes": {CPU: 1, CUDA: 3}, "proved": False}
    row = check(Gates(**NONE), found)[0]
    assert (row["gate"], row["measured"], row["passed"]) == ("provider_proof", 0.25, False)


def test_a_provider_that_nobody_asked_for_and_is_not_there_is_no_gate() -> None:
    found = evidence()
    found["providers"][0] |= {"available": False, "proved": False, "nodes": {}}
    assert check(Gates(**NONE), found) == []


def failures(suite: xml.Element) -> dict[str | None, str | None]:
    """Name and message of each failed case; the suite's own counts agree with its cases."""
    assert suite.get("tests") == str(len(suite))
    found = {case.get("name"): case.find("failure") for case in suite}
    failed = {name: node.get("message") for name, node in found.items() if node is not None}
    assert suite.get("failures") == str(len(failed))
    return failed


def test_junit_has_a_case_per_gate_and_input_and_a_failure_per_fault() -> None:
    found = evidence()
    found["gates"] = check(Gates(max_mb=1.0, max_pixels_changed=0.0004), found)
    suite = xml.fromstring(junit(found))
    assert len(suite) == 4 + 2
    assert failures(suite) == {
        "max_mb (model.onnx)": "measured 2.0, limit 1.0",
        f"max_pixels_changed ({CPU})": "measured 0.0005, limit 0.0004",
        f"parity black 9x7, batch 1 ({CPU})": ("max_pixels_changed: measured 0.0005, limit 0.0004"),
    }


def test_junit_skips_a_provider_that_is_not_there_and_says_why_one_is_not_proved() -> None:
    found = evidence()
    found["providers"][0] |= {"proved": False, "message": "these nodes ran elsewhere: PRelu"}
    missing = {"provider": CUDA, "asked": False, "available": False, "message": "no device"}
    found["providers"].append(missing)
    found["gates"] = check(Gates(), found)
    suite = xml.fromstring(junit(found))
    assert failures(suite) == {f"provider_proof ({CPU})": "these nodes ran elsewhere: PRelu"}
    skipped = suite.find(f"testcase[@name='provider {CUDA}']/skipped")
    assert suite.get("skipped") == "1"
    assert skipped is not None
    assert skipped.get("message") == "no device"
