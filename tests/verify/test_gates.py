"""Gates: each holds at its limit, fails beyond it, and fails where nothing was measured."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as xml

import pytest

from edgesr.bundle.records.evidence import Gate
from edgesr.recipe import Fidelity, Gates, VariantGates
from edgesr.verify.gates import FAILS, HOLDS, NO_LIMIT, NOT_JUDGED, check, in_words, passed, reasons
from edgesr.verify.junit import junit
from edgesr.verify.measured import GRAPHICS, NO_WEIGHTS, RUNTIMES, place

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
INPUT = {"width": 9, "height": 7, "batch": 1, "max_abs_diff": 1e-5, "changed": 0, "values": 2000}

FP32 = {"runtime": "cpu", "variant": "fp32", "exact": True}
INT8 = FP32 | {"variant": "int8"}
KINDS = ("photograph", "text", "drawing", "noise", "checkerboard")
UNASKED = {"int8": dict.fromkeys([*Fidelity.model_fields, "max_psnr_loss_db"])}


def timing(p50: float, p95: float) -> dict[str, Any]:
    """Of 8x8, and twice that of 16x16."""
    larger = {"size": "16x16", "first_ms": 99.0, "p50_ms": 2 * p50, "p95_ms": 2 * p95}
    return {"size": "8x8", "p50_ms": p50, "p95_ms": p95, "noisy": "", "shapes": [larger]}


def scores(psnr: float, loss: float) -> dict[str, Any]:
    return {
        "data": "set",
        "kind": "photographs",
        "psnr_db": psnr,
        "bicubic_psnr_db": 28.0,
        "lpips": 0.3,
        "bicubic_lpips": 0.5,
        "grid": 0.3,
        "loss_db": loss,
        "loss_rgb_db": loss - 0.01,
    }


def evidence() -> dict[str, Any]:
    return {
        "bundle": "x",
        "file": {"bytes": 2_000_000},
        "variants": {"fp32": 2_000_000, "int8": 600_000},
        "unsupported": [],
        "parity": [
            FP32
            | {
                "max_abs_diff": 1e-5,
                "max_pixels_changed": 0.0005,
                "cases": [INPUT | {"case": "noise"}, INPUT | {"case": "black", "changed": 1}],
                "unsupported": [],
            },
            INT8
            | {
                "max_abs_diff": 0.02,
                "max_pixels_changed": 0.5,
                "kinds_db": dict.fromkeys(KINDS, 40.0),
                "flat_levels": 1,
                "cases": [],
                "unsupported": [],
            },
        ],
        "speed": [FP32 | timing(18.0, 20.0), INT8 | timing(9.0, 10.0)],
        "quality": [FP32 | scores(30.0, 0.0), INT8 | scores(29.9, 0.1)],
        "cost": {"size": "8x8", "reduction_percent": 57.0},
        "providers": [
            {
                "provider": CPU,
                "variant": "fp32",
                "requested": False,
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
    ("max_lpips", 0.3, 0.29),
    ("min_lpips_gain", 0.2, 0.21),
    ("max_grid", 0.3, 0.29),
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


def judged(rows: list[Gate]) -> list[tuple[str, str]]:
    """Gate and state of what was held against a limit."""
    return [(row.gate, row.state) for row in rows if row.state != NOT_JUDGED]


def state(holds: bool) -> str:
    return HOLDS if holds else FAILS


@pytest.mark.parametrize(("gate", "holds", "fails"), CASES, ids=[case[0] for case in CASES])
def test_a_gate_holds_at_its_limit_and_not_beyond(
    construct, gate: str, holds: float, fails: float
) -> None:
    for limit, expected in ((holds, HOLDS), (fails, FAILS)):
        rows = check(Gates.model_validate(NONE | {gate: limit}), construct(evidence()))
        assert judged(rows) == [(gate, expected), ("provider_proof", HOLDS)]
        assert passed(rows) is (expected == HOLDS)


@pytest.mark.parametrize(("gate", "holds", "fails"), OWN, ids=[case[0] for case in OWN])
def test_a_variants_gate_holds_at_its_limit_and_not_beyond(
    construct, gate: str, holds: float, fails: float
) -> None:
    for limit, expected in ((holds, HOLDS), (fails, FAILS)):
        own = Gates.model_validate(NONE | {"cpu": {"int8": {gate: limit}}})
        rows = check(own, construct(evidence()))
        assert judged(rows)[0] == (gate, expected)
        assert all("cpu, int8" in row.where for row in rows if row.gate == gate == "p50_ms")


def test_every_gate_of_the_recipe_is_known_to_the_check(construct) -> None:
    own = dict.fromkeys(set(VariantGates.model_fields) - {"size"}, 1.0)
    whole = set(Gates.model_fields) - {*RUNTIMES, "fp16", "int8", "uint8_io"}
    gates = Gates.model_validate(dict.fromkeys(whole, 1.0) | {"cpu": {"int8": own}})
    rows = check(gates, construct(evidence()))
    assert {row.gate for row in rows if "int8" in row.where} == {
        *own,
        *Fidelity.model_fields,
    }
    assert {row.gate for row in rows if "int8" not in row.where} >= whole


def test_a_latency_is_taken_at_the_gates_own_size(construct) -> None:
    own = {"p95_ms": 20.0, "min_speedup": 2.0, "size": "16x16"}
    rows = check(Gates.model_validate(NONE | {"cpu": {"int8": own}}), construct(evidence()))
    found = [row for row in rows if row.state != NOT_JUDGED and row.gate in own]
    assert [(row.measured, row.where) for row in found] == [
        (20.0, "cpu, int8, 16x16"),
        (2.0, "cpu, int8, 16x16"),
    ]


@pytest.mark.parametrize("runtime", ["openvino", "cuda"])
def test_a_variants_gate_on_a_runtime_that_did_not_run_fails(construct, runtime: str) -> None:
    own = dict.fromkeys(("p95_ms", "max_abs_diff", "max_psnr_loss_db", "min_speedup"), 1e9)
    rows = check(Gates.model_validate(NONE | {runtime: {"fp16": own}}), construct(evidence()))
    found = [row for row in rows if row.where.startswith(runtime)]
    assert [(row.measured, row.state) for row in found] == [(None, FAILS)] * 4


def test_the_whole_bundles_parity_is_asked_of_fp32_on_every_runtime(construct) -> None:
    found = evidence()
    found["parity"].append(found["parity"][0] | {"runtime": "ncnn", "max_abs_diff": 0.5})
    rows = check(Gates(max_pixels_changed=None), construct(found))
    assert [(r.where, r.state) for r in rows if r.gate == "max_abs_diff"] == [
        ("cpu, fp32", HOLDS),
        ("ncnn, fp32", FAILS),
    ]


def test_a_runtimes_own_limit_on_the_parity_of_fp32_stands_in_for_the_bundles(construct) -> None:
    found = evidence()
    found["parity"].append(found["parity"][0] | {"runtime": "ncnn", "max_abs_diff": 0.5})
    own = {"ncnn": {"fp32": {"max_abs_diff": 0.6}}, "max_pixels_changed": None}
    rows = check(Gates.model_validate(own), construct(found))
    assert [(r.where, r.limit) for r in rows if r.gate == "max_abs_diff"] == [
        ("cpu, fp32", 1e-4),
        ("ncnn, fp32", 0.6),
    ]


def test_a_runtime_as_it_comes_is_shown_and_not_judged(construct) -> None:
    found = evidence()
    loose = {"exact": False, "precision": "tf32", "runtime": "cuda", "max_abs_diff": 0.1}
    found["parity"].append(found["parity"][0] | loose)
    assert place(construct(found).parity[-1]) == "cuda, fp32, tf32"
    (row,) = [row for row in check(Gates(), construct(found)) if row.where == "cuda, fp32, tf32"]
    assert (row.state, row.measured) == (NOT_JUDGED, 0.1)
    assert row.reason == "computed in tf32, as the runtime comes"


@pytest.mark.parametrize("off", [0, 1])
def test_a_file_of_bytes_must_give_the_very_bytes_of_the_float_file(construct, off: int) -> None:
    found = evidence()
    found["parity"].append(found["parity"][0] | {"variant": "uint8-io", "bytes_off": off})
    row = next(row for row in check(Gates(), construct(found)) if row.gate == "bytes_off")
    assert (row.measured, row.state) == (off, state(off == 0))


def test_a_gate_without_its_measurement_fails_and_says_so(construct) -> None:
    bare = evidence() | {"quality": [], "cost": {"size": "8x8", "reduction_percent": None}}
    gates = Gates.model_validate(NONE | {"min_psnr_db": 1.0, "min_reduction_percent": 1.0})
    rows = check(gates, construct(bare))
    failed = [(row.gate, row.reason) for row in rows if row.state == FAILS]
    missing = "not measured"
    assert failed == [("min_psnr_db", missing), ("min_reduction_percent", missing)]


def test_what_quick_does_not_time_is_not_judged_and_fails_nothing(construct) -> None:
    own = {"int8": {"p50_ms": 1.0, "min_speedup": 99.0}}
    gates = Gates.model_validate(NONE | {"p95_ms": 1.0, "cpu": own})
    rows = check(gates, construct(evidence() | {"speed": [], "quick": True}))
    untimed = {row.gate for row in rows if (row.state, row.reason) == (NOT_JUDGED, "--quick")}
    assert untimed == {"p95_ms", "p50_ms", "min_speedup"}
    assert passed(rows)


def test_what_quick_does_not_time_is_said_where_no_limit_is_stated(construct) -> None:
    rows = check(Gates(), construct(evidence() | {"speed": [], "quick": True}))
    assert ("p95_ms", "cpu, fp32, 8x8", "--quick") in {(r.gate, r.where, r.reason) for r in rows}


def with_file(variant: str, loss: float, **parity: Any) -> dict[str, Any]:
    """Evidence of one more file than fp32 and int8."""
    found, place = evidence(), FP32 | {"variant": variant}
    found["parity"].append(found["parity"][0] | place | parity)
    found["speed"].append(place | timing(9.0, 10.0))
    found["quality"].append(place | scores(30.0 - loss, loss))
    return found


@pytest.mark.parametrize("runtime", ["cpu", "openvino"])
@pytest.mark.parametrize(
    ("variant", "loss"), [("fp16", 0.021), ("int8", 0.11), ("uint8-io", 0.011)]
)
def test_every_file_that_ships_has_gates_without_a_word_in_the_recipe(
    construct, variant: str, loss: float, runtime: str
) -> None:
    for lost, expected in ((0.0, HOLDS), (loss, FAILS)):
        found = with_file(variant, lost, bytes_off=0)
        for part in ("parity", "speed", "quality"):  # the last row of each is this file's alone
            found[part] = [found[part][0], found[part][-1] | {"runtime": runtime}]
        where = f"{runtime}, {variant}"
        if variant == "int8":
            found["parity"][-1] |= {"kinds_db": {}, "flat_levels": 0}
        rows = [row for row in check(Gates(), construct(found)) if row.where == where]
        assert ("max_psnr_loss_db", expected) in judged(rows)


def test_a_runtimes_own_table_goes_before_what_holds_everywhere(construct) -> None:
    gates = Gates.model_validate({"cpu": {"int8": {"max_psnr_loss_db": 0.05}}})
    row = next(row for row in check(gates, construct(evidence())) if row.gate == "max_psnr_loss_db")
    assert (row.limit, row.state) == (0.05, FAILS)


def test_a_tint_that_luma_does_not_see_counts_as_loss(construct) -> None:
    found = evidence()
    found["quality"][1] |= {"loss_db": 0.0, "loss_rgb_db": 0.5}
    row = next(row for row in check(Gates(), construct(found)) if row.gate == "max_psnr_loss_db")
    assert (row.measured, row.state) == (0.5, FAILS)


def test_what_is_measured_and_has_no_limit_is_shown_as_not_judged(construct) -> None:
    rows = [row for row in check(Gates(), construct(evidence())) if row.state == NOT_JUDGED]
    assert {(row.gate, row.where) for row in rows} == {
        ("p95_ms", "cpu, fp32, 8x8"),
        ("p95_ms", "cpu, int8, 8x8"),
        ("min_gain_over_bicubic_db", "set"),
        ("max_lpips", "set"),
    }
    assert {row.reason for row in rows} == {NO_LIMIT}


@pytest.mark.parametrize("gate", ["p50_ms", "p95_ms", "min_speedup"])
def test_latencies_of_a_busy_machine_are_not_judged_whatever_they_are(construct, gate: str) -> None:
    noise = "other processes took 1.4 of 2 cores, 2 threads were timed"
    gates = Gates.model_validate(NONE | {"cpu": {"int8": {gate: 1e-3}}})
    found = evidence()
    found["speed"][1]["noisy"] = noise
    row = next(row for row in check(gates, construct(found)) if row.limit == 1e-3)
    assert (row.state, row.reason) == (NOT_JUDGED, noise)
    assert passed(check(gates, construct(found)))


def test_a_speed_up_over_a_file_that_was_timed_on_a_busy_machine_is_not_judged(construct) -> None:
    found = evidence()
    found["speed"][0]["noisy"] = "busy"
    gates = Gates.model_validate(NONE | {"p95_ms": 1.0, "cpu": {"int8": {"min_speedup": 9.0}}})
    rows = {row.gate: row for row in check(gates, construct(found)) if row.limit is not None}
    assert (rows["min_speedup"].state, rows["min_speedup"].reason) == (NOT_JUDGED, "busy")
    assert (rows["p95_ms"].state, rows["p95_ms"].reason) == (NOT_JUDGED, "busy")


def test_sharpness_without_the_weights_that_tell_it_is_not_judged(construct) -> None:
    found = evidence()
    found["quality"][0] |= {"lpips": None, "bicubic_lpips": None}
    gates = Gates.model_validate(NONE | {"max_lpips": 0.1, "min_lpips_gain": 0.1})
    rows = [row for row in check(gates, construct(found)) if "lpips" in row.gate]
    assert {(row.state, row.reason) for row in rows} == {(NOT_JUDGED, NO_WEIGHTS)}
    assert len(rows) == 2


def test_graphics_are_shown_beside_photographs_and_not_judged(construct) -> None:
    found = evidence()
    for row, gain, loss in ((found["quality"][0], -5.0, 0.0), (found["quality"][1], -6.0, 9.0)):
        drawn = scores(28.0 + gain, loss) | {"kind": "graphics", "data": "graphics"}
        found["quality"].append(row | drawn)
    gates = Gates.model_validate({"min_gain_over_bicubic_db": 0.0})
    rows = [row for row in check(gates, construct(found)) if row.reason == GRAPHICS]
    assert [(row.gate, row.where, row.measured) for row in rows] == [
        ("min_gain_over_bicubic_db", "graphics", -5.0),
        ("max_psnr_loss_db", "cpu, int8, graphics", 9.0),
    ]
    assert passed(check(gates, construct(found)))


def test_the_verdict_says_what_fails_and_what_nobody_judged_and_why(construct) -> None:
    unasked = {"int8": dict.fromkeys(Fidelity.model_fields)}
    gates = Gates.model_validate({"min_gain_over_bicubic_db": 0.0, **unasked})
    rows = check(gates, construct(evidence()))
    assert in_words(rows) == (
        "All 5 gates hold. 3 not judged: p95_ms, max_lpips (the recipe states no limit)."
    )
    gates = Gates.model_validate({"max_mb": 1.0, "min_psnr_db": 99.0, **unasked})
    rows = check(gates, construct(evidence()))
    assert in_words(rows).startswith("2 of 6 gates do not hold: max_mb, min_psnr_db. 4 not judged")
    assert in_words([row for row in rows if row.state == HOLDS]) == "All 4 gates hold."


def test_a_gate_that_was_not_judged_for_several_reasons_is_told_once() -> None:
    """On a busy machine each file's latency has a reason of its own."""
    unjudged = [
        Gate(gate=gate, where="", limit=1.0, measured=None, state=NOT_JUDGED, reason=reason)
        for gate, reason in (("p95_ms", "2.1 x"), ("p95_ms", "3 x"), ("max_mb", "2.1 x"))
    ]
    assert list(reasons(unjudged)) == ["p95_ms, max_mb (2.1 x)"]


