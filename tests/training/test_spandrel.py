"""Students of architectures that spandrel's registry builds: trained, resumed, exported, proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spandrel
import torch
from PIL import Image

from edgesr import Upscaler
from edgesr.bundle.card import read_card
from edgesr.bundle.check import check
from edgesr.deploy import stage as deploy
from edgesr.errors import EdgesrError, ModelError, TrainingError
from edgesr.models import zoo
from edgesr.models.foreign import ForeignStudent
from edgesr.recipe import Recipe, Spandrel
from edgesr.recipe import io as recipe_io
from edgesr.training import stage
from edgesr.training.preflight import idle_layers
from edgesr.verify import stage as verification
from edgesr.workspace import Workspace
from tests.strangers import write_cubics

SPAN = {"name": "SPAN", "parameters": {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 8}}
SAFMN = {"name": "SAFMN", "parameters": {"dim": 8, "n_blocks": 1}}
COMPACT = {"name": "Compact", "parameters": {"num_feat": 8, "num_conv": 2}}


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(3):
        small = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(small).resize((72, 64), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


def recipe(photographs: Path, model: dict[str, Any], **changes: Any) -> Recipe:
    teacher = photographs.parent / "theirs.onnx"
    write_cubics(teacher, 2)
    raw = {
        "name": "tiny",
        "model": {"arch": "spandrel", "scale": 2} | model,
        "teacher": {"path": str(teacher)},
        "losses": {"teacher_l1": 1.0},
        "data": {"photos": str(photographs), "validation": 1},
        "training": {
            "steps": 3,
            "batch": 2,
            "patch": 32,
            "checkpoint_every": 2,
            "validate_every": 2,
            "device": "cpu",
        },
        "export": {"int8": {"images": 2, "min_channels": 1}},
        "verify": {"size": "20x12", "shapes": [], "runs": 5},
    }
    return Recipe.model_validate(recipe_io.merge(raw, changes))


@pytest.mark.parametrize("model", [SPAN, SAFMN], ids=lambda each: each["name"])
def test_it_is_distilled_exported_and_proved_as_ours_are(
    workspace: Workspace, photographs: Path, model: dict[str, Any]
) -> None:
    run = stage.distill(recipe(photographs, model), workspace)
    spandrel.ModelLoader().load_from_file(run / "model.safetensors")
    (folder,) = deploy.export(run, workspace, ("fp16",))
    assert all(row.passed for row in check(folder))
    card = read_card(folder)
    assert card.spec == Spandrel(scale=2, **model)
    assert (card.architecture, [*card.variants]) == (f"{model['name']} x2", ["fp32", "fp16"])
    lr = np.random.default_rng(1).integers(0, 256, (13, 18, 3), np.uint8)
    with torch.no_grad():
        sr = zoo.load(run / "model.safetensors").module(
            torch.tensor(lr.transpose(2, 0, 1)[None] / 255).float()
        )
    expected = np.floor(255 * sr[0].permute(1, 2, 0).numpy() + 0.5)
    assert np.abs(Upscaler(folder)(lr) - expected).max() <= 1
    evidence = verification.verify(folder, quick=True)
    assert evidence.parity[0].max_abs_diff <= 1e-4
    assert evidence.cost.total.macs > 0
    assert deploy.again(folder, workspace) == folder


def test_eight_bits_are_made_within_the_same_limits(
    workspace: Workspace, photographs: Path
) -> None:
    run = stage.distill(recipe(photographs, COMPACT), workspace)
    (folder,) = deploy.export(run, workspace, ("int8",))
    assert [*read_card(folder).variants] == ["fp32", "int8"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return zoo.load(folder / "model.safetensors").module.state_dict()


def test_resumed_equals_uninterrupted_bit_for_bit(workspace: Workspace, photographs: Path) -> None:
    whole = stage.distill(recipe(photographs, SPAN, name="a"), workspace)
    begun = {"name": "b", "training": {"steps": 2}}
    stage.distill(recipe(photographs, SPAN, **begun), workspace)
    parted = stage.distill(recipe(photographs, SPAN, name="b"), workspace, resume=True)
    ours, theirs = weights(whole), weights(parted)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_public_file_is_fine_tuned(workspace: Workspace, photographs: Path) -> None:
    path = workspace.root / "public.pth"
    spec = Spandrel(scale=2, **COMPACT)  # type: ignore[arg-type]
    module = zoo.build(spec)
    assert isinstance(module, ForeignStudent)
    torch.save(module.model.state_dict(), path)
    changes = {"training": {"init": str(path), "lr": 1e-12}}
    tuned = stage.distill(recipe(photographs, COMPACT, **changes), workspace)
    for key, value in module.state_dict().items():
        assert torch.allclose(weights(tuned)[key], value, atol=1e-6)
    wide = {"name": "Compact", "parameters": {"num_feat": 16, "num_conv": 2}}
    with pytest.raises(ModelError, match=r"public\.pth.*RealESRGAN Compact") as caught:
        stage.distill(recipe(photographs, wide, name="other", **changes), workspace)
    assert "'num_feat': 8" in caught.value.remedy


@pytest.mark.parametrize(
    ("model", "message", "remedy"),
    [
        ({"name": "Span"}, "not a network of spandrel's registry", "Did you mean SPAN?"),
        ({"name": "SPAN"}, "needs num_in_ch, num_out_ch", "channels of a picture are 3"),
        (
            {"name": "SAFMN", "parameters": {"dims": 8}},
            r"parameters\.dims: .* takes no such parameter",
            "Did you mean dim?",
        ),
        (
            {"name": "SAFMN", "parameters": {"dim": 8, "upscaling_factor": 4}},
            r"enlarges 4 times, model\.scale = 2",
            "Set model.scale",
        ),
        (
            {"name": "Compact", "parameters": {"num_feat": -1}},
            "cannot be built and run",
            "num_feat=64",
        ),
        (
            SPAN | {"parameters": SPAN["parameters"] | {"img_range": 1.0}},  # type: ignore[operator]
            "would open as another network, as weights do not show img_range",
            "Leave them",
        ),
        ({"name": "NAFNet"}, "enlarges 1 times", "Set model.scale"),
    ],
)
def test_what_the_registry_does_not_build_is_told_before_any_work(
    workspace: Workspace, photographs: Path, model: dict[str, Any], message: str, remedy: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        stage.distill(recipe(photographs, model), workspace)
    assert remedy in caught.value.remedy
    assert not workspace.run("tiny").exists()


def test_patches_that_it_does_not_take_are_told_with_the_next_that_it_does(
    workspace: Workspace, photographs: Path
) -> None:
    with pytest.raises(TrainingError, match=r"40 is 20 LR pixels.*multiples of 8") as caught:
        stage.distill(recipe(photographs, SAFMN, training={"patch": 40}), workspace)
    assert "training.patch = 48" in caught.value.remedy


def test_layers_that_training_does_not_reach_are_left_alone() -> None:
    student = zoo.build(Spandrel(**SPAN))  # type: ignore[arg-type]
    idle = idle_layers(student)
    assert {name for name, layer in student.named_modules() if layer in idle} == {
        name for name, _ in student.named_modules() if name.endswith("eval_conv")
    }
    assert idle_layers(zoo.build(Spandrel(**COMPACT))) == []  # type: ignore[arg-type]


def test_any_size_is_mirrored_up_as_spandrel_does() -> None:
    torch.manual_seed(0)
    student = ForeignStudent(Spandrel(**SAFMN)).eval()  # type: ignore[arg-type]
    lr = torch.rand(2, 3, 5, 11)
    loaded = spandrel.ModelLoader().load_from_state_dict(dict(student.model.state_dict()))
    with torch.no_grad():
        expected = torch.cat([loaded(each[None]) for each in lr])
        assert torch.allclose(student(lr).clamp(0, 1), expected, atol=1e-6)


def test_a_recipe_that_asks_for_its_features_is_refused(photographs: Path) -> None:
    with pytest.raises(ValueError, match="features edgesr knows"):
        recipe(photographs, SPAN, losses={"feature_affinity": 1.0})


def test_a_received_card_of_a_foreign_spec_builds_nothing(tmp_path: Path) -> None:
    """What a file says of parameters is not called with: its weights tell the network."""
    student = ForeignStudent(Spandrel(**COMPACT))  # type: ignore[arg-type]
    student.spec = Spandrel(name="Compact", parameters={"num_feat": 10**9})
    zoo.save(student, tmp_path / "received.safetensors", licence="MIT")
    assert zoo.load(tmp_path / "received.safetensors").scale == 4
    student.spec = Spandrel(name="Compact", scale=3)
    zoo.save(student, tmp_path / "received.safetensors", licence="MIT")
    with pytest.raises(EdgesrError, match=r"x4.*x3"):
        zoo.load(tmp_path / "received.safetensors")
