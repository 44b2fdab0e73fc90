"""LiteRT files (.tflite), channel-last, built node by node from a bundle's ONNX graphs.

Of a float graph the same in float32, or with its weights in float16. Of an int8 graph its very
weights and ranges: what stands between DequantizeLinear and QuantizeLinear computes with integers,
the rest in float. A file takes any size once it is resized.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgesr.deploy.litert_values import Values, fault
from edgesr.deploy.qdq import PICTURE, Levels, levels_of, on_levels, weights_of
from edgesr.deploy.rewrites.graph import Graph, attribute, is_plain
from edgesr.deploy.tflite import Activations, Operators, Types
from edgesr.errors import ExportError
from edgesr.runtimes.channel_order import use_dcr

ELEMENTWISE = {
    **{"Add": Operators.ADD, "Sub": Operators.SUB, "Mul": Operators.MUL, "Div": Operators.DIV},
    **{"Sigmoid": Operators.LOGISTIC, "Tanh": Operators.TANH},
}
STEPS: dict[str, Any] = {"padding": 0, "strideW": 1, "strideH": 1}
"""Of a convolution that keeps the size."""


def to_litert(
    model: onnx.ModelProto, size: tuple[int, int], *, half: bool = False
) -> tuple[bytes, str]:
    """`model`, a float graph of a bundle or its int8 one, and the type of what the file takes and
    gives: `lr` (1, height, width, 3) in, `sr` (1, scale * height, ...) out, float32 of 0..1, or
    uint8 where the graph is `on_levels` at both ends.

    Args:
        size: width and height at LR that the file states; runtimes resize it to others.
        half: the weights of convolutions are kept in float16; a CPU computes with them in float32.

    Raises:
        ExportError: the graph has something for which no operator of LiteRT is known here.
    """
    try:
        graph = Graph(use_dcr(model))
    except ExportError as error:
        raise fault(error.message) from None
    in_bytes = on_levels(graph)
    data = _Conversion(graph, half=half).run(size, in_bytes=in_bytes)
    return data, "uint8" if in_bytes else "float32"


class _Conversion(Values):
    """Makes one file, node by node."""

    def __init__(self, graph: Graph, *, half: bool) -> None:
        super().__init__(graph)
        self._half = half

    def run(self, size: tuple[int, int], *, in_bytes: bool) -> bytes:
        (width, height), model = size, self.onnx.finished()
        colours = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
        kind = Types.UINT8 if in_bytes else Types.FLOAT32
        levels = Levels(PICTURE.scale, 0) if in_bytes else None
        lr = self.tensors["lr"] = self.lite.tensor("lr", (1, height, width, colours), kind, levels)
        for node in model.graph.node:
            self._convert(node)
        if not in_bytes:
            return self.lite.packed(lr, *self.floats(["sr"]))
        signed = self.tensor("sr")
        sr = self.lite.tensor("sr", self.lite.shape(signed), kind, levels)
        self.lite.node(Operators.QUANTIZE, [signed], sr)
        return self.lite.packed(lr, sr)

    def _convert(self, node: onnx.NodeProto) -> None:
        match node.op_type:
            case "Conv":
                self._conv(node)
            case "Relu":
                self._relu(node)
            case "LeakyRelu" | "PRelu":
                self._sloped(node)
            case "Clip":
                self._clip(node)
            case "Concat":
                self._concat(node)
            case "DepthToSpace":
                self._depth_to_space(node)
            case "QuantizeLinear":
                self._quantise(node)
            case "DequantizeLinear" if self.onnx.constant(node.input[0]) is None:
                self.tensors[node.output[0]] = self.tensor(node.input[0])
            case "DequantizeLinear":
                self.weights[node.output[0]] = weights_of(self.onnx, node)
            case operator if operator in ELEMENTWISE:
                self._elementwise(node)
            case other:
                raise fault(f"for the operator {other} of its graph there is none")

    def _conv(self, node: onnx.NodeProto) -> None:
        weights, groups = self.constant(node.input[1]), attribute(node, "group", 1)
        width, channels, *kernel = weights.values.shape
        known = groups == 1 or (groups, channels) == (width, 1)
        if not known or not is_plain(node, tuple(kernel), groups):
            raise fault("a convolution changes the size, or has groups of several channels")
        none = np.zeros(width, np.float32)
        bias = self.constant(node.input[2]).floats() if len(node.input) > 2 else none
        levels = self.levels(node, node.input[:1])
        if levels is not None and weights.scale is not None and groups == 1:
            self._integer_conv(node, weights.values, weights.scale, bias, levels)
            return
        taken, filters = self.floats(node.input[:1]), weights.floats()
        shape = *self.lite.shape(taken[0])[:3], width
        if groups == 1:
            taken += self._filters(node, filters.transpose(0, 2, 3, 1), bias)
            self.put(node, Operators.CONV_2D, taken, shape, **STEPS)
        else:
            taken += self._filters(node, filters.transpose(1, 2, 3, 0), bias)
            kind = Operators.DEPTHWISE_CONV_2D
            self.put(node, kind, taken, shape, depthMultiplier=1, **STEPS)

    def _filters(
        self, node: onnx.NodeProto, values: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> list[int]:
        """The constants of a convolution in float."""
        name = node.output[0]
        if self._half:
            kept = self.lite.constant(f"{name}_half", values.astype(np.float16))
            filters = self.lite.tensor(f"{name}_weight", values.shape, Types.FLOAT32)
            self.lite.node(Operators.DEQUANTIZE, [kept], filters)
        else:
            filters = self.lite.constant(f"{name}_weight", values)
        return [filters, self.lite.constant(f"{name}_bias", bias)]

    def _integer_conv(
        self,
        node: onnx.NodeProto,
        values: NDArray[np.int8],
        scale: NDArray[np.float32],
        bias: NDArray[np.float32],
        levels: Levels,
    ) -> None:
        picture, name = self.tensor(node.input[0]), node.output[0]
        scales = np.broadcast_to(scale, len(bias))
        sums = np.asarray(scales * self.lite.levels(picture).scale, np.float32)
        taken = [
            picture,
            self.lite.constant(f"{name}_weight", values.transpose(0, 2, 3, 1), scales),
            self.lite.constant(f"{name}_bias", np.round(bias / sums).astype(np.int32), sums),
        ]
        shape = *self.lite.shape(picture)[:3], len(bias)
        self.put(node, Operators.CONV_2D, taken, shape, levels, **STEPS)

    def _relu(self, node: onnx.NodeProto) -> None:
        """Inside the node before, where nothing else takes what that gives."""
        taken, alone = self.tensor(node.input[0]), self.onnx.only_user(node.input[0]) is not None
        if alone and self.lite.fuse(taken, Activations.RELU):
            self.tensors[node.output[0]] = taken
        else:
            self.put(node, Operators.RELU, self.floats(node.input))

    def _sloped(self, node: onnx.NodeProto) -> None:
        """In float: LiteRT's LEAKY_RELU of integers is off by a level in places."""
        slopes = np.array([attribute(node, "alpha", 0.01)])
        if node.op_type == "PRelu":
            slopes = self.constant(node.input[1]).floats()
        taken = self.floats(node.input[:1])
        if slopes.size > 1:
            alpha = self.lite.constant(f"{node.output[0]}_slopes", slopes.reshape(1, 1, -1))
            self.put(node, Operators.PRELU, [*taken, alpha])
        else:
            self.put(node, Operators.LEAKY_RELU, taken, alpha=float(slopes.item()))

    def _clip(self, node: onnx.NodeProto) -> None:
        bounds = [self.constant(name).floats().item() for name in node.input[1:]]
        if bounds != [0, 1]:
            raise fault(f"values are held to {bounds}, not to 0 and 1")
        self.put(node, Operators.RELU_0_TO_1, self.floats(node.input[:1]))

    def _elementwise(self, node: onnx.NodeProto) -> None:
        kind = ELEMENTWISE[node.op_type]
        levels = self.levels(node, node.input) if kind == Operators.ADD else None
        taken = self.floats(node.input) if levels is None else [*map(self.tensor, node.input)]
        self.put(node, kind, taken, levels=levels)

    def _concat(self, node: onnx.NodeProto) -> None:
        if attribute(node, "axis", 1) not in (1, -3):
            raise fault("pictures are put together along another axis than the channels'")
        first, *others = map(self.tensor, node.input)
        if self.is_whole(first) and {first} == set(others):
            self._repeat(node, first, len(node.input))
            return
        taken = self.floats(node.input)
        shape = self.lite.shape(first)[:3]
        width = sum(self.lite.shape(each)[3] for each in taken)
        self.put(node, Operators.CONCATENATION, taken, (*shape, width), axis=3)

    def _repeat(self, node: onnx.NodeProto, picture: int, times: int) -> None:
        """Integers side by side: XNNPACK takes a convolution, but no more than five of them."""
        one = 127 * np.eye(self.lite.shape(picture)[3], dtype=np.int8)
        values = np.tile(one, (times, 1))[:, :, None, None]
        bias, scale = np.zeros(len(values), np.float32), np.array([1 / 127], np.float32)
        self._integer_conv(node, values, scale, bias, self.lite.levels(picture))

    def _depth_to_space(self, node: onnx.NodeProto) -> None:
        """In DCR order, as `use_dcr` left it and LiteRT has it; of integers on the same levels."""
        taken, r = self.tensor(node.input[0]), attribute(node, "blocksize", 0)
        _, height, width, channels = self.lite.shape(taken)
        shape = 1, height * r, width * r, channels // r**2
        levels = self.lite.levels(taken) if self.is_whole(taken) else None
        self.put(node, Operators.DEPTH_TO_SPACE, [taken], shape, levels, blockSize=r)

    def _quantise(self, node: onnx.NodeProto) -> None:
        """Nothing to do where the node before gives these levels."""
        taken, levels = self.tensor(node.input[0]), levels_of(self.onnx, node)
        if self.is_whole(taken) and self.lite.levels(taken) == levels:
            self.tensors[node.output[0]] = taken
        else:
            self.put(node, Operators.QUANTIZE, [taken], levels=levels)
