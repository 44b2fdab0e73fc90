"""An int8 file with signed activations: XNNPACK takes one type for activations and weights."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgesr.errors import ExportError

HALF = 128
QUANTISERS = ("QuantizeLinear", "DequantizeLinear")


def to_s8s8(int8: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `int8` whose unsigned activations are signed: each integer and its zero point less
    128, so that every value stays what it was.

    Raises:
        ExportError: bytes go from one operation to another as they are.
    """
    model = onnx.ModelProto()
    model.CopyFrom(int8)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    zeros = {node.input[2] for node in graph.node if node.op_type in QUANTISERS}
    for name in sorted(zeros):
        zero = numpy_helper.to_array(constants[name])
        if zero.dtype == np.uint8:
            signed = (zero.astype(np.int16) - HALF).astype(np.int8)
            constants[name].CopyFrom(numpy_helper.from_array(signed, name))
    graph.ClearField("value_info")
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"activations cannot be signed: {error}") from None
    return model
