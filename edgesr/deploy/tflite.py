"""A LiteRT graph in memory: the one that a converter wrote, read, changed and written again.

The classes are those that LiteRT's own schema generates, by ai-edge-litert.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

Operators: Any = schema.BuiltinOperator
Types: Any = schema.TensorType


class TfLite:
    """A file's only graph: picture in, picture out.

    Args:
        data: the file's content.
    """

    def __init__(self, data: bytes) -> None:
        self.model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
        (self.graph,) = self.model.subgraphs

    def kind(self, operator: Any) -> int:
        """Which of `Operators` a node is."""
        return int(self.model.operatorCodes[operator.opcodeIndex].builtinCode)

    def of_kind(self, kind: int) -> list[Any]:
        """The nodes of one kind, in the order in which they run."""
        return [each for each in self.graph.operators if self.kind(each) == kind]

    def operator(self, kind: int, inputs: list[int], output: int, version: int = 1) -> Any:
        """A node that is not in the graph yet."""
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = version
        self.model.operatorCodes.append(code)
        made: Any = schema.OperatorT()
        made.opcodeIndex = len(self.model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, [output]
        return made

    def tensor(self, name: str, shape: list[int], kind: int) -> int:
        """A new tensor that a node will give, by its index."""
        made: Any = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), shape, kind, 0
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def quantise(
        self, index: int, kind: int, scale: NDArray[np.float32] | np.float32, zero: int
    ) -> None:
        """Say that a tensor holds integers: value = scale (q - zero), a scale for all of them or
        one for each place on the first axis."""
        quantised: Any = schema.QuantizationParametersT()
        quantised.scale = np.atleast_1d(scale).astype(np.float32)
        quantised.zeroPoint = np.full(len(quantised.scale), zero, np.int64)
        self.graph.tensors[index].type = kind
        self.graph.tensors[index].quantization = quantised

    def constant(self, index: int, values: NDArray[Any]) -> None:
        """Give a constant tensor, which shares its values with no other from now on, new values."""
        buffer: Any = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        self.graph.tensors[index].buffer = len(self.model.buffers) - 1

    def depth_to_space(self, block: int, name: str) -> None:
        """Put DEPTH_TO_SPACE behind the graph's output, which becomes `name`."""
        (before,) = self.graph.outputs
        _, height, width, channels = self.graph.tensors[before].shape
        shape = [1, height * block, width * block, channels // block**2]
        after = self.tensor(name, shape, self.graph.tensors[before].type)
        node = self.operator(Operators.DEPTH_TO_SPACE, [int(before)], after)
        options: Any = schema.DepthToSpaceOptionsT()
        options.blockSize = block
        kinds: Any = schema.BuiltinOptions
        node.builtinOptionsType, node.builtinOptions = kinds.DepthToSpaceOptions, options
        self.graph.operators.append(node)
        self.give(after)

    def take(self, index: int) -> None:
        """Make a tensor the graph's input."""
        self.graph.inputs = [index]
        self.model.signatureDefs[0].inputs[0].tensorIndex = index

    def give(self, index: int) -> None:
        """Make a tensor the graph's output."""
        self.graph.outputs = [index]
        self.model.signatureDefs[0].outputs[0].tensorIndex = index

    def name_ends(self, taken: str, given: str) -> None:
        """Call the input and the output so, as tensors and in the signature that apps call."""
        signature = self.model.signatureDefs[0]
        for name, (index,), ends in (
            (taken, self.graph.inputs, signature.inputs),
            (given, self.graph.outputs, signature.outputs),
        ):
            self.graph.tensors[index].name = ends[0].name = name.encode()

    def packed(self) -> bytes:
        """The file's content, without constants that no tensor holds any more."""
        held = {each.buffer for each in self.graph.tensors}
        held |= {each.buffer for each in self.model.metadata or []}
        for index, buffer in enumerate(self.model.buffers):
            if index not in held:
                buffer.data = None
        builder = flatbuffers.Builder(2**20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
