"""A tiny bundle with every variant, exported once; the conversions are stand-ins."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgesr.deploy import bundle, variants
from edgesr.models import zoo
from edgesr.recipe import Edge, Recipe
from edgesr.workspace import Workspace


def rounded(fp32: onnx.ModelProto, dtype: type[np.floating]) -> onnx.ModelProto:
    """`fp32` with its weights rounded to `dtype`, in float32 all the same."""
    model = onnx.ModelProto.FromString(fp32.SerializeToString())
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            low = values.astype(dtype).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(low, tensor.name))
    return model


def with_bytes(fp32: onnx.ModelProto) -> onnx.ModelProto:
    """`fp32` between conversions from and to RGB bytes."""
    graph = onnx.GraphProto.FromString(fp32.graph.SerializeToString())
    for node in graph.node:
        node.input[:] = ["values" if name == "lr" else name for name in node.input]
        node.output[:] = ["raw" if name == "sr" else name for name in node.output]
    constants = {"full": 255, "half": 0.5, "zero": 0, "one": 1}
    before = [
        helper.make_node("Cast", ["lr"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["planes", "full"], ["values"]),
    ]
    after = [
        helper.make_node("Clip", ["raw", "zero", "one"], ["clipped"]),
        helper.make_node("Mul", ["clipped", "full"], ["scaled"]),
        helper.make_node("Add", ["scaled", "half"], ["raised"]),
        helper.make_node("Floor", ["raised"], ["levels"]),
        helper.make_node("Cast", ["levels"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["sr"], perm=[0, 2, 3, 1]),
    ]
    names = {"lr": ["batch", "height", "width", 3], "sr": ["batch", "H", "W", 3]}
    lr, sr = (helper.make_tensor_value_info(n, TensorProto.UINT8, s) for n, s in names.items())
    held = [numpy_helper.from_array(np.float32(v), name) for name, v in constants.items()]
    whole = helper.make_graph(
        [*before, *graph.node, *after], "bytes", [lr], [sr], [*graph.initializer, *held]
    )
    return helper.make_model(whole, opset_imports=fp32.opset_import, ir_version=fp32.ir_version)


def convert(
    name: str, fp32: onnx.ModelProto, _recipe: Recipe
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    if name == "uint8-io":
        return with_bytes(fp32), {}
    if name == "fp16":
        return rounded(fp32, np.float16), {}
    return rounded(fp32, np.float16), {"float_layers": ["head"]}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with all four variants, never to be written to."""
    workspace = Workspace(tmp_path_factory.mktemp("made"))
    torch.manual_seed(0)
    path = workspace.root / "model.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="MIT")
    recipe = Recipe(name="tiny", model=Edge(channels=4, depth=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variants, "convert", convert)
        return bundle.write_bundle(
            zoo.load(path),
            recipe,
            workspace,
            role="student",
            teacher=None,
            extras=[],
            variants=("fp16", "int8", "uint8-io"),
        )


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of `made` that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "tiny"))
