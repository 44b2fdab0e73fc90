"""A LiteRT graph in the making: tensors, constants, nodes, and the file that they become.

The classes are those that LiteRT's own schema generates, by ai-edge-litert.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgesr.deploy.qdq import Levels

Operators: Any = schema.BuiltinOperator
Types: Any = schema.TensorType
Activations: Any = schema.ActivationFunctionType
TYPES = {
    np.dtype(np.float32): Types.FLOAT32,
    np.dtype(np.float16): Types.FLOAT16,
    np.dtype(np.int32): Types.INT32,
    np.dtype(np.int8): Types.INT8,
}
OPTIONS = {
    Operators.CONV_2D: "Conv2DOptions",
    Operators.DEPTHWISE_CONV_2D: "DepthwiseConv2DOptions",
    Operators.ADD: "AddOptions",
    Operators.SUB: "SubOptions",
    Operators.MUL: "MulOptions",
    Operators.DIV: "DivOptions",
    Operators.LEAKY_RELU: "LeakyReluOptions",
    Operators.CONCATENATION: "ConcatenationOptions",
    Operators.DEPTH_TO_SPACE: "DepthToSpaceOptions",
}
"""Of the operators that have some."""
VERSIONS = {
    (Operators.CONV_2D, Types.INT8): 3,
    (Operators.ADD, Types.INT8): 2,
    (Operators.DEQUANTIZE, Types.INT8): 2,
    (Operators.DEQUANTIZE, Types.FLOAT16): 3,
}
"""Of an operator by the type of its first input, as LiteRT's registry counts them; others 1."""


class TfLite:
    """A file's only graph: picture in, picture out. Tensors are known by their numbers."""

    def __init__(self) -> None:
        self.model: Any = schema.ModelT(version=3, description=b"edgesr")
        self.graph: Any = schema.SubGraphT(tensors=[], operators=[], name=b"main")
        self.model.subgraphs, self.model.operatorCodes = [self.graph], []
        self.model.buffers = [schema.BufferT()]
        self._codes: dict[tuple[int, int], int] = {}
        self._options: dict[int, Any] = {}

    def tensor(
        self, name: str, shape: tuple[int, ...], kind: int, levels: Levels | None = None
    ) -> int:
        """A new tensor, by its number; the kind is one of `Types`."""
        made: Any = schema.TensorT(name=name.encode(), shape=list(shape), type=kind)
        if levels is not None:
            made.quantization = _steps(np.atleast_1d(levels.scale), levels.zero)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def constant(
        self, name: str, values: NDArray[Any], scale: NDArray[np.float32] | None = None
    ) -> int:
        """A tensor that holds `values`; with a `scale` for each place on the first axis they are
        integers around zero."""
        index = self.tensor(name, values.shape, TYPES[values.dtype])
        if scale is not None:
            self.graph.tensors[index].quantization = _steps(scale, 0)
        data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(schema.BufferT(data=data))
        self.graph.tensors[index].buffer = len(self.model.buffers) - 1
        return index

    def shape(self, index: int) -> tuple[int, ...]:
        """Of a tensor, (1, height, width, channels) of a picture."""
        return tuple(self.graph.tensors[index].shape)

    def kind(self, index: int) -> int:
        """Which of `Types` a tensor is."""
        return int(self.graph.tensors[index].type)

    def levels(self, index: int) -> Levels:
        """Of a tensor of integers."""
        found = self.graph.tensors[index].quantization
        return Levels(np.float32(found.scale[0]), int(found.zeroPoint[0]))

    def node(self, kind: int, inputs: list[int], output: int, **options: Any) -> None:
        """Add a node, one of `Operators`, that makes `output` of `inputs`."""
        made: Any = schema.OperatorT(inputs=inputs, outputs=[output])
        made.opcodeIndex = self._code(kind, VERSIONS.get((kind, self.kind(inputs[0])), 1))
        if kind in OPTIONS:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, OPTIONS[kind])
            made.builtinOptions = getattr(schema, f"{OPTIONS[kind]}T")(**options)
        self.graph.operators.append(made)
        self._options[output] = made.builtinOptions

    def fuse(self, index: int, activation: int) -> bool:
        """Let the node that makes a tensor apply one of `Activations` to it; whether it can."""
        options: Any = self._options.get(index)
        able = hasattr(options, "fusedActivationFunction")
        if able:
            options.fusedActivationFunction = activation
        return able

    def kinds(self) -> list[int]:
        """Which of `Operators` the nodes are, in the order in which they run."""
        codes = self.model.operatorCodes
        return [int(codes[each.opcodeIndex].builtinCode) for each in self.graph.operators]

    def packed(self, lr: int, sr: int) -> bytes:
        """The file's content, a graph that takes `lr` and gives `sr` and calls them so."""
        ends = {}
        for name, index in (("lr", lr), ("sr", sr)):
            self.graph.tensors[index].name = name.encode()
            ends[name] = [schema.TensorMapT(name=name.encode(), tensorIndex=index)]
        self.graph.inputs, self.graph.outputs = [lr], [sr]
        self.model.signatureDefs = [
            schema.SignatureDefT(ends["lr"], ends["sr"], signatureKey=b"serving_default")
        ]
        builder = _Aligned(2**20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _code(self, kind: int, version: int) -> int:
        if (kind, version) not in self._codes:
            self._codes[kind, version] = len(self._codes)
            self.model.operatorCodes.append(
                schema.OperatorCodeT(
                    # Old runtimes read the first, which has seven bits.
                    deprecatedBuiltinCode=min(kind, 127),
                    builtinCode=kind,
                    version=version,
                )
            )
        return self._codes[kind, version]


def _steps(scale: NDArray[np.float32], zero: int) -> Any:
    return schema.QuantizationParametersT(
        scale=scale, zeroPoint=np.full(len(scale), zero, np.int64)
    )


class _Aligned(flatbuffers.Builder):  # type: ignore[misc]
    """Every vector begins at a multiple of 16 bytes, as LiteRT's schema asks of constants: what is
    generated of it for Python leaves that out."""

    def StartVector(self, size: int, count: int, alignment: int) -> int:
        return int(super().StartVector(size, count, max(16, alignment)))
