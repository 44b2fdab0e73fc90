"""The channel order of DepthToSpace: CRD as torch has it, or DCR, which some delegates ask for.

CRD finds sub-pixel k of output channel c in input channel c * r * r + k, DCR in k * C + c. So a
graph computes the same with the other order once the channels before the shuffle are permuted:
those of the convolutions that it goes back to, and of the parameters of whatever stands between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgesr.errors import ExportError

# Their constants are one for all channels or one for each.
ELEMENTWISE = {"Relu", "LeakyRelu", "PRelu", "Clip", "Tanh", "Add", "Sub", "Mul", "Div"}


def use_dcr(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model`, float and not quantised, whose DepthToSpace nodes are all in DCR order.

    Raises:
        ExportError: the channels that a DepthToSpace takes cannot be permuted, as they come from
            something else than a convolution and elementwise operations, or are used elsewhere.
    """
    return _in_order(model, b"DCR")


def use_crd(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same in CRD order, which pnnx takes alone.

    Raises:
        ExportError: see `use_dcr`.
    """
    return _in_order(model, b"CRD")


def _in_order(model: onnx.ModelProto, mode: bytes) -> onnx.ModelProto:
    reordered = onnx.ModelProto()
    reordered.CopyFrom(model)
    graph = reordered.graph
    for node in graph.node:
        if node.op_type == "DepthToSpace" and _attribute(node, "mode", b"DCR") != mode:
            _reorder(graph, node, mode)
    drop_unused(graph)
    return reordered


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove the constants of `graph` that no node takes."""
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    graph.ClearField("initializer")
    graph.initializer.extend(kept)


def dcr_order(channels: int, r: int) -> NDArray[np.intp]:
    """Which of the `channels` channels in CRD order stands at each place in DCR order.

    Args:
        channels: before DepthToSpace(r), a multiple of r * r.
    """
    return np.arange(channels).reshape(-1, r * r).T.ravel()


def _reorder(graph: onnx.GraphProto, shuffle: onnx.NodeProto, mode: bytes) -> None:
    nodes = list(_back_to_convs(graph, shuffle))
    parameters = {tensor.name: tensor for tensor in graph.initializer}
    convs = [node for node in nodes if node.op_type == "Conv"]
    widths = {parameters[conv.input[1]].dims[0] for conv in convs}
    if len(widths) > 1:
        raise _fault(f"convolutions to {sorted(widths)} channels are combined before it")
    (channels,) = widths
    order = dcr_order(channels, _attribute(shuffle, "blocksize", 0))
    if mode == b"CRD":
        order = np.argsort(order)
    for node in nodes:
        for i, name in enumerate(node.input):
            if name not in parameters:
                continue
            if node.op_type == "Conv":
                _permute(graph, node, i, parameters[name], order, axis=0)
            elif max(parameters[name].dims, default=1) > 1:
                _check_per_channel(node, parameters[name], channels)
                _permute(graph, node, i, parameters[name], order, axis=-3)
    kept = [attribute for attribute in shuffle.attribute if attribute.name != "mode"]
    shuffle.ClearField("attribute")
    shuffle.attribute.extend([*kept, onnx.helper.make_attribute("mode", mode)])


def _back_to_convs(graph: onnx.GraphProto, shuffle: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The nodes before `shuffle`, back to the convolutions whose outputs they combine."""
    constants = {tensor.name for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    outputs = {value.name for value in graph.output}
    values = [shuffle.input[0]]
    while values:
        value = values.pop()
        node = makers.get(value)
        uses = sum(list(other.input).count(value) for other in graph.node)
        if node is None or uses > 1 or value in outputs:
            raise _fault(f"{value}, which it takes, is an input, an output or used elsewhere")
        yield node
        varying = [name for name in node.input if name and name not in constants]
        if node.op_type == "Conv" and len(varying) == 1 and _attribute(node, "group", 1) == 1:
            continue
        if node.op_type not in ELEMENTWISE:
            raise _fault(f"{node.op_type} stands between it and the convolution")
        values += varying


def _check_per_channel(node: onnx.NodeProto, tensor: onnx.TensorProto, channels: int) -> None:
    shape = list(tensor.dims)
    if shape[-3:] != [channels, 1, 1] or max(shape[:-3], default=1) > 1:
        raise _fault(f"{node.op_type} has a parameter of shape {shape}, not one per channel")


def _permute(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    i: int,
    tensor: onnx.TensorProto,
    order: NDArray[np.intp],
    *,
    axis: int,
) -> None:
    """Give `node` a permuted copy as its input `i`; other nodes may share the original."""
    permuted = np.take(numpy_helper.to_array(tensor), order, axis)
    name = f"{tensor.name}_of_{node.output[0]}"
    graph.initializer.append(numpy_helper.from_array(permuted, name))
    node.input[i] = name


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    found = [a for a in node.attribute if a.name == name]
    return onnx.helper.get_attribute_value(found[0]) if found else default


def _fault(reason: str) -> ExportError:
    return ExportError(
        f"DepthToSpace cannot be put into another channel order: {reason}",
        'Set export.depth_to_space = "CRD".',
    )