def test_a_provider_that_did_not_run_every_node_fails(construct) -> None:
    found = evidence()
    found["providers"][0] |= {"nodes": {CPU: 1, CUDA: 3}, "proved": False, "message": "elsewhere"}
    row = check(Gates(), construct(found))[-1]
    assert (row.gate, row.measured, row.state) == ("provider_proof", 0.25, FAILS)
    assert row.reason == "elsewhere"


def test_a_provider_that_nobody_asked_for_and_is_not_there_is_no_gate(construct) -> None:
    found = evidence()
    found["providers"][0] |= {"available": False, "proved": False, "nodes": {}}
    assert "provider_proof" not in {row.gate for row in check(Gates(), construct(found))}


def test_a_further_file_must_run_whole_where_its_provider_was_asked_for(construct) -> None:
    found = evidence()
    part = found["providers"][0] | {"variant": "int8", "proved": False, "nodes": {CPU: 1, CUDA: 1}}
    found["providers"].append(part | {"message": "elsewhere"})
    rows = check(Gates(), construct(found))[-2:]
    assert [(r.where, r.state) for r in rows] == [
        ("cpu, fp32", HOLDS),
        ("cpu, int8", NOT_JUDGED),
    ]
    found["providers"][1]["requested"] = True
    assert check(Gates(), construct(found))[-1].state == FAILS


