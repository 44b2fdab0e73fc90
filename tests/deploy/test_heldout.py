"""What judges lower precision: a number for every photograph, or an error."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgesr.bundle.likeness import IDENTICAL_DB
from edgesr.deploy.heldout import Pair, Score, run_of, score
from edgesr.errors import ExportError


def enlarging(value: float = 1.0) -> onnx.ModelProto:
    """A graph that repeats every pixel and multiplies it by `value`."""
    shape = ["batch", 3, "height", "width"]
    graph = helper.make_graph(
        [
            helper.make_node("Resize", ["lr", "", "scales"], ["large"], mode="nearest"),
            helper.make_node("Mul", ["large", "value"], ["sr"]),
        ],
        "enlarging",
        [helper.make_tensor_value_info("lr", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("sr", TensorProto.FLOAT, None)],
        [
            helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 4, 4]),
            helper.make_tensor("value", TensorProto.FLOAT, [], [value]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def flat() -> Pair:
    hr = np.full((64, 64, 3), 51, np.uint8)
    return Pair("sky", hr, np.full((1, 3, 16, 16), 0.2, np.float32))


def test_a_flat_photograph_counts_as_identical_and_leaves_the_mean_finite() -> None:
    """Its PSNR is infinite, and the loss between two of these was NaN."""
    assert score(run_of(enlarging()), [flat()]) == Score(IDENTICAL_DB, IDENTICAL_DB)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_picture_that_is_not_finite_is_an_error_not_a_black_picture(value: float) -> None:
    with pytest.raises(ExportError, match="not finite on sky"):
        score(run_of(enlarging(value)), [flat()])


def test_a_tint_is_seen_on_rgb_and_hardly_on_y() -> None:
    """Blue is a tenth of luma."""
    model = enlarging()
    value = next(tensor for tensor in model.graph.initializer if tensor.name == "value")
    tint = np.array([1, 1, 1.1], np.float32).reshape(1, 3, 1, 1)
    value.CopyFrom(onnx.numpy_helper.from_array(tint, "value"))
    found = score(run_of(model), [flat()])
    assert found.y_db - found.rgb_db > 10
