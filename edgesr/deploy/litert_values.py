"""The values of an ONNX graph as tensors of a LiteRT graph, floats or integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx

from edgesr.deploy.qdq import Levels, Weights, levels_of
from edgesr.deploy.rewrites.graph import Graph
from edgesr.deploy.tflite import Operators, TfLite, Types
from edgesr.errors import ExportError


class Values:
    """What is known so far of the values of `onnx`.

    Attributes:
        onnx: the graph that is read.
        lite: the graph that is made.
        tensors: those of `lite`, channel-last, by the names of pictures and features in `onnx`.
        weights: constants that a DequantizeLinear reads.
    """

    def __init__(self, graph: Graph) -> None:
        self.onnx, self.lite = graph, TfLite()
        self.tensors: dict[str, int] = {}
        self.weights: dict[str, Weights] = {}
        self._in_float: dict[int, int] = {}

    def put(
        self,
        node: onnx.NodeProto,
        kind: int,
        taken: list[int],
        shape: tuple[int, ...] | None = None,
        levels: Levels | None = None,
        **options: Any,
    ) -> None:
        """Add a node that gives what `node` gives: integers on `levels`, or floats."""
        shape = shape or np.broadcast_shapes(*map(self.lite.shape, taken))
        number = Types.FLOAT32 if levels is None else Types.INT8
        given = self.lite.tensor(node.output[0], shape, number, levels)
        self.lite.node(kind, taken, given, **options)
        self.tensors[node.output[0]] = given

    def levels(self, node: onnx.NodeProto, names: Iterable[str]) -> Levels | None:
        """Those of what `node` gives, where it computes with integers: where that is rounded to
        levels, and all of `names` are on some."""
        user = self.onnx.only_user(node.output[0])
        taken = [self.tensors.get(name) for name in names]
        if user is None or user.op_type != "QuantizeLinear" or not all(map(self.is_whole, taken)):
            return None
        return levels_of(self.onnx, user)

    def is_whole(self, tensor: int | None) -> bool:
        """Whether a tensor holds integers; None is a constant of floats."""
        return tensor is not None and self.lite.kind(tensor) == Types.INT8

    def floats(self, names: Iterable[str]) -> list[int]:
        """Tensors of floats; constants channel-last."""
        found = []
        for name in names:
            if name not in self.tensors:
                values = self.constant(name).floats()
                values = values.reshape(*[1] * (4 - values.ndim), *values.shape)
                found.append(self.lite.constant(name, values.transpose(0, 2, 3, 1)))
                continue
            taken = self.tensors[name]
            if self.is_whole(taken) and taken not in self._in_float:
                floats = self.lite.tensor(f"{name}_float", self.lite.shape(taken), Types.FLOAT32)
                self.lite.node(Operators.DEQUANTIZE, [taken], floats)
                self._in_float[taken] = floats
            found.append(self._in_float.get(taken, taken))
        return found

    def tensor(self, name: str) -> int:
        """That of a value that is no constant."""
        if name not in self.tensors:
            raise fault(f"{name} is computed of constants")
        return self.tensors[name]

    def constant(self, name: str) -> Weights:
        """What a constant holds, as `onnx` has it."""
        values = self.onnx.constant(name)
        if name not in self.weights and values is None:
            raise fault(f"{name} is computed, not a constant")
        return self.weights[name] if values is None else Weights(values)


def fault(reason: str) -> ExportError:
    """That there is no file."""
    return ExportError(
        f"no LiteRT file: {reason}",
        "Leave out --tflite; where rewrites of export.rewrites are switched off, try with them.",
    )
