"""RGB bytes in and out: an app passes its bitmap as it is."""

from __future__ import annotations

import onnx
from onnx import TensorProto, compose, helper


def to_bytes_io(fp32: onnx.ModelProto) -> onnx.ModelProto:
    """`fp32` with uint8 `lr` (batch, height, width, 3) and `sr` (batch, r*height, r*width, 3).

    The graph does what `deploy.tiling` does around the model: x / 255 before it; clip to 0..1,
    floor(255 x + 0.5) behind it. So its bytes are the same.
    """
    model: onnx.ModelProto = compose.add_prefix(
        fp32, "core/", rename_inputs=True, rename_outputs=True
    )
    graph = model.graph
    batch, _, height, width = (
        each.dim_param or each.dim_value for each in graph.output[0].type.tensor_type.shape.dim
    )
    constants = {"levels": 255.0, "half": 0.5, "zero": 0.0, "one": 1.0}
    for name, value in constants.items():
        graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    before = [
        helper.make_node("Transpose", ["lr"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "levels"], ["core/lr"]),
    ]
    behind = [
        helper.make_node("Clip", ["core/sr", "zero", "one"], ["clipped"]),
        helper.make_node("Mul", ["clipped", "levels"], ["scaled"]),
        helper.make_node("Add", ["scaled", "half"], ["shifted"]),
        helper.make_node("Floor", ["shifted"], ["floored"]),
        helper.make_node("Cast", ["floored"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["sr"], perm=[0, 2, 3, 1]),
    ]
    nodes = [*before, *graph.node, *behind]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(_picture("lr", batch, "height", "width"))
    graph.output.append(_picture("sr", batch, height, width))
    return model


def _picture(name: str, batch: str | int, height: str, width: str) -> onnx.ValueInfoProto:
    info: onnx.ValueInfoProto = helper.make_tensor_value_info(
        name, TensorProto.UINT8, [batch, height, width, 3]
    )
    return info
