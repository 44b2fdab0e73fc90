"""ONNX Runtime Web: WebAssembly, WebGPU and WebNN."""

from __future__ import annotations

from edgesr.targets.delegate import USE_EDGESR, Delegate, Source, constant, mode_is, operators

WEB = "onnxruntime-web 1.30.0"
DOCS = "https://github.com/microsoft/onnxruntime/blob/main/js/web/docs/"
README = Source(
    "ONNX Runtime Web, Operators and Compatibility",
    "https://github.com/microsoft/onnxruntime/blob/main/js/web/README.md",
    WEB,
)

WEBGPU_OPERATORS = operators("""
    Abs Acos Acosh Add ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil
    Clip Concat Conv ConvTranspose Cos Cosh CumSum DFT DepthToSpace DequantizeLinear Div Einsum Elu
    Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
    GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid HardSwish If InstanceNormalization
    LayerNormalization LeakyRelu Less LessOrEqual Log MatMul MaxPool Mul Neg Not Pad Pow Range
    Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ScatterND Shape Sigmoid
    SimplifiedLayerNormalization Sin Sinh Slice Softmax Split Sqrt Squeeze Sub Tan Tanh
    ThresholdedRelu Tile Transpose Unsqueeze Where
    com.microsoft:FusedConv com.microsoft:Gelu com.microsoft:QuickGelu com.microsoft:FastGelu
""")
WEBNN_OPERATORS = operators("""
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Conv ConvInteger
    ConvTranspose Cos CumSum Div DepthToSpace DequantizeLinear Dropout DynamicQuantizeLinear Einsum
    Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool GlobalMaxPool GlobalLpPool Greater GreaterOrEqual GRU HardSigmoid HardSwish
    Identity InstanceNormalization IsNaN IsInf LayerNormalization LeakyRelu Less LessOrEqual Log
    LpNormalization LpPool LRN LSTM MatMul MatMulInteger Max MaxPool Min Mul Neg Not Or Pad Pow
    PRelu QuantizeLinear Reciprocal Round ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ScatterElements
    ScatterND Shape SimplifiedLayerNormalization Sigmoid Sign Softplus Softsign Sin Slice Softmax
    Split Sqrt Squeeze Sub Tan Tanh Tile Transpose Trilu Unsqueeze Where Xor
""")

WASM = Delegate(
    name="Web, WASM",
    sources=(README,),
    operators=None,
    notes=("takes all operators of ONNX",),
)
WEBGPU = Delegate(
    name="Web, WebGPU",
    sources=(Source("webgpu-operators.md", DOCS + "webgpu-operators.md", WEB), README),
    operators=WEBGPU_OPERATORS,
    notes=(
        "element types per operator and limits on shapes are not documented; they are not checked",
        "float16 needs Chrome 121 or Edge 122",
    ),
)
WEBNN = Delegate(
    name="Web, WebNN",
    sources=(
        Source("webnn-operators.md", DOCS + "webnn-operators.md", WEB),
        Source(
            "WebNN Execution Provider",
            "https://onnxruntime.ai/docs/execution-providers/WebNN-ExecutionProvider.html",
            "2026",
        ),
    ),
    operators=WEBNN_OPERATORS,
    rules={
        "Resize": (
            mode_is("mode", {"nearest", "linear"}, USE_EDGESR),
            mode_is("antialias", {0}, USE_EDGESR),
            mode_is("exclude_outside", {0}, USE_EDGESR),
            mode_is("keep_aspect_ratio_policy", {"stretch"}, USE_EDGESR),
            constant(2, 3),
        )
    },
    notes=(
        "experimental, behind a flag in most browsers, which decide what really runs",
        "whether shapes that are not fixed are taken is not documented; the session option "
        "freeDimensionOverrides fixes them",
    ),
)
DELEGATES = (WASM, WEBGPU, WEBNN)
