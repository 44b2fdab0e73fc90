"""The variant that takes and gives bytes: the float path's bytes, to the last one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgesr.inference.tiling import to_bytes, to_values


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", [(1, 1), (9, 17), (40, 24)])
def test_its_bytes_are_those_of_the_float_file(made: Path, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels[0, 0] = 0, 128, 255
    expected = session(made / "model.onnx").run(["sr"], {"lr": to_values(pixels[None])})[0]
    found = session(made / "model.uint8-io.onnx").run(["sr"], {"lr": pixels[None]})[0]
    assert expected.min() < 0 or expected.max() > 1 or size == (1, 1)  # so that clipping is seen
    np.testing.assert_array_equal(found, to_bytes(expected).transpose(0, 2, 3, 1))


def test_it_names_its_axes_and_takes_batches(made: Path) -> None:
    model = session(made / "model.uint8-io.onnx")
    assert model.get_inputs()[0].shape == ["batch", "height", "width", 3]
    assert model.get_outputs()[0].shape == ["batch", "4*height", "4*width", 3]
    assert model.get_outputs()[0].type == "tensor(uint8)"
    assert model.run(["sr"], {"lr": np.zeros((3, 5, 4, 3), np.uint8)})[0].shape == (3, 20, 16, 3)
