"""An ONNX graph to find patterns in and to change."""

from __future__ import annotations

from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgesr.runtimes.channel_order import drop_unused


@dataclass
class Outcome:
    """What a rewrite did.

    Attributes:
        places: where the pattern was rewritten.
        left: why it was not, of each place where it nearly was.
    """

    places: int = 0
    left: list[str] = field(default_factory=list)


class Graph:
    """A copy of a model's graph, whose Constant nodes are initializers.

    Nodes are added anywhere; `finished` puts them into an order that can be run.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self.proto = self._model.graph
        self.proto.ClearField("value_info")
        for node in self.of("Constant"):
            values = helper.get_attribute_value(node.attribute[0])
            if isinstance(values, onnx.TensorProto):
                self.constant_of(node.output[0], numpy_helper.to_array(values))
                self.proto.node.remove(node)
        self._tensors = {tensor.name: tensor for tensor in self.proto.initializer}

    @property
    def opsets(self) -> list[onnx.OperatorSetIdProto]:
        return list(self._model.opset_import)

    @property
    def branches(self) -> bool:
        """Whether nodes hold graphs of their own, which take values that no pattern here sees."""
        return any(a.HasField("g") for node in self.proto.node for a in node.attribute)

    def of(self, operator: str) -> list[onnx.NodeProto]:
        """Its nodes of that operator."""
        return [node for node in self.proto.node if node.op_type == operator]

    def maker(self, value: str) -> onnx.NodeProto | None:
        """The node that gives `value`; None for inputs and constants."""
        return next((node for node in self.proto.node if value in node.output), None)

    def only_user(self, value: str) -> onnx.NodeProto | None:
        """The node that alone takes `value`, once; None where it is used elsewhere or given."""
        users = [node for node in self.proto.node for name in node.input if name == value]
        given = any(output.name == value for output in self.proto.output)
        return users[0] if len(users) == 1 and not given else None

    def constant(self, name: str) -> NDArray[Any] | None:
        """The constant of that name, where it is one."""
        tensor = self._tensors.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def constant_of(self, name: str, values: NDArray[Any]) -> str:
        """Add `values` as a constant; its name."""
        self.proto.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        self._tensors = {tensor.name: tensor for tensor in self.proto.initializer}
        return name

    def replace(self, old: list[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
        """Put `new` in the place of `old`."""
        for node in old:
            self.proto.node.remove(node)
        self.proto.node.extend(new)

    def channels(self, value: str) -> int | None:
        """Of `value`, (B, C, H, W), where shape inference knows."""
        found = onnx.shape_inference.infer_shapes(self._model).graph
        for known in (*found.value_info, *found.input, *found.output):
            if known.name == value and len(known.type.tensor_type.shape.dim) == 4:
                return known.type.tensor_type.shape.dim[1].dim_value or None
        return None

    def finished(self) -> onnx.ModelProto:
        """The model, its nodes in order, without constants that nothing takes."""
        nodes = list(self.proto.node)
        makers = {output: i for i, node in enumerate(nodes) for output in node.output}
        needs = {
            i: [makers[name] for name in node.input if name in makers]
            for i, node in enumerate(nodes)
        }
        order = list(TopologicalSorter(needs).static_order())
        del self.proto.node[:]
        self.proto.node.extend(nodes[i] for i in order)
        drop_unused(self.proto)
        return self._model


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """Of `node`; text as str."""
    found = next((a for a in node.attribute if a.name == name), None)
    value = default if found is None else helper.get_attribute_value(found)
    return value.decode() if isinstance(value, bytes) else value


def is_plain(conv: onnx.NodeProto, kernel: tuple[int, ...], groups: int = 1) -> bool:
    """Whether it keeps the size of what it takes: odd and square, zeros around, step 1.

    Args:
        kernel: height and width of its filters.
        groups: that it has; else it is not plain either.
    """
    side = kernel[0]
    return (
        kernel == (side, side)
        and side % 2 == 1
        and attribute(conv, "auto_pad", "NOTSET") == "NOTSET"
        and list(attribute(conv, "pads", [0] * 4)) == [side // 2] * 4
        and set(attribute(conv, "strides", [1])) == {1}
        and set(attribute(conv, "dilations", [1])) == {1}
        and attribute(conv, "group", 1) == groups
    )
