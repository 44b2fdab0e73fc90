"""The best validation of a stage is kept beside the last, and is what export is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from edgesr.bundle.records.run import Run
from edgesr.choose import runs
from edgesr.deploy import stage as deploy
from edgesr.errors import DataError, ExportError, ModelError, TrainingError
from edgesr.models import zoo
from edgesr.recipe import Recipe
from edgesr.training import setup, stage
from edgesr.training.loop import Interrupted
from edgesr.training.validation import Validation
from edgesr.workspace import BEST, Workspace, sha256
from tests.training.test_stage import after, interrupted

GAN = {"steps": 4, "lr": 0.02, "losses": {"vgg": 0.0, "lpips": 0.0}}


class Distance(nn.Module):
    """In the place of LPIPS, whose weights are not at hand."""

    def forward(self, one: Tensor, other: Tensor, normalize: bool) -> Tensor:
        assert normalize
        return (one - other).abs().mean()


@pytest.fixture
def distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "find_lpips", lambda _: Distance())


def recipe(photographs: Path, name: str = "tiny", **tables: Any) -> Recipe:
    training: dict[str, Any] = {"steps": 6, "batch": 2, "patch": 32, "lr": 0.02, "ema": 0.0}
    training |= {"log_every": 1, "validate_every": 1, "checkpoint_every": 2, "device": "cpu"}
    raw = {"name": name, "model": {"arch": "edge", "channels": 4, "depth": 1}}
    data = {"photos": str(photographs), "validation": 1} | tables.pop("data", {})
    return Recipe.model_validate(
        raw | {"data": data, "training": training | tables.pop("training", {})} | tables
    )


def facts(folder: Path) -> Run:
    return Run.read(folder / "run.json")


def validations(folder: Path, of: str) -> dict[int, dict[str, Any]]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return {
        line["step"]: line["validation"]
        for line in lines
        if line["stage"] == of and "validation" in line
    }


@pytest.mark.usefixtures("distance")
@pytest.mark.parametrize("metric", ["psnr", "lpips"])
@pytest.mark.parametrize("gan", [None, GAN], ids=["pixel", "gan"])
def test_the_weights_kept_are_those_of_the_last_stages_best_trained_step(
    workspace: Workspace,
    photographs: Path,
    metric: str,
    gan: dict[str, Any] | None,
) -> None:
    given = recipe(photographs, training={"keep_best": metric}, gan=gan)
    folder = stage.train(given, workspace)
    seen = validations(folder, "gan" if gan else "pixel")
    key, best_of = ("psnr_db", max) if metric == "psnr" else ("lpips", min)
    expected = best_of((step for step in seen if step), key=lambda step: seen[step][key])
    best = facts(folder).best
    assert best is not None
    assert (best.step, best.metric) == (expected, metric)
    assert best.validation.as_dict() == seen[expected]
    assert best.sha256 == sha256(folder / BEST)
    held_out = Validation([photographs / "2.png"], 4, torch.device("cpu"))
    kept = held_out(zoo.load(folder / BEST).module)
    assert kept.psnr_db == pytest.approx(seen[expected]["psnr_db"], abs=1e-3)
    assert runs.listed(workspace)[0]["best at"] == expected


@pytest.mark.parametrize("descents", [5, 6 + 2 * 3], ids=["pixel", "gan"])
def test_a_resumed_run_knows_its_best(
    workspace: Workspace, photographs: Path, descents: int
) -> None:
    whole = stage.train(recipe(photographs, "a", gan=GAN), workspace)
    parted = recipe(photographs, "b", gan=GAN)
    with after(descents, interrupted), pytest.raises(Interrupted):
        stage.train(parted, workspace)
    folder = stage.train(parted, workspace, resume=True)
    assert facts(folder).best == facts(whole).best


def test_none_is_kept_where_none_is_asked_for(workspace: Workspace, photographs: Path) -> None:
    folder = stage.train(recipe(photographs, training={"keep_best": "none"}), workspace)
    assert facts(folder).best is None
    assert not (folder / BEST).exists()
    with pytest.raises(ExportError, match="no weights of its best validation"):
        deploy.export(folder, workspace, checkpoint="best")


def test_the_best_by_lpips_without_its_weights_is_refused_before_training(
    workspace: Workspace, photographs: Path
) -> None:
    with pytest.raises(TrainingError, match="cannot be measured without the weights of AlexNet"):
        stage.train(recipe(photographs, training={"keep_best": "lpips"}), workspace)
    assert not workspace.run("tiny").exists()


def test_missing_weights_of_lpips_are_told_once(
    workspace: Workspace, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = {"validation_sets": [str(photographs)]}
    folder = stage.train(recipe(photographs, data=sets), workspace)
    assert capsys.readouterr().err.count("LPIPS is left out") == 1
    score = facts(folder).validation
    assert score is not None
    assert (score.lpips, score.sets["photographs"].lpips) == (None, None)


def test_export_ships_the_checkpoint_that_is_named_and_the_bundle_says_which(
    workspace: Workspace, photographs: Path
) -> None:
    folder = stage.train(recipe(photographs), workspace)
    best = facts(folder).best
    assert best is not None
    (last,) = deploy.export(folder, workspace)
    assert facts(last) == facts(folder)
    (shipped,) = deploy.export(folder, workspace, checkpoint="best")
    said = facts(shipped)
    assert (said.checkpoint, said.sha256) == ("best", best.sha256)
    assert said.validation == best.validation
    assert sha256(shipped / "weights.safetensors") == best.sha256
    assert facts(deploy.again(shipped, workspace)) == said


def test_a_best_file_that_is_another_than_was_written_is_refused(
    workspace: Workspace, photographs: Path
) -> None:
    folder = stage.train(recipe(photographs), workspace)
    network = zoo.build(recipe(photographs).model)
    zoo.save(network, folder / BEST, licence="MIT")
    with pytest.raises(ModelError, match="not the file that was written there"):
        deploy.export(folder, workspace, checkpoint="best")


@pytest.mark.usefixtures("distance")
def test_named_sets_are_measured_in_log_run_and_list_and_tune_nothing(
    workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.png").write_bytes((photographs / "0.png").read_bytes())
    alone = stage.train(recipe(photographs, "alone"), workspace)
    sets = {"validation_sets": [str(other), str(photographs)]}
    folder = stage.train(recipe(photographs, "sets", data=sets), workspace)
    of_last = validations(folder, "pixel")[6]
    assert list(of_last["sets"]) == ["other", "photographs"]
    score = facts(folder).validation
    assert score is not None
    assert score.as_dict() == of_last
    network = zoo.load(folder / "model.safetensors").module
    expected = Validation([photographs / "0.png"], 4, torch.device("cpu"), lpips=Distance())
    assert score.sets["other"].as_dict() == pytest.approx(expected(network).as_dict())
    (row,) = runs.listed(workspace, ["sets"])
    other_db, lpips = (of_last["sets"]["other"][key] for key in ("psnr_db", "lpips"))
    assert row["other"] == {"dB": other_db, "LPIPS": lpips}
    assert runs.listed(workspace, ["alone", "sets"])[0]["other"] is None
    assert sha256(folder / BEST) == sha256(alone / BEST)


def test_a_set_that_is_not_there_or_named_twice_is_told_before_training(
    workspace: Workspace, photographs: Path
) -> None:
    missing = recipe(photographs, data={"validation_sets": ["nowhere/Set5"]})
    with pytest.raises(DataError, match="nowhere/Set5 is missing"):
        stage.train(missing, workspace)
    with pytest.raises(ValidationError, match="two are called Set5"):
        recipe(photographs, data={"validation_sets": ["a/Set5", "b/Set5"]})
    with pytest.raises(ValidationError, match="expected folders with names"):
        recipe(photographs, data={"validation_sets": ["."]})


def test_a_run_may_be_resumed_with_other_sets(workspace: Workspace, photographs: Path) -> None:
    with after(3, interrupted), pytest.raises(Interrupted):
        stage.train(recipe(photographs), workspace)
    given = recipe(photographs, data={"validation_sets": [str(photographs)]})
    score = facts(stage.train(given, workspace, resume=True)).validation
    assert score is not None
    assert set(score.sets) == {"photographs"}
