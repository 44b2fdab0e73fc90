"""An ONNX graph as rules of delegates look at it: operators, attributes, types, shapes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper, shape_inference

Shape = tuple[int | None, ...]
QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
DEFAULTS: dict[str, dict[str, Any]] = {
    "DepthToSpace": {"mode": "DCR"},
    "Resize": {
        "mode": "nearest",
        "coordinate_transformation_mode": "half_pixel",
        "nearest_mode": "round_prefer_floor",
        "antialias": 0,
        "exclude_outside": 0,
        "keep_aspect_ratio_policy": "stretch",
    },
}
"""What the ONNX specification says of attributes that are left out, as far as rules ask."""


@dataclass(frozen=True)
class Value:
    """A tensor.

    Attributes:
        type: its elements, e.g. "float", "float16", "uint8"; empty where it cannot be told.
        shape: None for a dimension that is not fixed; None as a whole where it cannot be told.
        constant: its content where it is in the file.
        integers: what a DequantizeLinear makes it of; None where it is made otherwise.
    """

    type: str
    shape: Shape | None
    constant: NDArray[Any] | None = None
    integers: Value | None = None

    @property
    def fixed(self) -> bool:
        return self.shape is not None and None not in self.shape


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        op: the operator; with its domain before it where that is not ONNX's own.
        place: in the graph.
        core: for a QuantizeLinear or DequantizeLinear, the place of the node that it belongs to
            in what ONNX Runtime calls a QDQ node unit; its own place otherwise.
        before: the places of the nodes whose outputs it takes.
        fed_by: the operator that makes its first input; empty for an input of the graph.
    """

    op: str
    place: int
    attributes: dict[str, Any]
    inputs: list[Value]
    outputs: list[Value]
    core: int
    before: list[int]
    fed_by: str

    @property
    def alone(self) -> bool:
        """Whether it belongs to no other node's unit."""
        return self.core == self.place


def nodes(model: onnx.ModelProto, *, size: tuple[int, int, int] | None = None) -> list[Node]:
    """The nodes of the main graph, in its order.

    Args:
        size: batch, height and width to fix the shapes of the inputs to; None leaves them.
    """
    model = _inferred(model, size)
    graph = model.graph
    values = _values(graph)
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output}
    cores = _cores(graph, makers)
    return [
        Node(
            op=_name(node),
            place=i,
            attributes=DEFAULTS.get(node.op_type, {})
            | {a.name: _plain(onnx.helper.get_attribute_value(a)) for a in node.attribute},
            inputs=[values.get(name, Value("", None)) for name in node.input],
            outputs=[values.get(name, Value("", None)) for name in node.output],
            core=cores.get(i, i),
            before=[makers[name] for name in node.input if name in makers],
            fed_by=next((_name(graph.node[makers[n]]) for n in node.input[:1] if n in makers), ""),
        )
        for i, node in enumerate(graph.node)
    ]


def _name(node: onnx.NodeProto) -> str:
    return f"{node.domain}:{node.op_type}" if node.domain else node.op_type


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operator set."""
    found: int = next(entry.version for entry in model.opset_import if not entry.domain)
    return found


def _inferred(model: onnx.ModelProto, size: tuple[int, int, int] | None) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.ClearField("value_info")
    _lift_constants(copy.graph)
    if size is not None:
        batch, height, width = size
        named = {"batch": batch, "height": height, "width": width}
        for value in copy.graph.input:
            for i, dim in enumerate(value.type.tensor_type.shape.dim):
                if not dim.HasField("dim_value"):
                    dim.dim_value = named.get(dim.dim_param, batch if i == 0 else height)
        for value in copy.graph.output:
            value.type.tensor_type.ClearField("shape")
    return shape_inference.infer_shapes(copy)


def _lift_constants(graph: onnx.GraphProto) -> None:
    """Make initializers of Constant nodes, as ONNX Runtime does before it asks any delegate."""
    lifted = [n for n in graph.node if n.op_type == "Constant" and n.attribute[0].name == "value"]
    for node in lifted:
        tensor = graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        graph.node.remove(node)


def _values(graph: onnx.GraphProto) -> dict[str, Value]:
    values = {}
    for info in [*graph.input, *graph.value_info, *graph.output]:
        tensor = info.type.tensor_type
        dims: Shape | None = None
        if tensor.HasField("shape"):
            dims = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
        values[info.name] = Value(_type(tensor.elem_type), dims)
    for constant in graph.initializer:
        values[constant.name] = Value(
            _type(constant.data_type), tuple(constant.dims), numpy_helper.to_array(constant)
        )
    for node in graph.node:
        if node.op_type == DEQUANTISE and node.input[0] in values:
            made = values.get(node.output[0], Value("", None))
            values[node.output[0]] = replace(made, integers=values[node.input[0]])
    return values


def _type(number: int) -> str:
    return TensorProto.DataType.Name(number).lower() if number else ""


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _cores(graph: onnx.GraphProto, makers: dict[str, int]) -> dict[int, int]:
    """Which node each DequantizeLinear before it and QuantizeLinear behind it serves."""
    takers = defaultdict(list)
    for i, node in enumerate(graph.node):
        for name in node.input:
            takers[name].append(i)
    kinds = [node.op_type for node in graph.node]
    cores: dict[int, int] = {}
    for i, node in enumerate(graph.node):
        behind = [j for name in node.output for j in takers[name]]
        before = [makers[name] for name in node.input if name in makers]
        quantised = behind and {kinds[j] for j in behind} == {QUANTISE}
        if kinds[i] in (QUANTISE, DEQUANTISE) or not quantised or not before:
            continue
        if {kinds[j] for j in before} == {DEQUANTISE}:
            serving = [j for j in before if takers[graph.node[j].output[0]] == [i]]
            cores |= dict.fromkeys([*serving, *behind], i)
    return cores


def constant_bounds(node: Node) -> tuple[float, float] | None:
    """Minimum and maximum of a Clip, where both are in the file."""
    bounds = [value.constant for value in node.inputs[1:3]]
    if len(bounds) < 2 or bounds[0] is None or bounds[1] is None:
        return None
    return float(np.asarray(bounds[0])), float(np.asarray(bounds[1]))
