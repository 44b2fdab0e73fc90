"""`edgesr bundle check`: what it lets pass, what it refuses, and how little it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from typer.testing import CliRunner

from edgesr.bundle import check
from edgesr.bundle.checksums import write_checksums
from edgesr.cli import app
from edgesr.errors import BundleError
from edgesr.workspace import sha256, write_json

CASES = ["photograph", "noise", "checkerboard"]
ROOT = Path(__file__).parents[2]


def vouch(folder: Path) -> None:
    """Make card.json and SHA256SUMS agree with whatever the files are now."""
    card = json.loads((folder / "card.json").read_text())
    card["sha256"] = {name: sha256(folder / name) for name in card["sha256"]}
    write_json(folder / "card.json", card)
    write_checksums(folder)


def failed(folder: Path) -> list[tuple[str, str]]:
    return [(row.variant, row.case) for row in check.check(folder) if not row.passed]


def test_a_bundle_as_it_was_exported_holds_in_every_variant(made: Path) -> None:
    rows = check.check(made)
    # int8 once more: how like the float answer it is.
    assert [row.variant for row in rows[::3]] == ["fp32", "fp16", "int8", "int8", "uint8-io"]
    assert [row.case for row in rows] == CASES * 5
    assert {row.unit for row in rows[9:12]} == {" dB"}
    assert all(row.passed for row in rows)
    assert rows[-1].unit == " levels"


def test_eight_bits_far_from_the_float_answer_fail_though_they_are_as_they_were(
    folder: Path,
) -> None:
    """Their own golden vector holds: it would on a file that was bad from the start."""
    path = folder / "golden/golden.json"
    golden = json.loads(path.read_text())
    for case in golden["cases"]:
        case["reference"]["min_psnr_db"] = 99.0
    write_json(path, golden)
    vouch(folder)
    assert failed(folder) == [("int8", case) for case in CASES]
    row = next(row for row in check.check(folder) if not row.passed)
    assert row.cells()[3:] == ("at least 99 dB", "FAILS")


def test_a_changed_weight_is_found_even_where_all_sums_were_made_to_match(folder: Path) -> None:
    path = folder / "model.onnx"
    model = onnx.load(path)
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    values = numpy_helper.to_array(weight).copy()
    values.flat[0] += 0.1
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)
    vouch(folder)
    assert {variant for variant, _ in failed(folder)} == {"fp32"}


def test_the_golden_vector_that_does_not_hold_is_named(folder: Path) -> None:
    path = folder / "golden/noise.f32"
    expected = np.fromfile(path, "<f4")
    expected[5] = 2 - expected[5]
    expected.tofile(path)
    vouch(folder)
    assert failed(folder)[0] == ("fp32", "noise")
    assert {case for _, case in failed(folder)} == {"noise"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_never_holds(folder: Path, value: float) -> None:
    path = folder / "golden/noise.f32"
    expected = np.fromfile(path, "<f4")
    expected[5] = value
    expected.tofile(path)
    vouch(folder)
    with np.errstate(invalid="ignore"):
        assert ("fp32", "noise") in failed(folder)


def test_a_variant_that_does_not_open_fails_with_the_reason_and_the_others_run(
    folder: Path,
) -> None:
    (folder / "model.int8.onnx").write_bytes(b"no model")
    vouch(folder)
    assert failed(folder) == [("int8", case) for case in CASES]
    row = next(row for row in check.check(folder) if not row.passed)
    assert row.measured is None
    assert "model.int8.onnx" in row.message


def test_an_output_of_another_size_fails_with_both_sizes(folder: Path) -> None:
    path = folder / "model.onnx"
    model = onnx.load(path)
    half = helper.make_node("AveragePool", ["sr"], ["small"], kernel_shape=[2, 2], strides=[2, 2])
    model.graph.node.append(half)
    for node in model.graph.node:
        names = {"sr": "large", "small": "sr"}
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    vouch(folder)
    row = check.check(folder)[0]
    assert row.message == "photograph: shape (1, 3, 32, 48), expected (1, 3, 64, 96)"


TAMPERED = {
    "model.onnx was changed": lambda f: (f / "model.onnx").write_bytes(b"x"),
    "golden/noise.rgb is missing": lambda f: (f / "golden/noise.rgb").unlink(),
    "extra.onnx is not listed": lambda f: (f / "extra.onnx").touch(),
}


@pytest.mark.parametrize("message", TAMPERED)
def test_a_bundle_that_does_not_match_its_sums_is_refused(folder: Path, message: str) -> None:
    TAMPERED[message](folder)
    with pytest.raises(BundleError, match=message):
        check.check(folder)


def test_golden_vectors_of_another_size_than_stated_are_refused(folder: Path) -> None:
    path = folder / "golden/noise.rgb"
    path.write_bytes(path.read_bytes()[:-1])
    vouch(folder)
    with pytest.raises(BundleError, match=r"noise\.rgb has 458 bytes, expected 459"):
        check.check(folder)


def test_a_variant_without_a_tolerance_is_not_passed_over(folder: Path) -> None:
    path = folder / "golden/golden.json"
    golden = json.loads(path.read_text())
    del golden["tolerance"]["int8"]
    write_json(path, golden)
    vouch(folder)
    with pytest.raises(BundleError, match="no tolerance max_abs for int8"):
        check.check(folder)


def test_the_command_prints_every_row_and_ends_with_0_or_1(folder: Path) -> None:
    result = CliRunner().invoke(app, ["bundle", "check", str(folder)])
    assert result.exit_code == 0, result.output
    assert result.output.count("holds") == 15
    for path in folder.glob("golden/*.int8.f32"):
        (np.fromfile(path, "<f4") + 1).tofile(path)
    vouch(folder)
    result = CliRunner().invoke(app, ["bundle", "check", str(folder)])
    assert result.exit_code == 1
    assert result.output.count("FAILS") == 3


BARE = """
import sys
sys.argv[0] = "check"
from edgesr.bundle import check
code = check.main(sys.argv[1:])
heavy = {"torch", "rich", "typer", "onnx", "PIL", "scipy", "jinja2", "pooch"}
print(sorted(heavy & set(sys.modules)))
sys.exit(code)
"""


def bare(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the module as on a machine that has NumPy, ONNX Runtime and pydantic only."""
    command = [sys.executable, "-W", "error", "-c", BARE, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_nothing_but_numpy_onnx_runtime_and_pydantic_is_loaded(folder: Path) -> None:
    done = bare(folder)
    assert done.returncode == 0, done.stderr
    *lines, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert len(lines) == 15
    assert all(line.endswith("holds") for line in lines)
    (folder / "extra").touch()
    done = bare(folder)
    assert done.returncode == 1
    assert "extra is not listed" in done.stderr
    assert "Traceback" not in done.stderr
