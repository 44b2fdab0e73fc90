"""A session gets the floats that its file takes, and what comes back is float32 or bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgesr import Upscaler
from edgesr.inference.infer import infer


@pytest.mark.parametrize(
    ("name", "kind"),
    [("model.onnx", "tensor(float)"), ("model.fp16.onnx", "tensor(float16)")],
)
def test_floats_are_cast_to_what_the_file_takes_and_back(half: Path, name: str, kind: str) -> None:
    session = onnxruntime.InferenceSession(half / name, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == kind
    lr = np.random.default_rng(0).random((2, 3, 9, 7), dtype=np.float32)
    sr = infer(session, lr)
    assert (sr.dtype, sr.shape) == (np.float32, (2, 3, 36, 28))
    plain = onnxruntime.InferenceSession(half / "model.onnx", providers=["CPUExecutionProvider"])
    assert np.abs(sr - infer(plain, lr)).max() < 5e-3


def test_bytes_stay_bytes(made: Path) -> None:
    path = made / "model.uint8-io.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert infer(session, np.zeros((1, 4, 5, 3), np.uint8)).dtype == np.uint8


def test_the_upscaler_takes_a_file_with_float16_ends_as_any_other(half: Path) -> None:
    small = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    one, other = (Upscaler(half, variant=v, threads=1)(small) for v in ("fp32", "fp16"))
    assert np.abs(one.astype(int) - other).max() <= 1
    tiled = Upscaler(half, variant="fp16", threads=1, tile=8)(small)
    assert np.abs(tiled.astype(int) - other).max() <= 1
