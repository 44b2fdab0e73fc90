"""The end of an edge student, so that its 8-bit graph works on the picture's own 256 levels.

Before DepthToSpace(r) the exported graph adds the input, repeated r * r times by a 1x1 convolution.
In DCR order that is one Concat, which computes nothing. The input is bytes and so is the picture
that is shown, so from the input to the end eight bits of step 1/255 lose nothing but what lies
outside 0..1. A Clip to 0..1 commutes with DepthToSpace; before it, eight bits stand in for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgesr.deploy.export import prove_same
from edgesr.runtimes.channel_order import drop_unused, use_dcr

# The values between lr and sr that hold a picture.
PICTURES = ("lr_repeated", "sr_channels", "sr")
ADDED = "sr_channels_before_clip"
OPERATORS = ("Concat", "Add", "Clip", "DepthToSpace")


class Ending(NamedTuple):
    """The nodes of an edge student's graph behind the last of its layers."""

    repeat: onnx.NodeProto
    add: onnx.NodeProto
    shuffle: onnx.NodeProto
    clip: onnx.NodeProto | None


def repeat_by_concat(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model`, float, that computes the same with the input repeated by a Concat.

    `model` itself where it does not end in DepthToSpace of the repeated input and something else,
    a Clip behind it or none.

    Raises:
        ExportError: the copy does not compute the same.
    """
    if _ending(model.graph) is None:
        return model
    changed = use_dcr(model)
    graph, ending = changed.graph, _ending(changed.graph)
    assert ending is not None, "the order of channels changes no node"
    r = next(a.i for a in ending.shuffle.attribute if a.name == "blocksize")
    (features,) = set(ending.add.input) - set(ending.repeat.output)
    repeated, channels, sr = PICTURES
    clip = ending.clip
    added = channels if clip is None else ADDED
    nodes = [
        helper.make_node("Concat", ["lr"] * r**2, [repeated], repeated, axis=1),
        helper.make_node("Add", [features, repeated], [added], added),
        *([] if clip is None else [_renamed(clip, [added, *clip.input[1:]], channels)]),
        helper.make_node("DepthToSpace", [channels], [sr], sr, blocksize=r, mode="DCR"),
    ]
    for node in filter(None, ending):
        graph.node.remove(node)
    graph.node.extend(nodes)
    graph.ClearField("value_info")
    drop_unused(graph)
    prove_same(model, changed, "that repeats the input by Concat")
    return changed


def ends_on_levels(model: onnx.ModelProto) -> bool:
    """Whether the end of `model` can have eight bits: the input, repeated by Concat, is added to
    one convolution. Branches that were not collapsed are more than one."""
    makers = {output: node for node in model.graph.node for output in node.output}
    repeated, channels, _ = PICTURES
    if repeated not in makers:
        return False
    add = makers[ADDED if ADDED in makers else channels]
    (features,) = set(add.input) - {repeated}
    return bool(makers[features].op_type == "Conv")


def gives_levels(model: onnx.ModelProto) -> bool:
    """Whether `sr` is one of 256 levels, and so held to 0..1."""
    return _last(model) == "DequantizeLinear"


def ends_in_clip(model: onnx.ModelProto) -> bool:
    """Whether `sr` is held to 0..1 where int8's would be one of 256 levels."""
    return _last(model) == "Clip"


def _last(model: onnx.ModelProto) -> str:
    return str(next(node.op_type for node in model.graph.node if "sr" in node.output))


def _ending(graph: onnx.GraphProto) -> Ending | None:
    makers = {output: node for node in graph.node for output in node.output}
    last = makers["sr"]
    clip = last if last.op_type == "Clip" and last.input[0] in makers else None
    shuffle = makers[clip.input[0]] if clip else last
    add = makers.get(shuffle.input[0])
    if shuffle.op_type != "DepthToSpace" or add is None or add.op_type != "Add":
        return None
    layers = [makers[name] for name in add.input if name in makers]
    repeats = [layer for layer in layers if _repeats(graph, layer)]
    return Ending(repeats[0], add, shuffle, clip) if len(repeats) == 1 else None


def _repeats(graph: onnx.GraphProto, layer: onnx.NodeProto) -> bool:
    """Whether it gives each colour of the input as often as the others, and nothing else."""
    if layer.op_type != "Conv" or layer.input[0] != "lr" or len(layer.input) > 2:
        return False
    constants = {tensor.name: tensor for tensor in graph.initializer}
    weights = numpy_helper.to_array(constants[layer.input[1]])
    one = np.eye(weights.shape[1])
    times = len(weights) // len(one)
    found = weights.reshape(len(weights), -1)
    orders = np.repeat(one, times, axis=0), np.tile(one, (times, 1))
    return any(np.array_equal(found, each) for each in orders)


def _renamed(node: onnx.NodeProto, inputs: list[str], output: str) -> onnx.NodeProto:
    """A copy of `node` between other values."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.input[:], copy.output[:]
    copy.input.extend(inputs)
    copy.output.append(output)
    return copy
