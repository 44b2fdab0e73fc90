"""Each rewrite on tiny graphs that have its pattern, and on ones that only nearly have it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesr.deploy.rewrites.apply import ROUNDING, difference, rewritten
from edgesr.recipe import Rewrites

SHAPES = [(1, 3, 24, 32), (2, 3, 7, 9), (1, 3, 1, 5)]
"""Wider than any filter, and narrower."""
RNG = np.random.default_rng(0)
Constants = dict[str, Any]


def conv(taken: str, given: str, side: int, **attributes: Any) -> onnx.NodeProto:
    pads = attributes.pop("pads", [side // 2] * 4)
    taken_all = [taken, f"w_{given}", f"b_{given}"]
    return helper.make_node("Conv", taken_all, [given], pads=pads, **attributes)


def weights(given: str, outputs: int, inputs: int, side: int) -> Constants:
    return {
        f"w_{given}": RNG.normal(size=(outputs, inputs, side, side)) / 4,
        f"b_{given}": RNG.normal(size=outputs) / 4,
    }


def shuffle(taken: str, given: str, r: int, mode: str = "CRD") -> onnx.NodeProto:
    return helper.make_node("DepthToSpace", [taken], [given], blocksize=r, mode=mode)


def model(nodes: list[onnx.NodeProto], constants: Constants) -> onnx.ModelProto:
    taken = helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["b", 3, "h", "w"])
    given = helper.make_tensor_value_info("sr", TensorProto.FLOAT, ["b", 3, "large", "wide"])
    tensors = [
        numpy_helper.from_array(np.asarray(each, np.float32), name)
        for name, each in constants.items()
    ]
    graph = helper.make_graph(nodes, "theirs", [taken], [given], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rewrite(
    before: onnx.ModelProto, only: str = "", shapes: list[tuple[int, ...]] = SHAPES
) -> list[str]:
    """The operators after all rewrites, or `only` one, that are proved to be the same function."""
    onnx.checker.check_model(before, full_check=True)
    names = (*Rewrites.model_fields,)
    switches = Rewrites(**{name: name == only for name in names}) if only else Rewrites()
    after = rewritten(before, switches, shapes)
    onnx.checker.check_model(after, full_check=True)
    assert difference(before, after, shapes) <= ROUNDING
    return [node.op_type for node in after.graph.node]


def tail(side: int, r: int, mode: str = "CRD", outputs: int = 3, **attributes: Any) -> Any:
    """conv > DepthToSpace > PRelu > conv, and another one where that does not give a picture."""
    nodes = [
        conv("lr", "a", 3),
        shuffle("a", "d", r, mode),
        helper.make_node("PRelu", ["d", "slopes"], ["p"]),
        conv("p", "e" if outputs > 3 else "sr", side, **attributes),
        *([conv("e", "sr", 1)] if outputs > 3 else []),
    ]
    constants = {
        "slopes": RNG.random((4, 1, 1)),
        **weights("a", 4 * r * r, 3, 3),
    }
    if outputs > 3:
        constants |= weights("e", outputs, 4, side) | weights("sr", 3, outputs, 1)
    else:
        constants |= weights("sr", 3, 4, side)
    return model(nodes, constants)


@pytest.mark.parametrize("mode", ["CRD", "DCR"])
@pytest.mark.parametrize(("side", "r"), [(3, 2), (9, 2), (5, 3), (3, 4), (1, 3)])
def test_the_end_moves_before_the_shuffle(side: int, r: int, mode: str) -> None:
    expected = ["Conv", "PRelu", "Conv", "DepthToSpace"]
    assert rewrite(tail(side, r, mode)) == expected


def test_a_convolution_to_many_channels_stays_behind_the_shuffle(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = rewrite(tail(3, 2, outputs=16))
    assert found == ["Conv", "PRelu", "DepthToSpace", "Conv", "Conv"]
    assert "gives 16 channels" in capsys.readouterr().out


@pytest.mark.parametrize(
    "odd", [{"pads": [0] * 4}, {"dilations": [2, 2], "pads": [2] * 4}, {"strides": [2, 2]}]
)
def test_a_convolution_with_another_border_step_or_hole_stays(
    odd: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = rewrite(tail(3, 2, **odd), shapes=SHAPES[:2])
    assert found == ["Conv", "PRelu", "DepthToSpace", "Conv"]
    assert "another step, group or border" in capsys.readouterr().out


def test_a_shuffled_value_that_is_used_twice_stays() -> None:
    nodes = [
        conv("lr", "a", 3),
        shuffle("a", "d", 2),
        conv("d", "e", 3),
        helper.make_node("Add", ["d", "e"], ["sr"]),
    ]
    constants = {**weights("a", 12, 3, 3), **weights("e", 3, 3, 3)}
    assert rewrite(model(nodes, constants)) == ["Conv", "DepthToSpace", "Conv", "Add"]


def anchored(r: int, factor: int, order: str = "CRD", /, **attributes: Any) -> onnx.ModelProto:
    """conv > DepthToSpace, and the input enlarged added."""
    nodes = [
        conv("lr", "a", 3),
        shuffle("a", "d", r, order),
        helper.make_node("Resize", ["lr", "", "factors"], ["large"], **attributes),
        helper.make_node("Add", ["large", "d"], ["whole"]),
        helper.make_node("Clip", ["whole", "least", "most"], ["sr"]),
    ]
    constants = {"factors": [1, 1, factor, factor], "least": 0, "most": 1}
    return model(nodes, {**weights("a", 3 * r * r, 3, 3), **constants})


NEAREST = {
    "mode": "nearest",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}


@pytest.mark.parametrize("mode", ["CRD", "DCR"])
@pytest.mark.parametrize("r", [2, 3, 4])
def test_an_input_of_repeated_pixels_is_added_before_the_shuffle(r: int, mode: str) -> None:
    expected = ["Conv", "Conv", "Add", "DepthToSpace", "Clip"]
    assert rewrite(anchored(r, r, mode, **NEAREST)) == expected


@pytest.mark.parametrize("kind", ["linear", "cubic"])
@pytest.mark.parametrize("where", ["half_pixel", "pytorch_half_pixel", "asymmetric"])
@pytest.mark.parametrize("r", [2, 4])
def test_an_input_enlarged_smoothly_is_added_before_the_shuffle(
    r: int, where: str, kind: str
) -> None:
    before = anchored(r, r, coordinate_transformation_mode=where, mode=kind)
    expected = ["Add", "Clip", "Conv", "Conv", "DepthToSpace", "Pad"]
    assert sorted(rewrite(before, shapes=SHAPES[:2])) == expected


def test_an_anchor_that_no_convolution_is_equal_to_is_tried_refused_and_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    corners = anchored(2, 2, coordinate_transformation_mode="align_corners", mode="linear")
    assert "Resize" in rewrite(corners)
    assert "it would differ by" in capsys.readouterr().err


def test_an_input_enlarged_by_more_than_the_last_shuffle_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nodes = [
        conv("lr", "a", 3),
        shuffle("a", "d", 2),
        shuffle("d", "f", 2),
        helper.make_node("Resize", ["lr", "", "factors"], ["large"], **NEAREST),
        helper.make_node("Add", ["large", "f"], ["sr"]),
    ]
    constants = {"factors": [1, 1, 4, 4], **weights("a", 48, 3, 3)}
    assert "Resize" in rewrite(model(nodes, constants))
    assert "enlarges by" in capsys.readouterr().out


def activated(slopes: Any, operator: str = "PRelu") -> onnx.ModelProto:
    taken = ["a", "slopes"] if operator == "PRelu" else ["a"]
    nodes = [conv("lr", "a", 3), helper.make_node(operator, taken, ["p"]), conv("p", "sr", 3)]
    constants = {"slopes": slopes} if operator == "PRelu" else {}
    return model(nodes, {**weights("a", 4, 3, 3), **weights("sr", 3, 4, 3), **constants})


@pytest.mark.parametrize(
    ("slopes", "expected"),
    [
        (np.full((4, 1, 1), 0.25), "LeakyRelu"),
        ([-0.5], "LeakyRelu"),
        (np.zeros((4, 1, 1)), "Relu"),
        (np.arange(4).reshape(4, 1, 1), "PRelu"),
    ],
    ids=["equal", "one", "none", "unlike"],
)
def test_slopes_that_are_the_same_are_one(slopes: Any, expected: str) -> None:
    assert rewrite(activated(slopes)) == ["Conv", expected, "Conv"]


def test_slopes_of_channels_become_a_sum_where_the_recipe_asks() -> None:
    before = activated(np.array([-1.5, 0, 0.5, 2]).reshape(4, 1, 1))
    assert "PRelu" in rewrite(before)
    found = rewrite(before, "split_prelu")
    assert sorted(found) == ["Add", "Conv", "Conv", "Conv", "Conv", "Relu"]


def test_a_slope_of_all_channels_is_not_split() -> None:
    assert rewrite(activated([0.5]), "split_prelu") == ["Conv", "PRelu", "Conv"]


@pytest.mark.parametrize("biased", [True, False])
def test_batch_normalisation_goes_into_the_convolution(biased: bool) -> None:
    nodes = [conv("lr", "a", 3), norm("a", "n"), conv("n", "sr", 3)]
    if not biased:
        del nodes[0].input[2]
    constants = {**weights("a", 4, 3, 3), **weights("sr", 3, 4, 3), **statistics(4)}
    if not biased:
        del constants["b_a"]
    assert rewrite(model(nodes, constants), "fold_batch_norm") == ["Conv", "Conv"]


def test_batch_normalisation_of_what_is_used_elsewhere_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nodes = [conv("lr", "a", 3), norm("a", "n"), helper.make_node("Add", ["a", "n"], ["sr"])]
    constants = {**weights("a", 3, 3, 3), **statistics(3)}
    found = rewrite(model(nodes, constants), "fold_batch_norm")
    assert found == ["Conv", "BatchNormalization", "Add"]
    assert "not behind a convolution of its own" in capsys.readouterr().out


def norm(taken: str, given: str) -> onnx.NodeProto:
    facts = ["gain", "shift", "mean", "variance"]
    return helper.make_node("BatchNormalization", [taken, *facts], [given], epsilon=1e-3)


def statistics(channels: int) -> Constants:
    gain, shift, mean = RNG.normal(size=(3, channels))
    return {"gain": gain, "shift": shift, "mean": mean, "variance": RNG.random(channels)}


def test_a_switch_in_the_recipe_leaves_the_graph_as_it_is() -> None:
    off = Rewrites(low_resolution_anchor=False)
    after = rewritten(anchored(4, 4, **NEAREST), off, SHAPES)
    assert "Resize" in [node.op_type for node in after.graph.node]


def test_a_defect_behind_the_final_clip_is_seen() -> None:
    before, after = (with_bias(anchored(2, 2, **NEAREST), each) for each in (50, 60))
    assert difference(before, after, SHAPES) > ROUNDING


def with_bias(changed: onnx.ModelProto, bias: float) -> onnx.ModelProto:
    tensor = next(each for each in changed.graph.initializer if each.name == "b_a")
    tensor.CopyFrom(numpy_helper.from_array(np.full(tensor.dims, bias, np.float32), "b_a"))
    return changed
