"""The command line as a user types it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from edgesr.cli import app
from edgesr.errors import EdgesrError
from tests.commands import edgesr

ROOT = Path(__file__).parents[1]

RECIPE = """
name = "tiny"
[model]
arch = "edge"
channels = 4
depth = 1
[teacher]
path = "runs/big/model.safetensors"
[data]
photos = "photographs"
validation = 1
[losses]
teacher_l1 = 0.5
[training]
steps = 4
batch = 2
patch = 32
device = "cpu"
[verify]
size = "16x12"
threads = 1
runs = 5
[gates]
min_gain_over_bicubic_db = -99.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs, a recipe, a trained teacher and a distilled student's bundle."""
    folder = tmp_path_factory.mktemp("cli")
    os.environ["EDGESR_CACHE"] = str(folder / "cache")
    (folder / "photographs").mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        small = rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((80, 64), Image.Resampling.BICUBIC)
        picture.save(folder / f"photographs/{i}.png")
    (folder / "recipe.toml").write_text(RECIPE)
    teacher = RECIPE.replace('name = "tiny"', 'name = "big"').replace("teacher_l1 = 0.5", "")
    teacher = teacher.replace("[teacher]\n", "").replace('path = "runs/big/model.safetensors"', "")
    (folder / "teacher.toml").write_text(teacher)
    trained = ("model.channels=6", "training.steps=80", "training.lr=5e-3")
    edgesr(folder, "train", "teacher.toml", *(part for key in trained for part in ("--set", key)))
    edgesr(folder, "distill", "recipe.toml", "--quiet")
    edgesr(folder, "export", "--onnx")
    return folder


def test_the_chain_leaves_two_verified_bundles_and_a_report(folder: Path) -> None:
    output = edgesr(folder, "verify")
    assert output.splitlines()[-1] == "PASSED: 2 of 2 bundles hold."
    assert "Runtimes at" not in output
    assert (folder / "exports/tiny/junit.xml").is_file()
    assert "exports/tiny/report.html" in edgesr(folder, "report")


def test_a_bundle_may_be_named_as_a_run_is(folder: Path) -> None:
    assert "PASSED" in edgesr(folder, "bundle", "check", "tiny")
    assert "exports/tiny/report.html" in edgesr(folder, "report", "tiny")
    edgesr(folder, "upscale", "tiny", "photographs/0.png", "-o", "named.png")
    edgesr(folder, "evaluate", "tiny", "--data", "photographs", "--against", "big")


@pytest.mark.parametrize("words", ["verify", "bundle check", "report", "export --again"])
def test_a_bundle_that_is_not_there_is_a_fault_of_the_users(folder: Path, words: str) -> None:
    assert "missing is not a bundle" in edgesr(folder, *words.split(), "missing", code=2)


def test_every_line_fits_80_columns(folder: Path) -> None:
    output = edgesr(folder, "verify", "exports/tiny", "--verbose", "--again")
    assert "Runtimes at 16x12 LR" in output
    for line in output.splitlines():
        assert len(line) <= 80 or "multiply-adds" in line


def test_verify_exits_1_when_a_gate_does_not_hold(folder: Path) -> None:
    edgesr(folder, "distill", "recipe.toml", "--set", "name=fat", "--set", "gates.max_mb=1e-6")
    edgesr(folder, "export", "--onnx", "fat")
    output = edgesr(folder, "verify", "exports/fat", code=1)
    assert "falls short: fat" in output


def test_asking_for_cuda_without_it_fails_loudly(folder: Path) -> None:
    from edgesr.inference.session import cuda_device_present

    if cuda_device_present():
        pytest.skip("this machine has CUDA")
    output = edgesr(folder, "verify", "exports/tiny", "--provider", "cuda", code=2)
    assert "error: execution provider CUDAExecutionProvider was asked for" in output


def test_evaluate_prints_bicubic_beside_and_writes_json_and_csv(folder: Path) -> None:
    arguments = ("evaluate", "exports/tiny", "--data", "photographs")
    output = edgesr(folder, *arguments, "-o", "scores.json")
    assert "bicubic" in output
    assert len(json.loads((folder / "scores.json").read_text())["images"]) == 3
    edgesr(folder, *arguments, "-o", "scores.csv")
    assert len((folder / "scores.csv").read_text().splitlines()) == 5


def test_evaluate_against_another_model_says_what_the_difference_shows(folder: Path) -> None:
    arguments = ("evaluate", "exports/tiny", "--data", "photographs", "--against", "runs/big")
    output = edgesr(folder, *arguments, "-o", "compared.json")
    assert "PSNR: not tested, A - B is" in output
    read = json.loads((folder / "compared.json").read_text())
    assert read["against"]["models"] == ["exports/tiny", "runs/big"]


