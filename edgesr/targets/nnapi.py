"""Android's Neural Networks API by ONNX Runtime's execution provider."""

from __future__ import annotations

from edgesr.targets.coreml import SHIPPED
from edgesr.targets.delegate import (
    USE_DCR,
    USE_EDGESR,
    USE_FLOAT,
    Delegate,
    Fault,
    Source,
    constant,
    mode_is,
    operators,
)
from edgesr.targets.graph import DEQUANTISE, QUANTISE, Node, constant_bounds

OPERATORS = operators("""
    Abs Add AveragePool BatchNormalization Cast Clip Concat Conv DepthToSpace DequantizeLinear Div
    Elu Exp Flatten Floor Gather Gemm GlobalAveragePool GlobalMaxPool Identity LeakyRelu Log LRN
    MatMul MaxPool Max Min Mul Neg Pad Pow PRelu QLinearConv QLinearMatMul QuantizeLinear ReduceMean
    Relu Reshape Resize Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze
    com.microsoft:QLinearAdd com.microsoft:QLinearAveragePool com.microsoft:QLinearSigmoid
""")

QUANTISED = operators("""
    Conv Resize AveragePool Add Mul Transpose Reshape Softmax Concat Gemm MatMul
""")


def clip_is_relu6_or_relu1(node: Node) -> Fault | None:
    bounds = constant_bounds(node)
    if bounds in ((0, 6), (-1, 1)):
        return None
    return Fault(
        f"bounds {bounds}, documented are 0 and 6, or -1 and 1",
        "Ship a variant without it (export.rewrites.clip = false) and clip in the app.",
    )


def quantised_as_documented(node: Node) -> Fault | None:
    """A node between DequantizeLinear and QuantizeLinear is one quantised operation."""
    integers = node.inputs[0].integers
    if integers is None or node.op in (QUANTISE, DEQUANTISE):
        return None
    if node.op not in QUANTISED:
        return Fault("not documented for quantised values", USE_FLOAT)
    if integers.type == "uint8":
        return None
    return Fault(
        f"quantised values of type {integers.type}, documented is uint8 (weights: int8, too)",
        "Quantise activations to uint8 for this target, or ship the fp32 variant.",
    )


NNAPI = Delegate(
    name="NNAPI",
    sources=(
        Source(
            "nnapi_supported_ops.md",
            "https://onnxruntime.ai/docs/execution-providers/NNAPI-ExecutionProvider.html",
            SHIPPED,
        ),
        Source(
            "ONNX Runtime source, NNAPI: base_op_builder.cc, clip_op_builder.cc, "
            "depthtospace_op_builder.cc, resize_op_builder.cc, op_builder_helpers.cc, "
            "helper.cc",
            "https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/core/providers/nnapi/"
            "nnapi_builtin/builders",
            "main, 2023 and 2024; later ones not seen",
        ),
        Source(
            "NNAPI Migration Guide",
            "https://developer.android.com/ndk/guides/neuralnetworks/migration-guide",
            "undated",
        ),
    ),
    operators=OPERATORS,
    types={
        "": frozenset({"float"}),
        "Resize": frozenset({"float", "uint8"}),
        "Transpose": frozenset({"float", "uint8"}),
        "Cast": frozenset({"float", "int32"}),
        QUANTISE: frozenset(),
        DEQUANTISE: frozenset(),
    },
    rules={
        "": (quantised_as_documented,),
        "Clip": (clip_is_relu6_or_relu1,),
        "Conv": (constant(1, 2, quantised=True),),
        "DepthToSpace": (mode_is("mode", {"DCR"}, USE_DCR),),
        "Resize": (
            mode_is("mode", {"nearest", "linear"}, USE_EDGESR),
            mode_is("coordinate_transformation_mode", {"asymmetric"}, USE_EDGESR),
            mode_is("nearest_mode", {"floor"}, USE_EDGESR),
            constant(2, 3),
        ),
        QUANTISE: (constant(1, 2),),
        DEQUANTISE: (constant(1, 2),),
    },
    units=True,
    fixed=True,
    notes=(
        "needs Android 8.1, for the layout NCHW and weights per channel Android 10 (API 29)",
        "deprecated by Android 15; for half precision its option is NNAPI_FLAG_USE_FP16",
    ),
)
DELEGATES = (NNAPI,)
