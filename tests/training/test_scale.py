"""An edge student that begins from one of another scale."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from edgesr.data import photos
from edgesr.data.degrade import pair, to_tensor
from edgesr.errors import ModelError, TrainingError
from edgesr.models import zoo
from edgesr.recipe import Edge, Recipe
from edgesr.training.initialise import find_start
from edgesr.training.preflight import check_teacher
from edgesr.training.scale import change_scale
from edgesr.workspace import Workspace

SHIPPED = Path(__file__).parents[2] / "exports/edge-xs/weights.safetensors"


@pytest.mark.parametrize("scale", [2, 3])
@torch.no_grad()
def test_it_begins_above_nearest_neighbour_on_a_photograph_that_it_has_not_seen(
    scale: int,
) -> None:
    source = zoo.load(SHIPPED)
    assert isinstance(source.spec, Edge)
    student = zoo.build(source.spec.model_copy(update={"scale": scale}))
    embedded = photos.embedded()
    pairs = [pair(photos.decode(path)[:192, :192], scale) for path in embedded.train[:3]]
    change_scale(student, source.module, [(to_tensor(lr), to_tensor(hr)) for hr, lr in pairs])
    hr, lr = map(to_tensor, pair(photos.decode(embedded.validation[0])[:240, 120:360], scale))
    nearest = F.interpolate(lr, scale_factor=float(scale))
    assert F.mse_loss(student(lr), hr) < 0.7 * F.mse_loss(nearest, hr)


def test_of_another_depth_and_scale_at_once_it_does_not_begin(workspace: Workspace) -> None:
    path = workspace.root / "model.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=2)), path, licence="MIT")
    assert find_start(Edge(scale=2, channels=4, depth=2), str(path), None, workspace).way == "scale"
    with pytest.raises(ModelError, match="of the same width and depth and another scale"):
        find_start(Edge(scale=2, channels=4, depth=3), str(path), None, workspace)


def test_a_teacher_of_another_scale_is_refused_with_both_numbers(workspace: Workspace) -> None:
    path = workspace.root / "model.safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), path, licence="MIT")
    raw = {
        "name": "small",
        "model": {"arch": "edge", "scale": 2},
        "teacher": {"path": str(path)},
        "losses": {"teacher_l1": 1.0},
    }
    with pytest.raises(TrainingError, match=r"enlarges 4 times, the student of recipe 'small' 2"):
        check_teacher(Recipe.model_validate(raw), zoo.load(path))
