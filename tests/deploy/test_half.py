"""Half precision: what is refused, and that the file says the truth of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgesr.deploy.half import distance, to_fp16
from edgesr.deploy.heldout import Pair
from edgesr.errors import ExportError

GOOD = np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 3, 4, 4)


def pairs() -> list[Pair]:
    lr = np.random.default_rng(0).random((1, 3, 16, 12), dtype=np.float32)
    return [Pair("noise", np.zeros((64, 48, 3), np.uint8), lr)]


def test_weights_are_half_as_large_and_the_ends_stay_float32(made: Path) -> None:
    fp32, fp16 = (onnx.load(made / name) for name in ("model.onnx", "model.fp16.onnx"))
    kinds = {t.data_type for t in fp16.graph.initializer if len(t.dims) == 4 and t.dims[1] > 1}
    assert kinds == {TensorProto.FLOAT16}
    for value in (fp16.graph.input[0], fp16.graph.output[0]):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    assert len(fp16.graph.initializer) >= len(fp32.graph.initializer)


def test_how_far_it_is_from_fp32_is_told(made: Path) -> None:
    _, facts = to_fp16(onnx.load(made / "model.onnx"), pairs(), "float32")
    assert facts["psnr_to_fp32_db"] > 60


def test_asked_for_the_ends_are_float16_and_nothing_casts(made: Path) -> None:
    model, facts = to_fp16(onnx.load(made / "model.onnx"), pairs(), "float16")
    onnx.checker.check_model(model, full_check=True)
    for value in (model.graph.input[0], model.graph.output[0]):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT16
    assert "Cast" not in {node.op_type for node in model.graph.node}
    assert facts["psnr_to_fp32_db"] > 60


def test_weights_beyond_half_precision_are_refused(made: Path) -> None:
    model = onnx.load(made / "model.onnx")
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 4:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(3e4), tensor.name))
    with pytest.raises(ExportError, match="fp16"):
        to_fp16(model, pairs(), "float32")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (np.full_like(GOOD, np.nan), "not finite"),
        (np.full_like(GOOD, np.inf), "not finite"),
        (np.full_like(GOOD, 0.5), "same value everywhere"),
        (GOOD + np.float32(0.01), "40.0 dB from fp32"),
    ],
)
def test_an_output_that_is_wrong_is_refused_by_name(output: np.ndarray, reason: str) -> None:
    with pytest.raises(ExportError, match=reason):
        distance("a photograph", GOOD, output)


def test_a_float_network_that_gives_nan_is_no_reference() -> None:
    """NaN is neither below nor above 60 dB."""
    with pytest.raises(ExportError, match=r"model\.onnx gives values that are not finite"):
        distance("a photograph", np.full_like(GOOD, np.nan), GOOD)
