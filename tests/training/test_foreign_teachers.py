"""Teachers of other projects: ONNX files without a contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from PIL import Image

from edgesr.deploy import stage as deploy
from edgesr.errors import ModelError
from edgesr.models import zoo
from edgesr.recipe import Recipe
from edgesr.training import stage
from edgesr.workspace import Workspace, sha256
from tests.strangers import write_cubics


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(4):
        small = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(small).resize((72, 64), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.onnx"
    write_cubics(path, 2)
    return path


def recipe(photographs: Path, **teacher: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "model": {"arch": "edge", "channels": 4, "depth": 1, "scale": 2},
            "teacher": teacher,
            "losses": {"teacher_l1": 1.0},
            "data": {"photos": str(photographs), "validation": 1},
            "training": {"steps": 3, "batch": 2, "patch": 32, "device": "cpu"},
        }
    )


@pytest.mark.parametrize("once", [False, True])
def test_an_onnx_file_without_a_contract_teaches(
    workspace: Workspace,
    photographs: Path,
    theirs: Path,
    once: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = stage.distill(recipe(photographs, path=str(theirs), once=once), workspace)
    assert "theirs.onnx: x2, nhwc, 0..255" in capsys.readouterr().out
    taught = json.loads((folder / "run.json").read_text())["teacher"]
    assert (taught["name"], taught["sha256"]) == ("theirs", sha256(theirs))
    assert deploy.export(folder, workspace) == [workspace.bundle("tiny")]


def test_it_is_run_on_batches_and_sizes_that_it_does_not_take_itself(theirs: Path) -> None:
    module = zoo.load(theirs).module
    lr = torch.rand(3, 3, 7, 5)
    both = module(lr)
    assert both.shape == (3, 3, 14, 10)
    assert torch.equal(both[1:2], module(lr[1:2]))


def test_a_file_that_makes_no_picture_is_refused(
    workspace: Workspace, photographs: Path, theirs: Path
) -> None:
    model = onnx.load(theirs)
    model.graph.node.append(helper.make_node("Neg", ["y"], ["z"]))
    model.graph.output[0].name = "z"
    onnx.save_model(model, theirs)
    with pytest.raises(ModelError, match="expected at least 15"):
        stage.distill(recipe(photographs, path=str(theirs)), workspace)
