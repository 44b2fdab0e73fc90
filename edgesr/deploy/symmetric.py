"""An int8 file whose zero points are all 0, activations' too, as TensorRT takes them.

Integers are where convolutions compute with them, and nowhere else: what such a convolution takes
is rounded, in a range that is as wide below zero as above, which costs what is behind a ReLU one
bit. A picture's 256 levels would lose one, too, so they stay float, and with them the first
convolution and all that follows the last one. Biases are float. Sums have 32 bits there, so weights
get the bit back that `deploy.saturation` takes from int8's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgesr.deploy.heldout import run_of
from edgesr.deploy.int8 import Chosen, check_limits, likewise
from edgesr.deploy.quantiser import is_picture
from edgesr.deploy.saturation import LARGEST
from edgesr.runtimes.channel_order import drop_unused

NEEDS = (
    "zero points of 0, as TensorRT has them; ONNX Runtime's CPU computes its convolutions in float"
)


def to_symmetric(chosen: Chosen) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The network of `chosen` with zero points of 0, the same ranges and layers in float, and what
    card.json says of it.

    Raises:
        ExportError: it loses more than the recipe allows, and than eight bits do.
    """
    int8 = chosen.int8
    wide = replace(chosen.quantiser, reduce_range=False)
    model = symmetric(wide.quantise(int8.ranges, int8.method, int8.in_float))
    loss = chosen.court(run_of(model))
    check_limits("zero points of 0", loss, int8.loss)
    return model, likewise(chosen.facts, loss, NEEDS)


def symmetric(int8: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `int8`, in QDQ format, whose zero points are all 0."""
    model = onnx.ModelProto()
    model.CopyFrom(int8)
    graph = model.graph
    rewriting = _Rewriting(graph)
    nodes = [made for node in graph.node for made in rewriting.of(node)]
    graph.ClearField("node")
    graph.node.extend(nodes)
    graph.initializer.extend(rewriting.added)
    graph.ClearField("value_info")
    drop_unused(graph)
    onnx.checker.check_model(model, full_check=True)
    return model


class _Rewriting:
    """The nodes of a graph, one after the other, as the symmetric graph has them.

    Attributes:
        added: constants that these take, and `graph` has not.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.added: list[onnx.TensorProto] = []
        self._constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self._rounding = {node.output[0]: node for node in graph.node if _is(node, "Quantize")}
        made = {node.output[0]: node for node in graph.node if _is(node, "Dequantize")}
        self._computing = [
            node
            for node in graph.node
            if node.op_type == "Conv"
            and all(name in made for name in node.input[:2])
            and not self._is_picture(made[node.input[0]])
        ]
        self._taken = {name for node in self._computing for name in node.input[:2]}
        self._floats: dict[str, str] = {}  # what was rounded -> the same before

    def of(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """What stands in its place."""
        if _is(node, "Quantize"):
            return
        if not _is(node, "Dequantize"):
            yield self._fed(node)
        elif node.input[0] in self._rounding:
            yield from self._activation(node)
        elif node.output[0] in self._taken:
            yield node
        else:
            self._add(node.output[0], self._dequantised(node))

    def _fed(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """`node` with floats for what it took rounded, but for what computes with integers."""
        kept = self._taken if node in self._computing else ()
        for i, name in enumerate(node.input):
            if name not in kept:
                node.input[i] = self._floats.get(name, name)
        return node

    def _activation(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """What stands for an activation that `node` makes of integers: that saturated, where a ReLU
        or a Clip had been, and the rounding, where integers are computed with."""
        rounding, name = self._rounding[node.input[0]], node.output[0]
        value = self._floats.get(rounding.input[0], rounding.input[0])
        step, zero = (self._constants[each] for each in rounding.input[1:])
        picture = self._is_picture(node)
        if name == "sr":
            kind = "Clip" if picture else "Relu" if zero == 0 else "Identity"
            ends = [self._add(f"sr_{end}", np.array(end, np.float32)) for end in (0, 1) if picture]
            yield helper.make_node(kind, [value, *ends], [name], "sr_held")
        elif zero == 0 and not picture:
            yield helper.make_node("Relu", [value], [f"{name}_relu"], f"{name}_relu")
            value = f"{name}_relu"
        self._floats[name] = value
        if name in self._taken:
            wide = max(int(zero), 255 - int(zero)) / LARGEST
            steps = (
                self._add(f"{name}_scale", np.array(step * wide, np.float32)),
                self._add(f"{name}_zero_point", np.array(0, np.int8)),
            )
            yield helper.make_node("QuantizeLinear", [value, *steps], [f"{name}_int8"])
            yield helper.make_node("DequantizeLinear", [f"{name}_int8", *steps], [name])

    def _is_picture(self, node: onnx.NodeProto) -> bool:
        """Whether what it makes of integers are a picture's 256 levels."""
        step, zero = (self._constants[each] for each in node.input[1:])
        return is_picture(step, zero)

    def _dequantised(self, node: onnx.NodeProto) -> NDArray[np.float32]:
        """The floats of a constant whose zero points are 0; a filter has a step of its own."""
        integers, step, _ = (self._constants[each] for each in node.input)
        steps = step.reshape(-1, *[1] * (integers.ndim - 1)) if step.ndim else step
        floats: NDArray[np.float32] = integers.astype(np.float32) * steps
        return floats

    def _add(self, name: str, value: NDArray[Any]) -> str:
        self.added.append(numpy_helper.from_array(value, name))
        return name


def _is(node: onnx.NodeProto, kind: str) -> bool:
    return bool(node.op_type == f"{kind}Linear")
