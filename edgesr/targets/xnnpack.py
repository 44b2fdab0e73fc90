"""XNNPACK by ONNX Runtime's execution provider."""

from __future__ import annotations

from edgesr.targets.delegate import (
    USE_FLOAT,
    Delegate,
    Fault,
    Source,
    constant,
    mode_is,
    operators,
)
from edgesr.targets.graph import DEQUANTISE, QUANTISE, Node

OPERATORS = operators("""
    AveragePool Conv ConvTranspose MaxPool Softmax QLinearConv Resize Gemm MatMul
    com.microsoft:QLinearAveragePool com.microsoft:QLinearSoftmax
    com.microsoft:QLinearConvTranspose
""")
FUSED = {"Relu", "Clip"}
FUSES = {"Conv", "MaxPool", "AveragePool"}


def fused_with_convolution(node: Node) -> Fault | None:
    if node.fed_by in FUSES:
        return None
    return Fault(
        "taken only where it directly follows a convolution",
        "Nothing to set in edgesr: the CPU runs it.",
    )


def one_integer_type(node: Node) -> Fault | None:
    """Quantised convolutions are int8 throughout, or uint8 throughout and not per channel."""
    integers = [value.integers.type for value in node.inputs[:2] if value.integers]
    if not integers or integers in (["int8", "int8"], ["uint8", "uint8"]):
        return None
    return Fault(
        f"activations and weights of types {', '.join(integers)}, documented is the same for both",
        "Quantise both to int8 for this target, or ship the fp32 variant.",
    )


def in_a_unit(node: Node) -> Fault | None:
    if not node.alone:
        return None
    return Fault("taken only as a part of a quantised convolution", USE_FLOAT)


XNNPACK = Delegate(
    name="XNNPACK",
    sources=(
        Source(
            "XNNPACK Execution Provider, supported ops",
            "https://onnxruntime.ai/docs/execution-providers/Xnnpack-ExecutionProvider.html",
            "2023 and later, undated",
        ),
        Source(
            "ONNX Runtime source, XNNPACK: nn/conv_base.cc, tensor/resize.cc, "
            "detail/node_support_checker.cc, detail/utils.cc",
            "https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/core/providers/xnnpack",
            "main, 2023 and 2024; later ones not seen",
        ),
    ),
    operators=OPERATORS | FUSED | {QUANTISE, DEQUANTISE},
    types={"": frozenset({"float"}), QUANTISE: frozenset(), DEQUANTISE: frozenset()},
    rules={
        "Conv": (constant(1, 2, quantised=True), one_integer_type),
        "Resize": (
            mode_is("mode", {"linear"}, "Nothing to set in edgesr: the CPU runs it."),
            constant(2, 3),
        ),
        "Relu": (fused_with_convolution,),
        "Clip": (fused_with_convolution,),
        QUANTISE: (in_a_unit,),
        DEQUANTISE: (in_a_unit,),
    },
    units=True,
    fixed=True,
    notes=(
        "runs on the CPU itself, so what it leaves to ONNX Runtime's own kernels is copied nowhere",
        "float16 convolutions: not documented",
    ),
)
DELEGATES = (XNNPACK,)
