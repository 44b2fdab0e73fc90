"""Runs and models, a line each."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgesr.choose import models, runs, table
from edgesr.cli import app
from edgesr.errors import DataError, ModelError
from edgesr.workspace import Workspace
from tests.runs import write_run

EDGE = {"arch": "edge", "channels": 4, "depth": 1}


def test_runs_are_listed_with_what_differs_in_their_recipes(workspace: Workspace) -> None:
    write_run(workspace, {"name": "a", "model": EDGE, "training": {"lr": 1e-3}})
    score = {"psnr_db": 30.123, "bicubic_psnr_db": 29.0}
    raw = {"name": "b", "model": EDGE, "training": {"lr": 2e-3}}
    folder = write_run(workspace, raw, validation=score, steps=7, seconds=90.0)
    lines = [
        {"stage": "pixel", "step": step, "validation": {**score, "psnr_db": db}}
        for step, db in ((3, 30.5), (7, 30.123))
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = {row["run"]: row for row in runs.listed(workspace)}
    assert [found[name]["recipe"] for name in "ab"] == ["training.lr=0.001", "training.lr=0.002"]
    assert found["b"] | {"recipe": ""} == {
        **{"run": "b", "network": "edge 4x1", "steps": 7, "minutes": 1.5},
        **{"dB": 30.12, "gain": 1.12, "best at": 3, "recipe": ""},
    }
    assert (found["a"]["dB"], found["a"]["best at"]) == (None, None)


def test_a_run_that_is_not_finished_is_named(workspace: Workspace) -> None:
    with pytest.raises(ModelError, match="no finished run in"):
        runs.listed(workspace)
    with pytest.raises(ModelError, match="c is not a finished run"):
        runs.listed(workspace, ["c"])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "few"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 44, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return folder


def test_models_are_compared_on_every_set_and_timed_where_there_is_a_file(
    made: Path, workspace: Workspace, pictures: Path
) -> None:
    run = write_run(workspace, {"name": "a", "model": EDGE})
    own, trained = models.compared([made, run], [pictures], size="16x12", threads=1)
    assert (own["model"], trained["model"]) == ("tiny", "a")
    assert own["parameters"] == trained["parameters"] == 4 * 28 + 4 * 37 + 48 * 37
    assert own["few dB"] > 0
    assert own["few SSIM"] <= 1
    assert own["ms at 16x12"] >= 0
    assert (trained["ms at 16x12"], trained["MB"]) == (None, None)
    with pytest.raises(DataError, match="no pictures to compare on"):
        models.compared([made], [], size="16x12", threads=1)


@pytest.mark.parametrize("suffix", table.SUFFIXES)
def test_the_table_is_written_in_the_format_of_the_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    table.write([{"run": "a|b", "dB": 30.126, "steps": 1000, "ms": None}], path)
    content = path.read_text()
    if suffix == ".md":
        assert content == "| run | dB | steps | ms |\n| --- | --: | --: | --: |\n" + (
            "| a\\|b | 30.13 | 1,000 | - |\n"
        )
    elif suffix == ".json":
        assert json.loads(content) == [{"run": "a|b", "dB": 30.126, "steps": 1000, "ms": None}]
    else:
        assert next(csv.DictReader(content.splitlines()))["dB"] == "30.126"


def test_a_row_is_one_line_where_it_is_not_for_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table.show([{"run": "a" * 90, "recipe": "b" * 90}])
    assert [len(line.split()) for line in capsys.readouterr().out.splitlines()] == [2, 2]


def test_another_suffix_is_refused_before_the_work(made: Path, tmp_path: Path) -> None:
    command = ["compare", str(made), "--data", str(tmp_path), "--output", str(tmp_path / "a.txt")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code != 0
