"""Half precision: weights and arithmetic in float16, input and output too where asked."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Literal

import numpy as np
import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from edgesr.deploy.heldout import Pair, Values, run_of
from edgesr.errors import ExportError

MIN_PSNR_DB = 60.0
REMEDY = "The network does not fit half precision: leave --fp16 out."


def to_fp16(
    fp32: onnx.ModelProto, pairs: list[Pair], io: Literal["float32", "float16"]
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """`fp32` in half precision, and how far its outputs on `pairs` are from fp32's.

    Args:
        io: type of its input and output.

    Raises:
        ExportError: an output holds NaN or infinity, is constant where fp32's is not, or lies
            within less than 60 dB of fp32's, values in 0..1.
    """
    with warnings.catch_warnings():
        # One for each tensor with weights below 6e-8, which become that; the outputs decide.
        warnings.filterwarnings("ignore", "the float32 number", UserWarning)
        half = convert_float_to_float16(copy.deepcopy(fp32), keep_io_types=io == "float32")
    converted = OnnxModel(half)
    converted.topological_sort()  # the casts at the ends come out of order
    model: onnx.ModelProto = converted.model
    one, other = run_of(fp32), run_of(model)
    worst = min(distance(pair.name, one(pair.lr), other(pair.lr)) for pair in pairs)
    return model, {"psnr_to_fp32_db": round(worst, 2)}


def distance(name: str, fp32: Values, fp16: Values) -> float:
    """PSNR in dB between two outputs for the photograph `name`; see `to_fp16`."""
    if not np.isfinite(fp32).all():
        raise ExportError(
            f"model.onnx gives values that are not finite on {name}", "Train the network again."
        )
    if not np.isfinite(fp16).all():
        raise ExportError(f"fp16 gives values that are not finite on {name}", REMEDY)
    if np.ptp(fp16) == 0 and np.ptp(fp32) > 0:
        raise ExportError(f"fp16 gives the same value everywhere on {name}", REMEDY)
    mse = float(np.mean(np.square(fp32.astype(np.float64) - fp16)))
    psnr_db = -10 * float(np.log10(max(mse, 1e-20)))
    if psnr_db < MIN_PSNR_DB:
        raise ExportError(
            f"fp16 is {psnr_db:.1f} dB from fp32 on {name}, at least {MIN_PSNR_DB:.0f} dB is asked",
            REMEDY,
        )
    return psnr_db
