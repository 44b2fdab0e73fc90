"""The rows of the page: ratios the right way round, and words where nothing was measured."""

from __future__ import annotations

from typing import Any

import pytest

from edgesr.bundle.records.evidence import Evidence, Gate
from edgesr.bundle.records.rows import Cost
from edgesr.report import bundles, tables, text
from edgesr.report.tables import UNKNOWN


@pytest.fixture
def pair(make_bundle) -> tuple[bundles.Bundle, bundles.Bundle]:
    """A student and its teacher."""
    teacher = bundles.read(make_bundle("teacher", "teacher"))
    return bundles.read(make_bundle("n4")), teacher


def rows(own: bundles.Bundle, teacher: bundles.Bundle | None) -> dict[str, tables.Row]:
    assert own.verify is not None
    return {row.label: row for row in tables.comparison(own.verify, teacher)}


def test_cost_is_a_ratio_and_psnr_a_difference(pair) -> None:
    found = rows(*pair)
    parameters = found["Parameters"]
    assert (parameters.teacher, parameters.own) == ("1,549,334", "88,752")
    assert parameters.ratio == "17.5 ×"
    assert found["Latency p50, CPU, 2 threads, 128×128 LR"].ratio == "28.7 ×"
    assert found["PSNR on Y, astronaut (embedded, held out)"].ratio == "−0.67 dB"


def test_without_the_teachers_bundle_its_cost_is_still_known(pair) -> None:
    found = rows(pair[0], None)
    assert found["Parameters"].teacher == "1,549,334"
    assert found["model.onnx"].teacher == UNKNOWN
    assert found["Latency p95, CPU, 2 threads, 128×128 LR"].ratio == UNKNOWN
    assert found["PSNR on Y, astronaut (embedded, held out)"].teacher == UNKNOWN


def test_latencies_of_two_machines_are_not_compared(make_bundle, evidence) -> None:
    elsewhere = evidence("teacher", False)
    elsewhere["machine"] = {"cpu": "another", "cores": 64, "system": "Linux"}
    teacher = bundles.read(make_bundle("teacher", "teacher", verify=elsewhere))
    found = rows(bundles.read(make_bundle("n4")), teacher)
    assert found["Latency p50, CPU, 2 threads, 128×128 LR"].teacher == UNKNOWN
    assert found["PSNR on Y, astronaut (embedded, held out)"].teacher == "28.61 dB"


def test_latencies_under_other_conditions_are_not_compared(make_bundle, evidence) -> None:
    verify = evidence("teacher", False)
    verify["speed"][0]["threads"] = 8
    teacher = bundles.read(make_bundle("teacher", "teacher", verify=verify))
    found = rows(bundles.read(make_bundle("n4")), teacher)
    assert found["Latency p50, CPU, 2 threads, 128×128 LR"].teacher == UNKNOWN


def test_the_verdict_names_the_gates_that_do_not_hold(evidence) -> None:
    verify = evidence("n4", True)
    held = tables.verdict(Evidence.model_validate(verify))
    assert held == tables.Verdict(True, "All 7 gates hold.")
    verify["gates"][0]["state"] = verify["gates"][3]["state"] = "fails"
    verify["passed"] = False
    failed = tables.verdict(Evidence.model_validate(verify))
    assert failed.text == "2 of 7 gates do not hold: max_mb, p95_ms."
    assert failed.holds is False
    assert tables.verdict(None).holds is None


@pytest.mark.parametrize(
    ("gate", "limit", "measured", "shown"),
    [
        ("max_mb", 0.5, 0.362114, ("≤ 0.5 MB", "0.3621 MB")),
        ("p95_ms", 20.0, 8.33, ("≤ 20 ms", "8.33 ms")),
        ("min_psnr_db", 27.9, 27.88, ("≥ 27.9 dB", "27.88 dB")),
        ("min_reduction_percent", 50.0, None, ("≥ 50 %", UNKNOWN)),
        ("max_abs_diff", 1e-4, 1.19e-6, ("≤ 0.0001", "1.19e-6")),
        ("max_pixels_changed", 0.001, 0.0, ("≤ 0.1 %", "0 %")),
        ("provider_proof", 1.0, 0.9, ("proved", "90.0 % of nodes")),
        ("max_lpips", None, 0.214, (UNKNOWN, "0.214")),
    ],
)
def test_a_gate_is_printed_in_its_unit(
    gate: str, limit: float | None, measured: float | None, shown: tuple[str, str]
) -> None:
    row = Gate(gate=gate, where="x", limit=limit, measured=measured, state="fails", reason="")
    (found,) = tables.gates(Evidence.model_construct(gates=[row]))
    assert (found.limit, found.measured) == shown


def test_parts_follow_the_data_and_the_largest_fills_its_bar(evidence) -> None:
    parts = tables.parts(Cost.model_validate(evidence("n4", True)["cost"]))
    assert [part.name for part in parts] == ["head", "body", "upsampler", "tail"]
    assert max(part.teacher_share for part in parts) == 100
    assert parts[2].own is None
    assert parts[2].own_share == 0


def test_a_student_stands_beside_the_papers_student(evidence) -> None:
    printed = tables.beside_paper(
        "edge 32x8", "student", Cost.model_validate(evidence("n4", True)["cost"])
    )
    by_label: dict[str, Any] = {row.label: row for row in printed}
    assert by_label["fp32 weights, MiB"].paper == ["5.92", "2.48", "2.39 ×"]
    assert by_label["fp32 weights, MiB"].ours == ["5.91", "0.34", "17.5 ×"]
    assert by_label["network"].ours[:2] == ["SRGAN N=16", "edge 32x8"]


def test_a_teacher_stands_beside_the_papers_teacher(evidence) -> None:
    printed = tables.beside_paper(
        "SRGAN N=16", "teacher", Cost.model_validate(evidence("teacher", False)["cost"])
    )
    assert printed[0].ours[:2] == ["SRGAN N=16", UNKNOWN]
    assert printed[1].ours == ["5.91", UNKNOWN, UNKNOWN]


def test_a_student_without_a_known_teacher_leaves_its_column_open(evidence) -> None:
    unknown = dict.fromkeys(("teacher", "reduction_percent", "mac_ratio"))
    cost = Cost.model_validate(evidence("n4", True)["cost"] | unknown)
    printed = tables.beside_paper("edge 32x8", "student", cost)
    assert printed[1].ours == [UNKNOWN, "0.34", UNKNOWN]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (text.three(0), "0.000"),
        (text.three(1234.5), "1,234"),
        (text.three(0.00012), "1.2e-4"),
        (text.percent(0), "0 %"),
        (text.decibels(None), "identical"),
        (text.decibels(float("inf")), "identical"),
        (text.duration(95), "95 s"),
        (text.duration(412), "7 min"),
        (text.duration(9000), "2.5 h"),
        (text.provider("CUDAExecutionProvider"), "CUDA"),
    ],
)
def test_numbers_read_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected
