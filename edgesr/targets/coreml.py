"""Core ML by ONNX Runtime's execution provider, in both formats of its models."""

from __future__ import annotations

from edgesr.targets.delegate import (
    USE_DCR,
    USE_EDGESR,
    USE_LEAKY_RELU,
    Delegate,
    Fault,
    Rule,
    Source,
    constant,
    mode_is,
    operators,
)
from edgesr.targets.graph import Node

PAGE = "https://onnxruntime.ai/docs/execution-providers/CoreML-ExecutionProvider.html"
CODE = "https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/providers/coreml/"
SHIPPED = "as shipped in the Python package onnxruntime 1.31.1, tools/mobile_helpers"
BUILDERS = (
    Source(
        "ONNX Runtime source, Core ML: base_op_builder.cc, depthtospace_op_builder.cc, "
        "resize_op_builder.cc, cast_op_builder.cc",
        CODE + "builders/impl/",
        "main, 2024; later ones not seen",
    ),
    Source(
        "ORTCoreMLExecutionProviderOptions (dynamic shapes)",
        "https://onnxruntime.ai/docs/api/objectivec/Classes/ORTCoreMLExecutionProviderOptions.html",
        "undated",
    ),
)

ML_PROGRAM_OPERATORS = operators("""
    Add And ArgMax AveragePool Cast Clip Concat Conv ConvTranspose Cos DepthToSpace Ceil Div Elu Erf
    Exp GatherND Gemm Gelu GlobalAveragePool GlobalMaxPool GridSample GroupNormalization HardSigmoid
    Identity InstanceNormalization LayerNormalization LeakyRelu MatMul MaxPool Max Mul Pow PRelu
    Reciprocal ReduceSum ReduceMean ReduceMax Relu Reshape Resize Round Shape Sin Slice Softplus
    Split Sub Sigmoid Softmax Sqrt Squeeze Tanh Tile Transpose Unsqueeze Where
    com.microsoft:QuickGelu com.microsoft:FusedConv
""")
NEURAL_NETWORK_OPERATORS = operators("""
    Add ArgMax AveragePool BatchNormalization Cast Clip Concat Conv DepthToSpace Div Flatten Gather
    Gemm GlobalAveragePool GlobalMaxPool LeakyRelu LRN MatMul MaxPool Mul Pad Pow PRelu Reciprocal
    ReduceSum Relu Reshape Resize Shape Sigmoid Slice Softmax Split Squeeze Sqrt Sub Tanh Transpose
""")


def crd_has_fixed_shape(node: Node) -> Fault | None:
    if node.attributes["mode"] == "DCR" or node.inputs[0].fixed:
        return None
    return Fault("mode = CRD needs fixed shapes", USE_DCR)


def slopes_per_channel(node: Node) -> Fault | None:
    slopes = node.inputs[1]
    if slopes.constant is not None and slopes.shape is not None:
        per_channel = len(slopes.shape) == 3 and slopes.shape[1:] == (1, 1)
        if slopes.constant.size == 1 or per_channel:
            return None
    return Fault(
        f"slopes of shape {slopes.shape}, documented are one or [C, 1, 1], constant",
        USE_LEAKY_RELU,
    )


def whole_factors(node: Node) -> Fault | None:
    scales = node.inputs[2].constant if len(node.inputs) > 2 else None
    if scales is None or not scales.size or (scales == scales.round()).all():
        return None
    return Fault(f"factors {scales.tolist()} are not whole numbers", USE_EDGESR)


RESIZE: tuple[Rule, ...] = (
    mode_is("mode", {"nearest", "linear"}, USE_EDGESR),
    mode_is("coordinate_transformation_mode", {"asymmetric"}, USE_EDGESR),
    mode_is("nearest_mode", {"floor"}, USE_EDGESR),
    mode_is("antialias", {0}, USE_EDGESR),
    mode_is("exclude_outside", {0}, USE_EDGESR),
    mode_is("keep_aspect_ratio_policy", {"stretch"}, USE_EDGESR),
    constant(2, 3),
    whole_factors,
)

ML_PROGRAM = Delegate(
    name="Core ML, ML Program",
    sources=(Source("coreml_supported_mlprogram_ops.md", PAGE, SHIPPED), *BUILDERS),
    operators=ML_PROGRAM_OPERATORS,
    types={
        "": frozenset({"float", "float16"}),
        "Cast": frozenset({"int32", "int64", "float", "float16", "bool"}),
        "And": frozenset({"bool"}),
        "Shape": frozenset(),
    },
    rules={
        "Conv": (constant(2),),
        "DepthToSpace": (crd_has_fixed_shape,),
        "Resize": RESIZE,
    },
    notes=(
        "needs Core ML 5 (iOS 15, macOS 12) and the option ModelFormat = MLProgram",
        "shapes that are not fixed are taken, but may be slower",
        "float16 with DepthToSpace in DCR order needs Core ML 7 (iOS 17, macOS 14)",
    ),
)

NEURAL_NETWORK = Delegate(
    name="Core ML, Neural Network",
    sources=(Source("coreml_supported_neuralnetwork_ops.md", PAGE, SHIPPED), *BUILDERS),
    operators=NEURAL_NETWORK_OPERATORS,
    types={"": frozenset({"float"}), "Cast": frozenset(), "Shape": frozenset()},
    rules={
        "Conv": (constant(1, 2),),
        "DepthToSpace": (mode_is("mode", {"DCR"}, USE_DCR),),
        "PRelu": (slopes_per_channel,),
        "Resize": RESIZE,
    },
    notes=(
        "the format that the provider makes unless ModelFormat says otherwise",
        "shapes that are not fixed are taken, but may be slower",
    ),
)
DELEGATES = (ML_PROGRAM, NEURAL_NETWORK)
