"""Whole runs, tiny, on photographs that are streamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from edgesr.errors import TrainingError
from edgesr.recipe import Recipe
from edgesr.recipe import io as recipe_io
from edgesr.training import stage
from edgesr.training.loop import Interrupted
from edgesr.workspace import Workspace
from tests.streams import write_shards
from tests.training.test_stage import ADVERSARIAL, after, interrupted, log, recipe, weights

pytest.importorskip("webdataset", reason="needs WebDataset (edgesr[stream])")


@pytest.fixture
def pattern(tmp_path: Path) -> str:
    return write_shards(tmp_path / "shards", [4, 3])


def streamed(pattern: str, teacher: Path | None = None, **changes: Any) -> Recipe:
    stream = {"stream": {"crops": 2, "photographs": 3, "workers": 0}}
    changes["data"] = stream | changes.get("data", {})
    return recipe(Path(pattern), teacher, **changes)


@pytest.mark.parametrize("descents", [4, 6 + 2 * 2], ids=["pixel", "gan"])
def test_resumed_equals_uninterrupted_bit_for_bit(
    workspace: Workspace, pattern: str, teacher: Path, descents: int
) -> None:
    whole = stage.distill(streamed(pattern, teacher, name="a", gan=ADVERSARIAL), workspace)
    parted = streamed(pattern, teacher, name="b", gan=ADVERSARIAL)
    with after(descents, interrupted), pytest.raises(Interrupted):
        stage.distill(parted, workspace)
    folder = stage.distill(parted, workspace, resume=True)
    ours, theirs = weights(folder), weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert log(folder) == log(whole)


def test_a_run_may_be_resumed_with_another_number_of_workers(
    workspace: Workspace, pattern: str
) -> None:
    whole = stage.train(streamed(pattern, name="a"), workspace)
    parted = streamed(pattern, name="b")
    with after(3, interrupted), pytest.raises(Interrupted):
        stage.train(parted, workspace)
    stream = {"crops": 2, "photographs": 3, "workers": 1}
    folder = stage.train(
        streamed(pattern, name="b", data={"stream": stream}), workspace, resume=True
    )
    ours, theirs = weights(folder), weights(whole)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"teacher": {"once": True}}, "teacher.once = true"),
        ({"teacher": {"pictures": "made"}}, "teacher.pictures"),
        ({"data": {"degradation": {"kind": "pairs"}, "lr": "lr"}}, "data.degradation.kind"),
    ],
)
def test_what_is_kept_of_every_photograph_is_refused(
    workspace: Workspace, pattern: str, teacher: Path, changes: dict[str, Any], named: str
) -> None:
    plain = streamed(pattern, teacher, losses={"feature_affinity": 0.0}).model_dump()
    asked = Recipe.model_validate(recipe_io.merge(plain, changes))
    with pytest.raises(TrainingError, match=f"{named}.* needs photographs in a folder"):
        stage.distill(asked, workspace)


def test_the_photographs_behind_a_loss_that_is_not_finite_are_named(
    workspace: Workspace, pattern: str
) -> None:
    def spoiled(parameters: list[torch.nn.Parameter]) -> None:
        parameters[0].data.fill_(float("nan"))

    with after(3, spoiled), pytest.raises(TrainingError, match=r"batch: .*\.tar/0\d+\.png"):
        stage.train(streamed(pattern), workspace)


def test_fresh_deletes_no_shard_that_lies_in_the_runs_folder(
    workspace: Workspace, pattern: str
) -> None:
    folder = stage.train(streamed(pattern), workspace)
    inside = write_shards(folder / "samples", [4])
    with pytest.raises(Exception, match="which this command reads, lies inside"):
        stage.train(streamed(inside), workspace, fresh=True)
