"""Golden vectors as any language reads them, and tolerances that follow what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edgesr.bundle.card import read_card
from edgesr.bundle.likeness import likeness_db
from edgesr.bundle.records.golden import Case
from edgesr.deploy.golden import inputs, tolerated, write_golden
from edgesr.errors import ExportError


def test_the_files_hold_what_the_format_says_and_onnx_runtime_gives(made: Path) -> None:
    golden = json.loads((made / "golden/golden.json").read_text())
    assert golden["format"] == 1
    session = onnxruntime.InferenceSession(made / "model.onnx", providers=["CPUExecutionProvider"])
    for case in golden["cases"]:
        width, height = case["width"], case["height"]
        pixels = np.fromfile(made / "golden" / case["input"], np.uint8).reshape(height, width, 3)
        expected = np.fromfile(made / "golden" / case["output"]["fp32"], "<f4")
        lr = (pixels.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
        found = session.run(["sr"], {"lr": np.ascontiguousarray(lr)})[0]
        assert np.abs(found.ravel() - expected).max() <= golden["tolerance"]["fp32"]["max_abs"]
    assert [(c["name"], c["width"], c["height"]) for c in golden["cases"]] == [
        ("photograph", 24, 16),
        ("noise", 17, 9),
        ("checkerboard", 16, 16),
    ]


def test_the_inputs_differ_in_kind_and_are_the_same_each_time() -> None:
    first, again = inputs(4), inputs(4)
    for name, pixels in first.items():
        assert pixels.dtype == np.uint8
        assert np.array_equal(pixels, again[name])
    assert set(np.unique(first["checkerboard"])) == {0, 255}
    # A crop with something in it, whose channels are told apart when an app swaps them.
    photograph = first["photograph"].astype(int)
    assert photograph.std() > 20
    assert np.abs(photograph[..., 0] - photograph[..., 2]).mean() > 10


def test_low_precision_gets_room_for_other_processors_and_the_rest_does_not(made: Path) -> None:
    tolerance = json.loads((made / "golden/golden.json").read_text())["tolerance"]
    assert tolerance["fp32"] == {"max_abs": 1e-4}
    assert tolerance["uint8-io"] == {"max_levels": 1}
    assert tolerance["fp16"]["max_abs"] >= 1e-3
    assert tolerance["int8"] == {"max_abs": 8 / 255}


def test_int8_is_held_against_its_own_output(made: Path) -> None:
    """Against fp32 it may be far off on extremes, and a tolerance that wide would prove nothing."""
    golden = json.loads((made / "golden/golden.json").read_text())
    outputs = golden["cases"][0]["output"]
    assert outputs["int8"] != outputs["fp32"] == outputs["fp16"] == outputs["uint8-io"]
    assert (made / "golden" / outputs["int8"]).stat().st_size == 4 * 3 * 64 * 96


def test_int8_carries_the_float_answer_so_that_an_app_sees_the_loss(made: Path) -> None:
    golden = json.loads((made / "golden/golden.json").read_text())
    for case in golden["cases"]:
        reference = case["reference"]
        assert reference["file"] == case["output"]["fp32"]
        found, wanted = (
            np.fromfile(made / "golden" / name, "<f4")
            for name in (case["output"]["int8"], reference["file"])
        )
        assert likeness_db(wanted, found) == pytest.approx(reference["psnr_db"], abs=0.01)
        assert reference["min_psnr_db"] == pytest.approx(
            min(reference["psnr_db"], 40) - 3, abs=0.01
        )
    case = Case.model_validate(golden["cases"][0])
    assert case.reference is not None


@pytest.mark.parametrize(
    ("measured", "floor", "expected"),
    [(0.0, 1e-3, 1e-3), (0.00601, 1e-3, 0.013), (0.05, 1 / 255, 0.1)],
)
def test_the_tolerance_is_twice_the_difference_rounded_up(
    measured: float, floor: float, expected: float
) -> None:
    assert tolerated(measured, floor) == expected


@pytest.mark.parametrize("name", ["fp32", "fp16"])
def test_a_model_that_gives_nan_gets_no_golden_vectors(folder: Path, name: str) -> None:
    card = read_card(folder)
    path = folder / card.variants[name].file
    model = onnx.load(path)
    weight = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    nan = np.full(weight.dims, np.nan, numpy_helper.to_array(weight).dtype)
    weight.CopyFrom(numpy_helper.from_array(nan, weight.name))
    onnx.save(model, path)
    with pytest.raises(ExportError, match=f"{path.name} gives values that are not finite"):
        write_golden(folder, card)
