"""What `model.int8.onnx` of an edge student computes, layer by layer, for other runtimes' files."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgesr.errors import ExportError

LEVEL = np.float32(1 / 255)
"""The step of whatever holds a picture in eight bits."""


class Layer(NamedTuple):
    """A convolution in eight bits.

    Attributes:
        weight: (out, in, k, k) int8; `scale`, (out,), times it is the float weight.
        bias: (out,), float.
        step, zero: of its output, after ReLU: value = step (q - zero), q of 0..255.
    """

    weight: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.floating[Any]]
    step: np.float32
    zero: int


def quantised_layers(int8: onnx.ModelProto) -> list[Layer]:
    """The convolutions of an int8 graph, in the order in which they run.

    Raises:
        ExportError: one of them stays in float.
    """
    constants = {each.name: numpy_helper.to_array(each) for each in int8.graph.initializer}
    makers = {output: node for node in int8.graph.node for output in node.output}
    takers = {name: node for node in int8.graph.node for name in node.input}
    found = []
    for conv in (node for node in int8.graph.node if node.op_type == "Conv"):
        weight, bias = (makers.get(name) for name in conv.input[1:])
        rounds = takers[conv.output[0]]
        if weight is None or bias is None or rounds.op_type != "QuantizeLinear":
            raise ExportError(
                f"no int8 file for another runtime: {conv.input[1]} stays in float in "
                "model.int8.onnx"
            )
        integers, scale = (constants[name] for name in weight.input[:2])
        sums, steps = (constants[name] for name in bias.input[:2])
        step, zero = (constants[name] for name in rounds.input[1:])
        found.append(Layer(integers, scale, sums * steps, np.float32(step), int(zero)))
    return found