def test_evaluate_with_degradations_has_a_part_for_each_and_files_with_every_picture(
    folder: Path,
) -> None:
    arguments = ("evaluate", "exports/tiny", "--data", "photographs", "--degradation")
    output = edgesr(folder, *arguments, "jpeg40,noise10-jpeg70", "-o", "degraded.json")
    assert "Lanczos" in output
    assert "noise10-jpeg70 is Gaussian noise of 10 levels" in " ".join(output.split())
    assert all(len(line) <= 80 for line in output.splitlines() if "│" in line)
    read = json.loads((folder / "degraded.json").read_text())["degradations"]
    assert list(read) == ["jpeg40", "noise10-jpeg70"]
    assert len(read["jpeg40"]["images"]) == 3
    assert read["jpeg40"]["mean"] != read["noise10-jpeg70"]["mean"]
    edgesr(folder, *arguments, "jpeg40,area", "--against", "runs/big", "-o", "degraded.csv")
    lines = (folder / "degraded.csv").read_text().splitlines()
    assert lines[0].startswith("degradation,image,")
    assert [line.split(",")[:2] for line in lines if ",mean," in line] == [
        ["jpeg40", "mean"],
        ["area", "mean"],
    ]
    assert "jpegQ" in edgesr(folder, *arguments, "jpg75", code=2)


def test_upscale_takes_a_file_or_a_folder(folder: Path) -> None:
    edgesr(folder, "upscale", "exports/tiny", "photographs/0.png", "-o", "big.png")
    with Image.open(folder / "big.png") as result:
        assert result.size == (320, 256)
    edgesr(folder, "upscale", "exports/tiny", "photographs", "-o", "all")
    assert len(list((folder / "all").iterdir())) == 3


def test_a_bad_file_does_not_stop_the_rest_and_is_named(folder: Path) -> None:
    mixed = folder / "mixed"
    mixed.mkdir()
    (mixed / "good.png").write_bytes((folder / "photographs/0.png").read_bytes())
    (mixed / "bad.png").write_bytes(b"no picture")
    output = edgesr(folder, "upscale", "exports/tiny", "mixed", "-o", "mixed-out", code=1)
    assert "bad.png" in output
    assert (folder / "mixed-out/good.png").is_file()


def test_faults_of_a_recipe_are_told_without_a_traceback(folder: Path) -> None:
    output = edgesr(folder, "distill", "recipe.toml", "--set", "training.stps=3", code=2)
    assert "training.stps = 3: no such key; did you mean steps?" in output


def test_a_missing_teacher_says_how_to_get_one(folder: Path) -> None:
    output = edgesr(
        folder, "distill", "recipe.toml", "--teacher", "none.safetensors", "--fresh", code=2
    )
    assert "'none.safetensors' is not a model" in output
    assert "edgesr train recipes/teacher.toml" in output


def test_an_earlier_run_is_kept_unless_told_otherwise(folder: Path) -> None:
    assert "--resume" in edgesr(folder, "distill", "recipe.toml", code=2)


def test_a_finished_run_resumes_to_the_same_end(folder: Path) -> None:
    before = (folder / "runs/tiny/model.safetensors").read_bytes()
    edgesr(folder, "distill", "recipe.toml", "--resume")
    assert (folder / "runs/tiny/model.safetensors").read_bytes() == before


def test_export_without_a_format_writes_what_the_gates_ask_for(folder: Path) -> None:
    edgesr(folder, "distill", "recipe.toml", "--set", "name=gated")
    gate = ("--set", "gates.cpu.fp16.max_mb=1")
    said = edgesr(folder, "export", "gated", "--onnx", *gate)
    assert "ask for model.fp16.onnx" in said
    assert "edgesr export gated" in said
    assert "ask for" not in edgesr(folder, "export", "gated", *gate)
    assert (folder / "exports/gated/model.fp16.onnx").is_file()
    edgesr(folder, "verify", "exports/gated", "--quick")
    shutil.rmtree(folder / "exports/gated")


def test_recipe_show_prints_what_loads_again(folder: Path) -> None:
    shown = edgesr(folder, "recipe", "show", "recipe.toml", "--set", "seed=5")
    (folder / "shown.toml").write_text(shown)
    assert edgesr(folder, "recipe", "show", "shown.toml") == shown
    assert "seed = 5" in shown


