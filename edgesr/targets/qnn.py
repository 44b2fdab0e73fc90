"""Qualcomm's HTP backend by the QNN execution provider of ONNX Runtime."""

from __future__ import annotations

from edgesr.targets.delegate import USE_EDGESR, Delegate, Source, mode_is, operators

OPERATORS = operators("""
    Abs Add And ArgMax ArgMin Asin Atan AveragePool BatchNormalization Cast CastLike Ceil Clip
    Concat Conv ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Einsum Elu Equal Exp
    Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool
    Greater GreaterOrEqual GridSample GRU GroupNormalization HardSigmoid HardSwish If Identity
    InstanceNormalization Inverse IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log
    LogSoftmax LpNormalization LpPool MatMul Max MaxPool Mean Min Mod Mul Neg NonMaxSuppression
    NonZero Not Or OneHot PRelu Pad Pow QLinearMatMul QuantizeLinear RandomNormalLike
    RandomUniformLike Range Reciprocal ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum Relu RMSNormalization Reshape Resize RoiAlign Round RotaryEmbedding STFT
    ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Slice Softmax Softplus SpaceToDepth Split
    Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze Upsample Where Xor
    com.microsoft:DequantizeLinear com.microsoft:FusedMatMul com.microsoft:Gelu
    com.microsoft:MatMulNBits com.microsoft:QuantizeLinear com.microsoft:RMSNormalization
    com.microsoft:QuickGelu com.microsoft:RotaryEmbedding
    com.microsoft:SimplifiedLayerNormalization
""")

QNN = Delegate(
    name="QNN, HTP",
    sources=(
        Source(
            "QNN Execution Provider, supported ONNX operators and model requirements",
            "https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html",
            "the page of the repository onnxruntime-qnn, 2026 (QAIRT SDK 2.48 or later)",
        ),
        Source(
            "ONNX Runtime source, QNN: resize_op_builder.cc",
            "https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/core/providers/qnn",
            "2022; later ones not seen",
        ),
    ),
    operators=OPERATORS,
    rules={
        "Resize": (
            mode_is("mode", {"nearest", "linear"}, USE_EDGESR),
            mode_is("nearest_mode", {"floor"}, USE_EDGESR),
        )
    },
    units=True,
    fixed=True,
    notes=(
        "fp32 files run in half precision: the option enable_htp_fp16_precision is on unless unset",
        "element types per operator are in Qualcomm's HtpOpDefSupplement; they are not checked",
        "the order of DepthToSpace is not documented as a limit",
    ),
)
DELEGATES = (QNN,)
