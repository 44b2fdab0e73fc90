"""What QuantizeLinear and DequantizeLinear of an int8 graph say, for files of other runtimes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from edgesr.deploy.int8_layers import LEVEL
from edgesr.deploy.rewrites.graph import Graph, attribute
from edgesr.errors import ExportError


class Levels(NamedTuple):
    """What the integers of a value stand for, counted from -128: scale (q - zero)."""

    scale: np.float32
    zero: int


PICTURE = Levels(LEVEL, -128)
"""A picture's own 256."""


class Weights(NamedTuple):
    """A constant: floats, or integers around zero.

    Attributes:
        scale: of integers, one or one for each place on the first axis; None of floats.
    """

    values: NDArray[Any]
    scale: NDArray[np.float32] | None = None

    def floats(self) -> NDArray[np.float32]:
        """What it stands for."""
        if self.scale is None:
            return np.asarray(self.values, np.float32)
        places = self.scale.reshape(-1, *[1] * (self.values.ndim - 1))
        return np.asarray(places * self.values, np.float32)


def levels_of(graph: Graph, node: onnx.NodeProto) -> Levels:
    """Those that a QuantizeLinear rounds to, or a DequantizeLinear reads.

    Raises:
        ExportError: they are not 256, the same for all channels.
    """
    scale, zero = (graph.constant(name) for name in node.input[1:3])
    if scale is None or zero is None or zero.size != 1 or zero.dtype not in (np.int8, np.uint8):
        raise ExportError(f"{node.output[0]} is not one of 256 levels, the same for all channels")
    return Levels(np.float32(scale.item()), zero.item() - 128 * (zero.dtype == np.uint8))


def weights_of(graph: Graph, node: onnx.NodeProto) -> Weights:
    """The constant that a DequantizeLinear reads.

    Raises:
        ExportError: its integers are not around zero, or have scales along another axis.
    """
    values, scale, zero = (graph.constant(name) for name in node.input[:3])
    assert values is not None, "the caller knows that it is one"
    if (
        scale is None
        or zero is None
        or zero.any()
        or (scale.size > 1 and attribute(node, "axis", 1))
    ):
        raise ExportError(f"the integers of {node.output[0]} are not around zero, a scale a filter")
    return Weights(values, scale.reshape(-1))


def on_levels(graph: Graph) -> bool:
    """Whether both ends are on the 256 levels of a picture, so that they can be bytes."""
    last = graph.maker("sr")
    assert last is not None, "every model file gives it"
    ends = [(node, "QuantizeLinear") for node in graph.proto.node if "lr" in node.input]
    return all(
        node.op_type == kind and levels_of(graph, node) == PICTURE
        for node, kind in (*ends, (last, "DequantizeLinear"))
    )