def failures(suite: xml.Element) -> dict[str | None, str | None]:
    """Name and message of each failed case; the suite's own counts agree with its cases."""
    assert suite.get("tests") == str(len(suite))
    found = {case.get("name"): case.find("failure") for case in suite}
    failed = {name: node.get("message") for name, node in found.items() if node is not None}
    assert suite.get("failures") == str(len(failed))
    return failed


def skipped(suite: xml.Element) -> dict[str | None, str | None]:
    """Name and message of each skipped case; the suite's own count agrees."""
    found = {case.get("name"): case.find("skipped") for case in suite}
    passed_over = {name: node.get("message") for name, node in found.items() if node is not None}
    assert suite.get("skipped") == str(len(passed_over))
    return passed_over


def test_junit_has_a_case_per_gate_and_input_and_a_failure_per_fault(construct) -> None:
    found = evidence()
    requested = {"max_mb": 1.0, "max_pixels_changed": 0.0004, **UNASKED}
    found["gates"] = check(Gates.model_validate(requested), construct(found))
    suite = xml.fromstring(junit(construct(found)))
    assert len(suite) == 4 + 2 + len(skipped(suite))
    assert failures(suite) == {
        "max_mb (model.onnx)": "measured 2.0, limit 1.0",
        "max_pixels_changed (cpu, fp32)": "measured 0.0005, limit 0.0004",
        "parity black 9x7, batch 1 (cpu, fp32)": (
            "max_pixels_changed: measured 0.0005, limit 0.0004"
        ),
    }


