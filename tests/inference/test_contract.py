"""An ONNX file is tried once when it is opened: it keeps to its metadata, or it is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edgesr import Upscaler
from edgesr.errors import ModelError
from edgesr.inference.contract import BOUNDS
from edgesr.inference.upscale_files import upscale_file
from edgesr.quality.evaluate import upscaler_for

FACTS = {"scale": "4", "halo": "1", "min_size": "1", "layout": "NCHW", "range": "0..1"}
FLOAT, INTEGERS = TensorProto.FLOAT, TensorProto.INT32


def save(
    path: Path, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], **facts: str
) -> Path:
    cast = any(node.op_type == "Cast" for node in nodes)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("lr", FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("sr", INTEGERS if cast else FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    props = FACTS | facts
    helper.set_model_props(model, {f"edgesr.{key}": value for key, value in props.items()})
    onnx.save(model, path)
    return path


def nearest(
    path: Path, *after: onnx.NodeProto, weights: dict[str, np.ndarray] | None = None, **facts: str
) -> Path:
    """A file that repeats each pixel 4 x 4 times; `after` makes `sr` of `x`."""
    repeat = np.tile(np.eye(3, dtype=np.float32)[:, None], (1, 16, 1)).reshape(48, 3, 1, 1)
    nodes = [
        helper.make_node("Conv", ["lr", "w"], ["y"]),
        helper.make_node("DepthToSpace", ["y"], ["x" if after else "sr"], blocksize=4, mode="CRD"),
        *after,
    ]
    return save(path, nodes, {"w": repeat, **(weights or {})}, **facts)


ODD: dict[str, tuple[list[onnx.NodeProto], dict[str, np.ndarray], str]] = {
    "identity": (
        [helper.make_node("Identity", ["lr"], ["sr"])],
        {},
        r"returned float32 \(1, 3, 8, 9\), expected float32 \(1, 3, 32, 36\)",
    ),
    "scalar": (
        [helper.make_node("ReduceMean", ["lr"], ["sr"], keepdims=0)],
        {},
        r"returned float32 \(\), expected",
    ),
    "six channels": (
        [
            helper.make_node("Concat", ["lr", "lr"], ["a"], axis=1),
            helper.make_node("Resize", ["a", "", "s"], ["sr"]),
        ],
        {"s": np.array([1, 1, 4, 4], np.float32)},
        r"returned float32 \(1, 6, 32, 36\), expected",
    ),
    "integers": (
        [
            helper.make_node("Resize", ["lr", "", "s"], ["a"]),
            helper.make_node("Cast", ["a"], ["sr"], to=INTEGERS),
        ],
        {"s": np.array([1, 1, 4, 4], np.float32)},
        r"returned int32 \(1, 3, 32, 36\), expected float32",
    ),
    "fails": (
        [helper.make_node("Reshape", ["lr", "s"], ["sr"])],
        {"s": np.array([7, 7], np.int64)},
        "it fails: ",
    ),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("opened", [Upscaler, upscaler_for], ids=["upscale", "evaluate"])
def test_a_graph_that_is_no_upscaler_is_refused_in_one_line(
    tmp_path: Path, kind: str, opened: Callable[[Path], object]
) -> None:
    nodes, weights, reason = ODD[kind]
    path = save(tmp_path / "odd.onnx", nodes, weights)
    with pytest.raises(ModelError, match=reason) as caught:
        opened(path)
    assert caught.value.message.startswith(f"{path} is not the x4 RGB model that its metadata say")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("scale", ["2", "3", "8"])
def test_metadata_of_another_scale_are_refused_with_what_was_returned(
    tmp_path: Path, scale: str
) -> None:
    path = nearest(tmp_path / "model.onnx", scale=scale)
    with pytest.raises(ModelError, match=rf"x{scale} RGB model .* \(1, 3, 32, 36\), expected"):
        Upscaler(path)


@pytest.mark.parametrize("key", BOUNDS)
@pytest.mark.parametrize("value", ["-4", "1000000000", "9" * 5000])
def test_metadata_beyond_all_bounds_are_refused(tmp_path: Path, key: str, value: str) -> None:
    path = nearest(tmp_path / "model.onnx", **{key: value})
    with pytest.raises(ModelError, match=rf"edgesr\.{key} = -?\d+, expected \d\.\.\d+$"):
        Upscaler(path)


@pytest.mark.parametrize("value", ["0", "0.5", "four", ""])
def test_a_scale_that_is_no_scale_is_refused(tmp_path: Path, value: str) -> None:
    path = nearest(tmp_path / "model.onnx", scale=value)
    with pytest.raises(ModelError, match=r"edgesr\.scale = 0|state no contract"):
        Upscaler(path)


@pytest.mark.parametrize(
    "name",
    [
        *("identity", "scalar", "wrongchannels", "nan"),
        *(f"meta_scale{kind}" for kind in ("0", "2", "8", "neg", "huge")),
    ],
)
def test_the_files_that_were_tried_are_refused(shared: Path, name: str) -> None:
    path = shared / "cases" / f"{name}.onnx"
    with pytest.raises(ModelError, match=re.escape(str(path))) as caught:
        Upscaler(path)
    assert "\n" not in caught.value.message


def breaking(path: Path) -> Path:
    """Gives NaN where the picture is white, the square root of 0.75 - x elsewhere."""
    return nearest(
        path,
        helper.make_node("Sub", ["most", "x"], ["left"]),
        helper.make_node("Sqrt", ["left"], ["sr"]),
        weights={"most": np.array(0.75, np.float32)},
    )


@pytest.mark.parametrize("tile", [5, 99], ids=["tiles", "whole"])
def test_what_is_no_number_is_an_error_that_names_file_and_place(tmp_path: Path, tile: int) -> None:
    path = breaking(tmp_path / "model.onnx")
    lr = np.zeros((20, 30, 3), np.uint8)
    lr[13, 22] = 255
    with pytest.raises(ModelError, match=r"model\.onnx returned NaN .* at pixel 88, 52 of the"):
        Upscaler(path, threads=1, tile=tile)(lr)
    Image.fromarray(lr).save(tmp_path / "small.png")
    with pytest.raises(ModelError, match="returned NaN"):
        upscale_file(Upscaler(path, threads=1), tmp_path / "small.png", tmp_path / "big.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "small.png"]


def test_evaluation_names_the_picture_for_which_a_model_gives_no_number(tmp_path: Path) -> None:
    import torch

    from edgesr.models.zoo import SRModel
    from edgesr.quality.evaluate import evaluate, torch_upscaler

    path = breaking(tmp_path / "model.onnx")
    pictures = [("black", np.zeros((40, 40, 3), np.uint8)), ("white", np.full((40, 40, 3), 255))]
    images = [(name, picture.astype(np.uint8)) for name, picture in pictures]
    with pytest.raises(ModelError, match=r"white: .*model\.onnx returned NaN .* at pixel 0, 0"):
        evaluate(upscaler_for(path), images, lpips=None)

    class Broken(torch.nn.Module):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return lr / 0

    model = SRModel(Broken(), None, "Broken", path, "", "MIT", 4)
    with pytest.raises(ModelError, match="black: the network returned NaN or infinity"):
        evaluate(torch_upscaler(model), images, lpips=None)


def test_a_fifo_or_device_as_model_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    for path in (tmp_path, tmp_path / "model.onnx", Path("/dev/zero")):
        with pytest.raises(ModelError, match="is not a regular file"):
            Upscaler(path)
