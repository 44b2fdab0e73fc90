"""An ONNX file against the network that it is said to be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from edgesr.errors import VerifyError
from edgesr.models import zoo
from edgesr.recipe import Edge, Scale
from edgesr.verify.reference import against
from tests.commands import run


def other(folder: Path, scale: Scale = 4) -> Path:
    torch.manual_seed(7)
    path = folder / "other.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1, scale=scale)), path, licence="MIT")
    return path


def test_a_file_is_what_it_was_exported_from(made: Path) -> None:
    assert against(made, made / "weights.safetensors").max_abs_diff <= 1e-5
    assert against(made, made / "model.onnx").max_abs_diff == 0


def test_another_network_and_another_scale_are_seen(made: Path, tmp_path: Path) -> None:
    found = against(made, other(tmp_path))
    assert found.max_abs_diff > 1e-3
    assert found.min_psnr_db is not None
    with pytest.raises(VerifyError, match="enlarges x2"):
        against(made, other(tmp_path, 2))


def test_the_command_fails_against_another_network(made: Path, tmp_path: Path) -> None:
    shutil.copyfile(made / "model.onnx", tmp_path / "theirs.onnx")
    other(tmp_path)
    words = ["verify", "theirs.onnx", "--quick", "--colour", "rgb"]
    _, said = run(tmp_path, *words)
    assert "no reference" in said
    code, said = run(tmp_path, *words, "--reference", "other.safetensors")
    assert code == 1
    assert "FAILED: it differs from" in said
