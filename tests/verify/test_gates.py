"""Gates: each holds at its limit, fails beyond it, and fails where nothing was measured."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as xml

import pytest

from edgesr.recipe import Fidelity, Gates, VariantGates
from edgesr.verify.gates import RUNTIMES, check, place
from edgesr.verify.junit import junit

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
INPUT = {"width": 9, "height": 7, "batch": 1, "max_abs_diff": 1e-5, "changed": 0, "values": 2000}

FP32 = {"runtime": "cpu", "variant": "fp32", "exact": True}
INT8 = FP32 | {"variant": "int8"}


KINDS = ("photograph", "text", "drawing", "noise", "checkerboard")
UNASKED = {"int8": dict.fromkeys(Fidelity.model_fields)}


def timing(p50: float, p95: float) -> dict[str, Any]:
    """Of 8x8, and twice that of 16x16."""
    larger = {"size": "16x16", "first_ms": 99.0, "p50_ms": 2 * p50, "p95_ms": 2 * p95}
    return {"size": "8x8", "p50_ms": p50, "p95_ms": p95, "shapes": [larger]}


def scores(psnr: float, loss: float) -> dict[str, Any]:
    return {
        "data": "set",
        "kind": "photographs",
        "psnr_db": psnr,
        "bicubic_psnr_db": 28.0,
        "loss_db": loss,
    }


def evidence() -> dict[str, Any]:
    return {
        "bundle": "x",
        "file": {"bytes": 2_000_000},
        "variants": {"fp32": 2_000_000, "int8": 600_000},
        "not_taken": [],
        "parity": [
            FP32
            | {
                "max_abs_diff": 1e-5,
                "max_pixels_changed": 0.0005,
                "cases": [INPUT | {"case": "noise"}, INPUT | {"case": "black", "changed": 1}],
                "not_taken": [],
            },
            INT8
            | {
                "max_abs_diff": 0.02,
                "max_pixels_changed": 0.5,
                "kinds_db": dict.fromkeys(KINDS, 40.0),
                "flat_levels": 1,
                "cases": [],
                "not_taken": [],
            },
        ],
        "speed": [FP32 | timing(18.0, 20.0), INT8 | timing(9.0, 10.0)],
        "quality": [FP32 | scores(30.0, 0.0), INT8 | scores(29.9, 0.1)],
        "cost": {"reduction_percent": 57.0},
        "providers": [
            {
                "provider": CPU,
                "variant": "fp32",
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
NONE: dict[str, Any] = {"max_abs_diff": None, "max_pixels_changed": None, **UNASKED}
OWN = [
    ("p50_ms", 9.0, 8.9),
    ("p95_ms", 10.0, 9.9),
    ("max_psnr_loss_db", 0.1, 0.09),
    ("max_abs_diff", 0.02, 0.019),
    ("max_mb", 0.6, 0.59),
    ("min_speedup", 2.0, 2.1),
]


@pytest.mark.parametrize(("gate", "holds", "fails"), CASES, ids=[case[0] for case in CASES])
def test_a_gate_holds_at_its_limit_and_not_beyond(gate: str, holds: float, fails: float) -> None:
    for limit, expected in ((holds, True), (fails, False)):
        rows = check(Gates(**(NONE | {gate: limit})), evidence())
        assert [(r["gate"], r["passed"]) for r in rows] == [
            (gate, expected),
            ("provider_proof", True),
        ]


@pytest.mark.parametrize(("gate", "holds", "fails"), OWN, ids=[case[0] for case in OWN])
def test_a_variants_gate_holds_at_its_limit_and_not_beyond(
    gate: str, holds: float, fails: float
) -> None:
    for limit, expected in ((holds, True), (fails, False)):
        own = Gates.model_validate(NONE | {"cpu": {"int8": {gate: limit}}})
        row = check(own, evidence())[0]
        assert (row["gate"], row["passed"]) == (gate, expected)
        assert row["where"].startswith("cpu, int8")


def test_every_gate_of_the_recipe_is_known_to_the_check() -> None:
    own = dict.fromkeys(set(VariantGates.model_fields) - {"size"}, 1.0)
    whole = set(Gates.model_fields) - {*RUNTIMES, "int8"}
    gates = Gates.model_validate(dict.fromkeys(whole, 1.0) | {"cpu": {"int8": own}})
    rows = check(gates, evidence())
    assert {row["gate"] for row in rows if "int8" in row["where"]} == {
        *own,
        *Fidelity.model_fields,
    }
    assert {row["gate"] for row in rows if "int8" not in row["where"]} >= whole


def test_a_latency_is_taken_at_the_gates_own_size() -> None:
    own = {"p95_ms": 20.0, "min_speedup": 2.0, "size": "16x16"}
    rows = check(Gates.model_validate(NONE | {"cpu": {"int8": own}}), evidence())[:2]
    assert [(r["measured"], r["where"]) for r in rows] == [
        (20.0, "cpu, int8, 16x16"),
        (2.0, "cpu, int8, 16x16"),
    ]


@pytest.mark.parametrize("runtime", ["openvino", "cuda"])
def test_a_variants_gate_on_a_runtime_that_did_not_run_fails(runtime: str) -> None:
    own = dict.fromkeys(("p95_ms", "max_abs_diff", "max_psnr_loss_db", "min_speedup"), 1e9)
    rows = check(Gates.model_validate(NONE | {runtime: {"fp16": own}}), evidence())
    assert [(row["measured"], row["passed"]) for row in rows[:4]] == [(None, False)] * 4


def test_the_whole_bundles_parity_is_asked_of_fp32_on_every_runtime() -> None:
    found = evidence()
    found["parity"].append(found["parity"][0] | {"runtime": "ncnn", "max_abs_diff": 0.5})
    rows = check(Gates(max_pixels_changed=None), found)
    assert [(r["where"], r["passed"]) for r in rows if r["gate"] == "max_abs_diff"] == [
        ("cpu, fp32", True),
        ("ncnn, fp32", False),
    ]


def test_a_runtimes_own_limit_on_the_parity_of_fp32_stands_in_for_the_bundles() -> None:
    found = evidence()
    found["parity"].append(found["parity"][0] | {"runtime": "ncnn", "max_abs_diff": 0.5})
    own = {"ncnn": {"fp32": {"max_abs_diff": 0.6}}, "max_pixels_changed": None}
    rows = check(Gates.model_validate(own), found)
    assert [(r["where"], r["limit"]) for r in rows if r["gate"] == "max_abs_diff"] == [
        ("cpu, fp32", 1e-4),
        ("ncnn, fp32", 0.6),
    ]


def test_a_runtime_as_it_comes_is_shown_and_not_gated() -> None:
    found = evidence()
    loose = {"exact": False, "precision": "tf32", "runtime": "cuda", "max_abs_diff": 0.1}
    found["parity"].append(found["parity"][0] | loose)
    rows = check(Gates.model_validate(UNASKED), found)
    assert {row["where"] for row in rows} == {"cpu, fp32"}
    assert place(found["parity"][-1]) == "cuda, fp32, tf32"


@pytest.mark.parametrize("off", [0, 1])
def test_a_file_of_bytes_must_give_the_very_bytes_of_the_float_file(off: int) -> None:
    found = evidence()
    found["parity"].append(found["parity"][0] | {"variant": "uint8-io", "bytes_off": off})
    row = next(row for row in check(Gates(), found) if row["gate"] == "bytes_off")
    assert (row["measured"], row["passed"]) == (off, off == 0)


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


def test_a_further_file_must_run_whole_where_its_provider_was_asked_for() -> None:
    found = evidence()
    part = found["providers"][0] | {"variant": "int8", "proved": False, "nodes": {CPU: 1, CUDA: 1}}
    found["providers"].append(part)
    assert [row["where"] for row in check(Gates(**NONE), found)] == ["cpu, fp32"]
    found["providers"][1]["asked"] = True
    rows = check(Gates(**NONE), found)
    assert [(r["where"], r["passed"]) for r in rows] == [("cpu, fp32", True), ("cpu, int8", False)]


def failures(suite: xml.Element) -> dict[str | None, str | None]:
    """Name and message of each failed case; the suite's own counts agree with its cases."""
    assert suite.get("tests") == str(len(suite))
    found = {case.get("name"): case.find("failure") for case in suite}
    failed = {name: node.get("message") for name, node in found.items() if node is not None}
    assert suite.get("failures") == str(len(failed))
    return failed


