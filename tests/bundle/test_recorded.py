"""Weights that changed after they were written are not used as a model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgesr.blend import blend
from edgesr.bundle import checksums
from edgesr.bundle.recorded import check_recorded
from edgesr.deploy.stage import export
from edgesr.errors import BundleError, EdgesrError, ModelError
from edgesr.models import zoo
from edgesr.quality.evaluate import upscaler_for
from edgesr.recipe import Edge
from edgesr.training.initialise import find_start
from edgesr.workspace import Workspace, sha256
from tests.runs import write_run

SPEC = Edge(channels=4, depth=1)
Use = Callable[[Path, Workspace], object]


@pytest.fixture
def run(workspace: Workspace) -> Path:
    """A finished run named "a"."""
    return write_run(workspace, {"name": "a", "model": SPEC.model_dump()})


def flip(path: Path) -> None:
    """One bit of the last weight, as a failing disk or a bad cable would."""
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "use",
    [
        lambda run, workspace: export(run, workspace),
        lambda _, workspace: blend("a", "a", 0.5, workspace, "b"),
        lambda run, _: upscaler_for(run),
        lambda run, workspace: find_start(SPEC, str(run), None, workspace),
        lambda run, _: zoo.load(run / "model.safetensors"),
    ],
    ids=["export", "blend", "evaluate", "init", "teacher"],
)
def test_a_flipped_bit_in_a_runs_weights_is_told_wherever_they_are_read(
    run: Path, workspace: Workspace, use: Use
) -> None:
    flip(run / "model.safetensors")
    with pytest.raises(ModelError, match=r"not the file that was written there.*run\.json states"):
        use(run, workspace)


def test_a_flipped_bit_in_a_bundles_weights_is_told_without_a_run_too(
    run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in ("weights.safetensors", "model.onnx"):
        shutil.copyfile(run / "model.safetensors", folder / name)
    checksums.write_checksums(folder)
    flip(folder / "weights.safetensors")
    flip(folder / "model.onnx")
    with pytest.raises(BundleError, match="SHA256SUMS states"):
        zoo.load(folder / "weights.safetensors")
    for path in (folder, folder / "model.onnx"):
        with pytest.raises(BundleError, match="SHA256SUMS states"):
            upscaler_for(path)


def test_a_file_beside_another_runs_record_and_one_of_its_own_are_taken(run: Path) -> None:
    own = run / "own.safetensors"
    shutil.copyfile(run / "model.safetensors", own)
    flip(own)
    assert check_recorded(own) == sha256(own)
    assert check_recorded(run / "model.safetensors") == sha256(run / "model.safetensors")


def test_a_record_that_cannot_be_read_is_named(run: Path) -> None:
    (run / "run.json").write_text("{")
    with pytest.raises(EdgesrError, match=r"run\.json cannot be read"):
        zoo.load(run / "model.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_weights_that_no_training_ends_with_are_refused_and_the_layer_is_named(
    tmp_path: Path, value: float
) -> None:
    module = zoo.build(SPEC)
    with torch.no_grad():
        module.tail.conv.bias[0] = value  # type: ignore[union-attr]
    zoo.save(module, tmp_path / "t.safetensors", licence="MIT")
    with pytest.raises(ModelError, match=r"tail\.conv\.bias has weights of (nan|inf|1e\+38)"):
        zoo.load(tmp_path / "t.safetensors")
