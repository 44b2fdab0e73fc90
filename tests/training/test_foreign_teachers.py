"""Teachers of other projects: ONNX files without a contract, and folders of ready pictures."""

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
from pydantic import ValidationError

from edgesr.data.patches import PatchCache
from edgesr.deploy import stage as deploy
from edgesr.errors import DataError, ModelError
from edgesr.models import zoo
from edgesr.recipe import Recipe
from edgesr.recipe import io as recipe_io
from edgesr.training import stage
from edgesr.training.teacher_pictures import find_pictures, picture_targets
from edgesr.workspace import Workspace, sha256
from tests.strangers import write_cubics


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
    assert "theirs.onnx: x2, nhwc, " in capsys.readouterr().out
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


@pytest.fixture
def pictures(photographs: Path, tmp_path: Path) -> Path:
    """What some program made of the photographs, halved: a format and suffix of its own."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in photographs.iterdir():
        with Image.open(path) as image:
            half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
            large = half.resize(image.size, Image.Resampling.BICUBIC)
        large.save(folder / f"{path.stem}x2.webp", lossless=True)
    return folder


def taught(photographs: Path, pictures: Path) -> Recipe:
    return recipe(photographs, pictures=str(pictures))


def test_ready_pictures_teach(
    workspace: Workspace,
    photographs: Path,
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = stage.distill(taught(photographs, pictures), workspace)
    said = capsys.readouterr().out
    assert f"1 pictures in {pictures} are of no photograph that trains" in said
    assert f"pictures in {pictures}: " in said
    record = json.loads((folder / "run.json").read_text())
    assert record["teacher"]["name"] == "pictures"
    assert record["teacher"]["architecture"] == "ready pictures"
    (bundle,) = deploy.export(folder, workspace)
    assert str(pictures) not in (bundle / "recipe.toml").read_text()


def test_they_are_kept_photograph_by_photograph_as_they_are(
    photographs: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "cache"))
    paths = sorted(photographs.iterdir())
    found = find_pictures(taught(photographs, pictures), paths)
    assert found is not None
    targets = picture_targets(PatchCache.open(paths, patch=32, scale=2), found)
    whole = [np.asarray(Image.open(pictures / f"{path.stem}x2.webp")) for path in paths]
    expected = np.concatenate([picture.reshape(-1, 3) for picture in whole])
    assert np.array_equal(targets.numpy(), expected)


def test_a_photograph_without_a_picture_is_named_before_anything_is_decoded(
    workspace: Workspace, photographs: Path, pictures: Path
) -> None:
    (pictures / "1x2.webp").unlink()
    with pytest.raises(
        DataError, match=r"1 of 3 photographs have no picture in .*: 1\.png"
    ) as caught:
        stage.distill(taught(photographs, pictures), workspace)
    assert "0001x2.png" in caught.value.remedy


def test_a_picture_of_another_size_is_refused(
    workspace: Workspace, photographs: Path, pictures: Path
) -> None:
    Image.new("RGB", (36, 32)).save(pictures / "1x2.webp")
    with pytest.raises(DataError, match=r"1x2\.webp has 36 x 32 pixels, .*1\.png 72 x 64"):
        stage.distill(taught(photographs, pictures), workspace)


def test_two_pictures_of_one_name_are_refused(
    workspace: Workspace, photographs: Path, pictures: Path
) -> None:
    for suffix in ("png", "jpg"):
        Image.new("RGB", (72, 64)).save(pictures / f"1.{suffix}")
    with pytest.raises(DataError, match=r"two pictures in .* are called 1"):
        stage.distill(taught(photographs, pictures), workspace)


def test_pictures_of_another_order_of_colours_are_refused(
    workspace: Workspace, photographs: Path, pictures: Path
) -> None:
    for path in pictures.iterdir():
        turned = np.asarray(Image.open(path))[..., ::-1]
        Image.fromarray(np.ascontiguousarray(turned)).save(path, lossless=True)
    with pytest.raises(ModelError, match=r"make no sense beside their photographs: .*BGR"):
        stage.distill(taught(photographs, pictures), workspace)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"losses": {"feature_affinity": 1.0}}, "feature_affinity needs a network that teaches"),
        ({"training": {"init": "teacher"}}, "needs a network, not teacher.pictures"),
        ({"data": {"degradation": {"kind": "real"}}}, "data.degradation.drawn = 0"),
    ],
)
def test_what_pictures_cannot_do_is_told_by_the_recipe(change: dict[str, Any], fault: str) -> None:
    raw = recipe(Path("photographs"), pictures="DIR").model_dump(exclude_none=True)
    with pytest.raises(ValidationError, match=fault):
        Recipe.model_validate(recipe_io.merge(raw, change))