def test_junit_skips_what_was_not_judged_or_measured_and_says_why(construct) -> None:
    found = evidence()
    found["providers"][0] |= {"proved": False, "message": "these nodes ran elsewhere: PRelu"}
    missing = {"provider": CUDA, "variant": "fp32", "requested": False, "available": False}
    found["providers"].append(missing | {"message": "no device"})
    found["unsupported"] = [{"runtime": "ncnn", "variant": "int8", "reason": "no such layer"}]
    found["parity"][0]["unsupported"] = [
        {"case": "noise", "width": 9, "height": 7, "batch": 3, "reason": "one only"}
    ]
    found["gates"] = check(Gates(), construct(found))
    suite = xml.fromstring(junit(construct(found)))
    assert failures(suite) == {"provider_proof (cpu, fp32)": "these nodes ran elsewhere: PRelu"}
    assert skipped(suite) == {
        "p95_ms (cpu, fp32, 8x8)": NO_LIMIT,
        "p95_ms (cpu, int8, 8x8)": NO_LIMIT,
        "min_gain_over_bicubic_db (set)": NO_LIMIT,
        "max_lpips (set)": NO_LIMIT,
        "provider cuda, fp32": "no device",
        "ncnn, int8": "no such layer",
        "parity noise 9x7, batch 3 (cpu, fp32)": "one only",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_eight_bits_must_keep_every_kind_of_picture(construct, kind: str) -> None:
    """Quality is stated on photographs, and says nothing of text or noise."""
    gate = f"min_{kind}_db"
    found = evidence()
    for measured, held in ((40.0, HOLDS), (9.0, FAILS), (None, FAILS)):
        found["parity"][1]["kinds_db"][kind] = measured
        rows = {
            row.gate: row for row in check(Gates(), construct(found)) if row.where == "cpu, int8"
        }
        assert rows[gate].state == held
        assert all(row.state == HOLDS for name, row in rows.items() if name != gate)
    del found["parity"][1]["kinds_db"][kind]
    assert [r.state for r in check(Gates(), construct(found)) if r.gate == gate] == [FAILS]


def test_a_flat_colour_may_move_by_one_level_in_eight_bits_and_no_more(construct) -> None:
    found = evidence()
    for levels, held in ((0, HOLDS), (1, HOLDS), (2, FAILS), (None, FAILS)):
        found["parity"][1]["flat_levels"] = levels
        rows = [row for row in check(Gates(), construct(found)) if row.gate == "max_flat_levels"]
        assert [(row.state, row.where) for row in rows] == [(held, "cpu, int8")]


def test_junit_is_xml_whatever_names_and_messages_hold(construct) -> None:
    """A control character in a library's message left a file that nobody can read."""
    evil = "a\x00\x08\x1b[31m\x7f\x85\u2028\ufffe\ud800\U0001f600 <b a='1'>&amp;]]>\"\n\t\r"
    found = evidence()
    found["bundle"] = evil
    found["parity"][0]["cases"][0]["case"] = evil
    found["unsupported"] = [{"runtime": "ncnn", "variant": "int8", "reason": evil}]
    missing = {"provider": CUDA, "variant": "fp32", "requested": False, "available": False}
    found["providers"].append(missing | {"message": evil})
    row = Gate.model_construct(gate=evil, where="x", limit=1.0, measured=2.0, reason=evil)
    judged = {"x": FAILS, "y": NOT_JUDGED}
    found["gates"] = [row.model_copy(update={"where": w, "state": s}) for w, s in judged.items()]
    text = junit(construct(found))
    suite = xml.fromstring(text.encode("utf-8"))
    shown = evil
    for character in "\x00\x08\x1b\ufffe\ud800":
        shown = shown.replace(character, ascii(character)[1:-1])
    assert suite.get("name") == f"edgesr.{shown}"
    assert failures(suite)[f"{shown} (x)"] == skipped(suite)[f"{shown} (y)"] == shown
    assert skipped(suite)["ncnn, int8"] == skipped(suite)["provider cuda, fp32"] == shown


def test_nan_fails_in_gates_and_junit(construct) -> None:
    """It is neither above nor below a limit."""
    found = evidence()
    for grid in found["parity"][:1]:
        grid["max_abs_diff"] = grid["cases"][0]["max_abs_diff"] = float("nan")
    found["quality"][0]["psnr_db"] = float("nan")
    gates = Gates.model_validate({"max_pixels_changed": None, "min_psnr_db": 20.0, **UNASKED})
    found["gates"] = check(gates, construct(found))
    assert dict(judged(found["gates"])) == {
        "max_abs_diff": FAILS,
        "min_psnr_db": FAILS,
        "provider_proof": HOLDS,
    }
    failed = failures(xml.fromstring(junit(construct(found)).encode()))
    assert failed["parity noise 9x7, batch 1 (cpu, fp32)"] is not None