def test_junit_has_a_case_per_gate_and_input_and_a_failure_per_fault() -> None:
    found = evidence()
    asked = {"max_mb": 1.0, "max_pixels_changed": 0.0004, **UNASKED}
    found["gates"] = check(Gates.model_validate(asked), found)
    suite = xml.fromstring(junit(found))
    assert len(suite) == 4 + 2
    assert failures(suite) == {
        "max_mb (model.onnx)": "measured 2.0, limit 1.0",
        "max_pixels_changed (cpu, fp32)": "measured 0.0005, limit 0.0004",
        "parity black 9x7, batch 1 (cpu, fp32)": (
            "max_pixels_changed: measured 0.0005, limit 0.0004"
        ),
    }


def test_junit_skips_what_was_not_measured_and_says_why_a_provider_is_not_proved() -> None:
    found = evidence()
    found["providers"][0] |= {"proved": False, "message": "these nodes ran elsewhere: PRelu"}
    missing = {"provider": CUDA, "variant": "fp32", "asked": False, "available": False}
    found["providers"].append(missing | {"message": "no device"})
    found["not_taken"] = [{"runtime": "ncnn", "variant": "int8", "reason": "no such layer"}]
    found["parity"][0]["not_taken"] = [INPUT | {"case": "noise", "batch": 3, "reason": "one only"}]
    found["gates"] = check(Gates(), found)
    suite = xml.fromstring(junit(found))
    assert failures(suite) == {"provider_proof (cpu, fp32)": "these nodes ran elsewhere: PRelu"}
    skipped = {case.get("name"): case.find("skipped") for case in suite}
    assert suite.get("skipped") == "3"
    assert {name: node.get("message") for name, node in skipped.items() if node is not None} == {
        "provider cuda, fp32": "no device",
        "ncnn, int8": "no such layer",
        "parity noise 9x7, batch 3 (cpu, fp32)": "one only",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_eight_bits_must_keep_every_kind_of_picture(kind: str) -> None:
    """Quality is stated on photographs, and says nothing of text or noise."""
    gate = f"min_{kind}_db"
    found = evidence()
    for measured, held in ((40.0, True), (9.0, False), (None, False)):
        found["parity"][1]["kinds_db"][kind] = measured
        rows = {row["gate"]: row for row in check(Gates(), found) if row["where"] == "cpu, int8"}
        assert rows[gate]["passed"] is held
        assert all(row["passed"] for name, row in rows.items() if name != gate)
    del found["parity"][1]["kinds_db"][kind]
    assert [r["passed"] for r in check(Gates(), found) if r["gate"] == gate] == [False]


def test_a_flat_colour_may_move_by_one_level_in_eight_bits_and_no_more() -> None:
    found = evidence()
    for levels, held in ((0, True), (1, True), (2, False), (None, False)):
        found["parity"][1]["flat_levels"] = levels
        rows = [row for row in check(Gates(), found) if row["gate"] == "max_flat_levels"]
        assert [(row["passed"], row["where"]) for row in rows] == [(held, "cpu, int8")]


def test_nan_fails_in_gates_and_junit() -> None:
    """It is neither above nor below a limit."""
    found = evidence()
    for grid in found["parity"][:1]:
        grid["max_abs_diff"] = grid["cases"][0]["max_abs_diff"] = float("nan")
    found["quality"][0]["psnr_db"] = float("nan")
    gates = Gates.model_validate({"max_pixels_changed": None, "min_psnr_db": 20.0, **UNASKED})
    found["gates"] = check(gates, found)
    assert {row["gate"]: row["passed"] for row in found["gates"]} == {
        "max_abs_diff": False,
        "min_psnr_db": False,
        "provider_proof": True,
    }
    failed = failures(xml.fromstring(junit(found).encode()))
    assert failed["parity noise 9x7, batch 1 (cpu, fp32)"] is not None
