"""One run of a model file's session, floats in float32 whatever type the file takes; no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

HALF = "tensor(float16)"


def infer(session: onnxruntime.InferenceSession, lr: NDArray[Any]) -> NDArray[Any]:
    """`sr` of `lr`, as the file's layout and range have them: both float32, or both bytes.

    A file with float16 inputs and outputs gets `lr` rounded to that, and its output widened.
    ONNX Runtime's own errors pass through.
    """
    if session.get_inputs()[0].type != HALF:
        sr: NDArray[Any] = session.run(["sr"], {"lr": lr})[0]
        return sr
    sr = session.run(["sr"], {"lr": lr.astype(np.float16)})[0]
    return sr.astype(np.float32)