def test_recipe_schema_is_json(folder: Path) -> None:
    schema = json.loads(edgesr(folder, "recipe", "schema"))
    assert "training" in schema["properties"]


def test_doctor_and_weights_say_what_is_missing(folder: Path) -> None:
    shown = edgesr(folder, "doctor")
    assert re.search(r"^ONNX Runtime +\S+ from onnxruntime", shown, re.MULTILINE)
    assert re.search(r"^  CPU +works", shown, re.MULTILINE)
    assert "vgg19" in edgesr(folder, "weights")


def test_version_and_help(folder: Path) -> None:
    from edgesr import __version__

    assert edgesr(folder, "--version") == f"edgesr {__version__}\n"
    for command in ("train", "distill", "export", "verify", "evaluate", "upscale", "report"):
        assert command in edgesr(folder, "--help")
        edgesr(folder, command, "--help")


def commands(group: typer.core.TyperGroup, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below `group` with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_brackets_that_rich_would_take_for_markup(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "300"}).output
    command, shown = COMMANDS[words], " ".join(shown.split())
    for text in (command.help, *(getattr(option, "help", None) for option in command.params)):
        assert " ".join((text or "").replace("\\[", "[").split()) in shown
    assert ("[small]" in shown) == any(option.name == "small" for option in command.params)


@pytest.mark.parametrize(
    "words",
    [("fit", "--budget", "p95 8 ms @ 8x8"), ("upscale", "tiny", "a.png", "-o", "b.png")],
    ids=lambda words: words[0],
)
def test_more_threads_than_a_machine_has_are_refused(words: tuple[str, ...]) -> None:
    """99,999 of them crashed the process."""
    result = CliRunner().invoke(app, [*words, "--threads", "99999"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "less than or equal to 1024" in result.output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["evaluate", "none", "--data", ".", "-o", "scores.txt"], "expected a file name in .json"),
        (["evaluate", "none", "--data", ".", "-o", "file/a.csv"], "cannot be written to file: Not"),
        (["upscale", "none", "a.png", "-o", "file/b.png"], "cannot be written to file: Not a"),
        (["upscale", "none", ".", "-o", "file/all"], "cannot be written to file/all: Not a"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_a_model_is_opened(
    words: list[str], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is none: its fault would be told first."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    error = CliRunner().invoke(app, words).exception
    assert isinstance(error, EdgesrError)
    assert fault in error.message


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_ends_with_an_example_that_parses_and_shows_no_type_beside_a_flag(
    words: tuple[str, ...],
) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "300"}).output
    assert "<bool>" not in shown
    assert not re.search(r"--\w.*list\[str\]", shown)
    (example,) = re.findall(r"Example: edgesr (.*)", shown)
    typed = shlex.split(example.partition(">")[0])
    assert tuple(typed[: len(words)]) == words
    COMMANDS[words].make_context(words[-1], typed[len(words) :])


def test_an_option_that_may_be_repeated_says_so() -> None:
    repeated = [p for c in COMMANDS.values() for p in c.params if getattr(p, "multiple", False)]
    assert len(repeated) >= 6
    assert all("May be repeated." in option.help for option in repeated)


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with two bundles, a run and a recipe, by their names."""
    for name, variants in (("edge-a", ["fp32", "int8"]), ("n4", ["fp32", "fp16"])):
        card = tmp_path / "exports" / name / "card.json"
        card.parent.mkdir(parents=True)
        card.write_text(json.dumps({"variants": dict.fromkeys(variants)}))
    (tmp_path / "exports/edge-broken").mkdir()
    (tmp_path / "exports/edge-broken/card.json").write_text("{")
    (tmp_path / "runs/edge-run").mkdir(parents=True)
    (tmp_path / "runs/edge-run/run.json").touch()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/n4.toml").touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("verify edge", ["edge-a", "edge-broken"]),
        ("export edge-r", ["edge-run"]),
        ("distill rec", ["recipes/n4.toml"]),
        ("upscale n4 photo.png --variant fp", ["fp32", "fp16"]),
        ("verify --runtime o", ["openvino"]),
        ("verify --provider c", ["cpu", "cuda"]),
        ("verify --target x", ["xnnpack"]),
        ("weights --fetch vgg", ["vgg16", "vgg19"]),
        ("schema c", ["card"]),
    ],
)
@pytest.mark.usefixtures("shipped")
def test_completion_offers_what_is_there(typed: str, offered: list[str]) -> None:
    line = f"edgesr {typed}"
    shell = {
        "_EDGESR_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    done = CliRunner().invoke(app, prog_name="edgesr", env=shell)
    assert done.output.split() == offered
