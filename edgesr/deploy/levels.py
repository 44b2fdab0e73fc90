"""The end of an edge student, so that its 8-bit graph works on the picture's own 256 levels.

The exported graph enlarges the input by DepthToSpace's factor r and adds it last, at 16 times the
pixels for r = 4. Before DepthToSpace in DCR order the same input is one Concat of r * r times lr,
and the sum is taken at low resolution. The input is bytes and so is the picture that is shown, so
from the input to the end eight bits of step 1/255 lose nothing but what lies outside 0..1.
"""

from __future__ import annotations

from typing import NamedTuple

import onnx
from onnx import helper

from edgesr.deploy.channel_order import drop_unused, use_dcr
from edgesr.deploy.export import prove_same

# The values between lr and sr that hold a picture.
PICTURES = ("lr_repeated", "sr_channels", "sr")
OPERATORS = ("Concat", "Add", "DepthToSpace")


class Ending(NamedTuple):
    """The last nodes of an edge student's graph."""

    shuffle: onnx.NodeProto
    enlarge: onnx.NodeProto
    add: onnx.NodeProto


def add_before_shuffle(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model`, float, that computes the same with the sum before DepthToSpace.

    `model` itself where it does not end in a convolution, DepthToSpace and the enlarged input.

    Raises:
        ExportError: the copy does not compute the same.
    """
    if _ending(model.graph) is None:
        return model
    moved = use_dcr(model)
    graph, ending = moved.graph, _ending(moved.graph)
    assert ending is not None, "the order of channels changes no node"
    for node in ending:
        graph.node.remove(node)
    r = next(a.i for a in ending.shuffle.attribute if a.name == "blocksize")
    repeated, channels, sr = PICTURES
    graph.node.extend(
        [
            helper.make_node("Concat", ["lr"] * r**2, [repeated], repeated, axis=1),
            helper.make_node("Add", [ending.shuffle.input[0], repeated], [channels], channels),
            helper.make_node("DepthToSpace", [channels], [sr], sr, blocksize=r, mode="DCR"),
        ]
    )
    graph.ClearField("value_info")
    drop_unused(graph)
    prove_same(model, moved, "that adds the input at low resolution")
    return moved


def adds_before_shuffle(model: onnx.ModelProto) -> bool:
    """Whether `model` came from `add_before_shuffle` with its end changed."""
    return any(PICTURES[0] in node.output for node in model.graph.node)


def gives_levels(model: onnx.ModelProto) -> bool:
    """Whether `sr` is one of 256 levels, and so held to 0..1."""
    last = next(node for node in model.graph.node if "sr" in node.output)
    return bool(last.op_type == "DequantizeLinear")


def _ending(graph: onnx.GraphProto) -> Ending | None:
    makers = {output: node for node in graph.node for output in node.output}
    add = makers["sr"]
    by_kind = {makers[name].op_type: makers[name] for name in add.input if name in makers}
    shuffle, enlarge = by_kind.get("DepthToSpace"), by_kind.get("Resize")
    if add.op_type != "Add" or shuffle is None or enlarge is None or enlarge.input[0] != "lr":
        return None
    # Branches that were not collapsed are added up there, and their channels keep their order.
    whole = makers[shuffle.input[0]].op_type == "Conv"
    return Ending(shuffle, enlarge, add) if whole else None
