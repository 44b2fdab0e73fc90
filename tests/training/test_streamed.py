"""Whole runs, tiny, on photographs that are streamed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
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
from tests.training.test_together import N4, ROOT, run_together

pytest.importorskip("webdataset", reason="needs WebDataset (edgesr[stream])")

linux = pytest.mark.skipif(sys.platform != "linux", reason="signals, and processes by loopback")


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


@linux
def test_two_processes_end_with_the_same_network(tmp_path: Path) -> None:
    write_shards(tmp_path / "shards", [5, 4])
    text = N4.replace('photos = "photographs"', 'photos = "shards/*.tar"\nstream.workers = 0')
    (tmp_path / "n4.toml").write_text(text)
    ended = run_together(tmp_path, *[["train", "n4.toml"]] * 2)
    assert [each.code for each in ended] == [0, 0], ended
    assert "differ" not in ended[0].said + ended[1].said


@linux
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_workers_end_with_the_training_however_it_ends(tmp_path: Path, name: str) -> None:
    """Where a queue or a terminal stops all processes of a group, the first one still saves."""
    write_shards(tmp_path / "shards", [5])
    text = N4.replace('photos = "photographs"', 'photos = "shards/*.tar"\nstream.workers = 1')
    (tmp_path / "n4.toml").write_text(text.replace("steps = 3", "steps = 100_000"))
    words = [sys.executable, "-m", "edgesr", "train", "n4.toml", "--set", "training.devices=1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (tmp_path / "said.txt").open("w") as said:
        training = subprocess.Popen(
            words, cwd=tmp_path, env=environment, start_new_session=True, stderr=said, stdout=said
        )
        log = tmp_path / "runs/run/log.jsonl"
        while training.poll() is None and not (log.exists() and "loss" in log.read_text()):
            time.sleep(0.1)
        children = psutil.Process(training.pid).children(recursive=True)
        assert len(children) >= 1, (tmp_path / "said.txt").read_text()
        if name == "SIGTERM":
            os.killpg(training.pid, signal.SIGTERM)
        else:
            training.kill()
        training.wait(60)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    if name == "SIGTERM":
        assert training.returncode == 128 + signal.SIGTERM
        assert "all is saved" in (tmp_path / "said.txt").read_text()
