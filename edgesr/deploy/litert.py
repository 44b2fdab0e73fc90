"""LiteRT files (.tflite) of an edge student: channel-last pictures; fp32, fp16, and int8 as bytes.

litert-torch lowers PixelShuffle to transpositions and reshapes, which fix the size and cost as much
as convolutions do. So the network is converted without it, its last channels in DCR order, and
LiteRT's own DEPTH_TO_SPACE put behind: one node, and a file that takes any size once it is resized.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import litert_torch
import numpy as np
import onnx
import torch
from ai_edge_quantizer import qtyping, quantizer
from ai_edge_quantizer.recipe_manager import AlgorithmName
from torch import Tensor, nn

from edgesr.deploy.channel_order import dcr_order
from edgesr.deploy.int8_layers import LEVEL, Layer, quantised_layers
from edgesr.deploy.tflite import Operators, TfLite, Types
from edgesr.errors import ExportError
from edgesr.models.edge import EdgeStudent
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import Network
from edgesr.recipe import Rewrites


class BeforeShuffle(nn.Module):
    """An edge student up to PixelShuffle: (1, H, W, 3) to (1, H, W, 3 r r), in DCR order."""

    def __init__(self, student: EdgeStudent, *, clip: bool) -> None:
        super().__init__()
        self.clip = clip
        self.student = deployable(student, Rewrites())
        order = torch.from_numpy(dcr_order(3 * student.scale**2, student.scale))
        tail, end = self.student.get_submodule("tail"), self.student.get_submodule("end")
        assert isinstance(tail, nn.Conv2d), "deployable collapses its branches"
        assert tail.bias is not None
        tail.weight.data, tail.bias.data = tail.weight[order], tail.bias[order]
        end.repeat = end.get_buffer("repeat")[order]
        end.set_submodule("shuffle", nn.Identity())

    def forward(self, lr: Tensor) -> Tensor:
        channels: Tensor = self.student(lr.permute(0, 3, 1, 2))
        held = channels.clamp(0, 1) if self.clip else channels
        return held.permute(0, 2, 3, 1)


def to_litert(module: Network, size: tuple[int, int], *, clip: bool) -> bytes:
    """`module` in float32: `lr` (1, height, width, 3) in, `sr` (1, scale * height, ...) out.

    Args:
        size: width and height at LR that the file states; runtimes resize it to others.

    Raises:
        ExportError: it is no edge student.
    """
    if not isinstance(module, EdgeStudent):
        raise ExportError(
            f"no LiteRT file of {type(module).__name__}: they are made of edge students alone",
            "Leave out --tflite, or distil an edge student.",
        )
    width, height = size
    before = BeforeShuffle(module, clip=clip).eval()
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            converted = litert_torch.convert(before, (torch.zeros(1, height, width, 3),))
            data = converted.model_content()
        finally:
            logging.disable(logging.NOTSET)
    graph = TfLite(data)
    graph.depth_to_space(module.scale, "sr")
    graph.name_ends("lr", "sr")
    return graph.packed()


def to_fp16(fp32: bytes) -> bytes:
    """The same with its weights in 16 bits, which a CPU computes with in float32."""
    quantiser = quantizer.Quantizer(bytearray(fp32))
    quantiser.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=AlgorithmName.FLOAT_CASTING,
    )
    with redirect_stdout(StringIO()):
        return bytes(quantiser.quantize().quantized_model)


def to_int8(fp32: bytes, int8: onnx.ModelProto) -> bytes:
    """The float file with the eight-bit weights and ranges of `model.int8.onnx`, which calibration
    and fine-tuning found: the same function, bytes at both ends.

    Raises:
        ExportError: a convolution of `int8` stays in float.
    """
    layers = quantised_layers(int8)
    graph = TfLite(fp32)
    *convs, anchor = graph.of_kind(Operators.CONV_2D)
    (add,) = graph.of_kind(Operators.ADD)
    assert len(convs) == len(layers), "both are the same network"
    (lr,), (sr,) = graph.graph.inputs, graph.graph.outputs
    graph.quantise(lr, Types.INT8, LEVEL, -128)
    step = LEVEL
    for conv, layer in zip(convs, layers, strict=True):
        _quantise(graph, conv, layer, step)
        step = layer.step
    channels = graph.graph.tensors[anchor.inputs[1]].shape[0]
    eye = np.repeat(np.eye(3, dtype=np.int8)[None], channels // 3, 0).reshape(channels, 3, 1, 1)
    repeat = Layer(127 * eye, np.full(channels, 1 / 127, np.float32), np.zeros(channels), LEVEL, 0)
    _quantise(graph, anchor, repeat, LEVEL)
    for index in (*add.outputs, sr):
        graph.quantise(index, Types.INT8, LEVEL, -128)
    _bytes_at_both_ends(graph, lr, sr)
    return graph.packed()


def _quantise(graph: TfLite, conv: Any, layer: Layer, step: np.float32) -> None:
    """Weights, bias and output of a convolution in eight bits, whose input has that step."""
    weight, bias = conv.inputs[1:]
    graph.constant(weight, layer.weight.transpose(0, 2, 3, 1))
    graph.quantise(weight, Types.INT8, layer.scale, 0)
    sums = (layer.scale * step).astype(np.float32)
    graph.constant(bias, np.round(layer.bias / sums).astype(np.int32))
    graph.quantise(bias, Types.INT32, sums, 0)
    graph.quantise(conv.outputs[0], Types.INT8, layer.step, layer.zero - 128)


def _bytes_at_both_ends(graph: TfLite, lr: int, sr: int) -> None:
    """Take and give 0..255 where the nodes between count from -128."""
    ends = [
        graph.tensor(name, list(graph.graph.tensors[index].shape), Types.UINT8)
        for name, index in (("bytes_in", lr), ("bytes_out", sr))
    ]
    for index in ends:
        graph.quantise(index, Types.UINT8, LEVEL, 0)
    for name, index in (("lr_signed", lr), ("sr_signed", sr)):
        graph.graph.tensors[index].name = name.encode()
    first = graph.operator(Operators.QUANTIZE, [ends[0]], int(lr))
    last = graph.operator(Operators.QUANTIZE, [int(sr)], ends[1])
    graph.graph.operators = [first, *graph.graph.operators, last]
    graph.take(ends[0])
    graph.give(ends[1])
    graph.name_ends("lr", "sr")
