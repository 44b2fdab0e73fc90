"""NVIDIA TensorRT by its ONNX parser, which ONNX Runtime's execution provider uses."""

from __future__ import annotations

from edgesr.targets.delegate import USE_EDGESR, Delegate, Fault, Source, mode_is, operators
from edgesr.targets.graph import DEQUANTISE, QUANTISE, Node

OPERATORS = operators("""
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool
    BatchNormalization BlackmanWindow Cast CastLike Ceil Celu Clip Concat Constant ConstantOfShape
    Conv ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Div Dropout Einsum
    Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
    GroupNormalization GRU HammingWindow HannWindow HardSigmoid HardSwish Hardmax Identity If
    ImageScaler InstanceNormalization IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log
    LogSoftmax Loop LRN LSTM LpNormalization LpPool MatMul Max MaxPool Mean
    MeanVarianceNormalization Min Mish Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or Pad
    ParametricSoftplus Pow PRelu QuantizeLinear RandomNormal RandomNormalLike RandomUniform
    RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence
    RMSNormalization RNN RoiAlign RotaryEmbedding Round STFT ScaledTanh Scan Scatter ScatterElements
    ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign
    SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh TensorScatter ThresholdedRelu Tile TopK
    Transpose Trilu Unsqueeze Upsample Where Xor
""")
FLOATS = frozenset({"float", "float16", "bfloat16"})
NUMBERS = FLOATS | {"int32", "int64"}
USE_SYMMETRIC = "Ship s8s8-symmetric (edgesr export --s8s8-symmetric), or fp16, to this target."


def zero_point_is_zero(node: Node) -> Fault | None:
    zero = node.inputs[2] if len(node.inputs) > 2 else None
    if zero is not None and (zero.constant is None or zero.constant.any()):
        return Fault("a zero point other than 0", USE_SYMMETRIC)
    integers = node.outputs[0] if node.op == QUANTISE else node.inputs[0]
    if integers.type in ("", "int8"):
        return None
    return Fault(f"quantised values of type {integers.type}, documented is int8", USE_SYMMETRIC)


TENSORRT = Delegate(
    name="TensorRT",
    sources=(
        Source(
            "ONNX-TensorRT, Supported ONNX Operators",
            "https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md",
            "TensorRT 10.15",
        ),
        Source(
            "TensorRT Execution Provider",
            "https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html",
            "undated",
        ),
        Source(
            "TensorRT, ONNX Opset Guide",
            "https://docs.nvidia.com/deeplearning/tensorrt/latest/reference/onnx-opset-guide.html",
            "TensorRT 11.x (highest opset there: 25)",
        ),
    ),
    operators=OPERATORS,
    types={
        "": FLOATS,
        **dict.fromkeys(
            operators("Add Sub Mul Div Min Max Neg Pow Relu DepthToSpace Pad"), NUMBERS
        ),
        **dict.fromkeys(
            operators(
                "Concat Expand Flatten Gather Identity Reshape Shape Slice Split Squeeze "
                "Tile Transpose Unsqueeze Where And Or Not Xor Equal Greater Less"
            ),
            NUMBERS | {"bool"},
        ),
        "Cast": NUMBERS | {"uint8", "bool"},
        QUANTISE: FLOATS | {"int8", "uint8"},
        DEQUANTISE: FLOATS | {"int8", "uint8", "int32"},  # of which the rule takes int8 alone
    },
    rules={
        "Resize": (
            mode_is("mode", {"nearest", "linear"}, USE_EDGESR),
            mode_is("antialias", {0}, USE_EDGESR),
            mode_is("keep_aspect_ratio_policy", {"stretch"}, USE_EDGESR),
        ),
        QUANTISE: (zero_point_is_zero,),
        DEQUANTISE: (zero_point_is_zero,),
    },
    opsets=(9, 24),
    notes=(
        "shapes that are not fixed are taken; give trt_profile_min_shapes, _opt_ and _max_, or an "
        "engine is built anew for each size outside those seen",
        "uint8 is documented for inputs and outputs of the network, and for Cast, only",
        "what it leaves goes to CUDA, where that is registered",
    ),
)
DELEGATES = (TENSORRT,)
