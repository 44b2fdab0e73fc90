"""Runs and models, a line each."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgesr.choose import models, runs, table
from edgesr.cli import app
from edgesr.data import named
from edgesr.errors import DataError, ModelError
from edgesr.quality.evaluate import evaluate_model
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
        **{"run": "b", "network": "edge 4x1", "steps": 7, "minutes": "1.5"},
        **{"dB": 30.12, "gain": 1.12, "best at": 3, "recipe": ""},
    }
    assert (found["a"]["dB"], found["a"]["best at"]) == (None, None)


def test_what_differs_is_printed_below_the_table_and_of_much_the_first_keys(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a column, thirty keys made a table of one character's width at 80 columns."""
    many = {"lr": 1e-2, "batch": 3, "patch": 40, "beta1": 0.5, "beta2": 0.6, "decay": 0.7}
    many |= {"warmup": 9, "grad_clip": 1.0, "ema": 0.5, "optimiser": "muon"}
    write_run(workspace, {"name": "a", "model": EDGE, "gates": {"max_mb": 3.0}})
    write_run(workspace, {"name": "b", "model": EDGE, "training": many})
    runs.show(runs.listed(workspace))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "a", "b", "a:", "b:"]
    assert lines[-1].startswith("b: training.batch=3, training.beta1=0.5")
    assert lines[-1].endswith(" and 2 more keys: -o FILE")
    assert "max_mb" not in lines[-2]


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
    asked = models.Asked([pictures], size="16x12")
    bicubic, own, small, trained = models.compared([made, run], asked, ["fp32", "int8"])
    names = [row["model"] for row in (bicubic, own, small, trained)]
    assert names == ["bicubic x4", "tiny", "tiny, int8", "a"]
    assert own["parameters"] == trained["parameters"] == 4 * 28 + 4 * 37 + 48 * 37
    assert own["MACs per LR pixel"] == small["MACs per LR pixel"] == 4 * 27 + 4 * 36 + 48 * 36
    assert own["few"]["dB"] == pytest.approx(evaluate_model(made, pictures).mean.psnr_db, abs=0.01)
    assert bicubic["few"]["SSIM"] <= 1
    assert (own["ms at 16x12"] > 0, own["times"]) == (True, 1.0)
    assert small["times"] == pytest.approx(own["ms at 16x12"] / small["ms at 16x12"])
    assert bicubic["ms at 16x12"] > 0
    assert (trained["ms at 16x12"], trained["times"], trained["MB"]) == (None, None, None)
    with pytest.raises(DataError, match="no pictures to compare on"):
        models.compared([made], models.Asked([]))


def test_a_column_for_each_kind_of_degradation_and_nothing_timed_where_not_asked(
    made: Path, pictures: Path
) -> None:
    kinds = named.parse_all("clean,jpeg40")
    bicubic, own = models.compared([made], models.Asked([pictures], kinds))
    assert [column for column in own if "few" in column] == ["few clean", "few jpeg40"]
    assert bicubic["few clean"]["dB"] > bicubic["few jpeg40"]["dB"]
    assert "times" not in own


def test_a_file_of_another_project_is_named_after_itself_and_its_graph_is_counted(
    made: Path, pictures: Path, tmp_path: Path
) -> None:
    file = tmp_path / "N=4 as usual.onnx"
    shutil.copyfile(made / "model.onnx", file)
    _, row, own = models.compared([file, made], models.Asked([pictures]))
    assert row["model"] == "N=4 as usual"
    assert row["parameters"] == pytest.approx(own["parameters"], rel=0.1)
    assert row["MACs per LR pixel"] == pytest.approx(own["MACs per LR pixel"], rel=0.1)


@pytest.mark.parametrize("suffix", table.SUFFIXES)
def test_the_table_is_written_in_the_format_of_the_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    row = {"run": "a|b", "dB": 30.126, "steps": 1000, "ms": None, "Set5": {"dB": 31.0}}
    table.write([row, row | {"Set5": {"dB": 31.5, "LPIPS": 0.1826}}], path)
    content = path.read_text()
    if suffix == ".md":
        assert content.splitlines() == [
            "| run | dB | steps | ms | Set5, dB / LPIPS |",
            "| --- | --: | --: | --: | --: |",
            "| a\\|b | 30.13 | 1,000 | - | 31.00 / - |",
            "| a\\|b | 30.13 | 1,000 | - | 31.50 / .183 |",
        ]
    elif suffix == ".json":
        assert json.loads(content)[0] == row
    else:
        first = next(csv.DictReader(content.splitlines()))
        assert (first["dB"], first["Set5 dB"], first["Set5 LPIPS"]) == ("30.126", "31.0", "")


def test_a_row_is_one_line_where_it_is_not_for_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table.show([{"run": "a" * 90, "recipe": "b" * 90}])
    assert [len(line.split()) for line in capsys.readouterr().out.splitlines()] == [2, 2]


def test_another_suffix_is_refused_before_the_work(made: Path, tmp_path: Path) -> None:
    command = ["compare", str(made), "--data", str(tmp_path), "--output", str(tmp_path / "a.txt")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code != 0
