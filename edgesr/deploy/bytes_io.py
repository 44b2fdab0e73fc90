"""RGB bytes in and out: an app passes its bitmap as it is."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from edgesr.runtimes.channel_order import drop_unused


def to_bytes_io(floats: onnx.ModelProto) -> onnx.ModelProto:
    """`floats` with uint8 `lr` (batch, height, width, 3) and `sr` (batch, r*height, r*width, 3).

    The graph does what `inference.tiling` does around the model: x / 255 before it; clip to 0..1,
    floor(255 x + 0.5) behind it. So its bytes are the same. Where an end of a quantised graph is
    on the 256 levels of a picture already, the bytes are its integers, and nothing is computed.
    """
    model: onnx.ModelProto = compose.add_prefix(
        floats, "core/", rename_inputs=True, rename_outputs=True
    )
    graph = model.graph
    batch, colours, height, width = (
        each.dim_param or each.dim_value for each in graph.output[0].type.tensor_type.shape.dim
    )
    constants = {"levels": 255.0, "half": 0.5, "zero": 0.0, "one": 1.0}
    for name, value in constants.items():
        graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    before, behind = _before(graph), _behind(graph)
    nodes = [*before, *graph.node, *behind]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    drop_unused(graph)
    graph.input.append(_picture("lr", batch, "height", "width", colours))
    graph.output.append(_picture("sr", batch, height, width, colours))
    return model


def _before(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """From bytes to what `graph` takes; a QuantizeLinear that they stand in for is taken out."""
    takers = [node for node in graph.node if "core/lr" in node.input]
    planes = helper.make_node("Transpose", ["lr"], ["planes"], perm=[0, 3, 1, 2])
    if not all(_on_levels(graph, node, "QuantizeLinear") for node in takers):
        return [
            planes,
            helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["floats", "levels"], ["core/lr"]),
        ]
    made = {output for node in takers for output in node.output}
    for node in takers:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = ["planes" if name in made else name for name in node.input]
    return [planes]


def _behind(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """From what `graph` gives to bytes; a DequantizeLinear of bytes is taken out."""
    last = next(node for node in graph.node if "core/sr" in node.output)
    if _on_levels(graph, last, "DequantizeLinear"):
        graph.node.remove(last)
        return [helper.make_node("Transpose", [last.input[0]], ["sr"], perm=[0, 2, 3, 1])]
    return [
        helper.make_node("Clip", ["core/sr", "zero", "one"], ["clipped"]),
        helper.make_node("Mul", ["clipped", "levels"], ["scaled"]),
        helper.make_node("Add", ["scaled", "half"], ["shifted"]),
        helper.make_node("Floor", ["shifted"], ["floored"]),
        helper.make_node("Cast", ["floored"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["sr"], perm=[0, 2, 3, 1]),
    ]


def _on_levels(graph: onnx.GraphProto, node: onnx.NodeProto, operator: str) -> bool:
    """Whether `node` goes between values of 0..1 and the 256 levels of bytes."""
    if node.op_type != operator:
        return False
    constants = {tensor.name: tensor for tensor in graph.initializer}
    step, zero = (numpy_helper.to_array(constants[name]) for name in node.input[1:3])
    return bool(step == np.float32(1 / 255) and zero.dtype == np.uint8 and zero == 0)


def _picture(
    name: str, batch: str | int, height: str | int, width: str | int, colours: int
) -> onnx.ValueInfoProto:
    info: onnx.ValueInfoProto = helper.make_tensor_value_info(
        name, TensorProto.UINT8, [batch, height, width, colours]
    )
    return info
