"""`edgesr benchmark`: what runs here, fastest first, what it loses, and how it is opened."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import edgesr
from edgesr import benchmark
from edgesr.benchmark import Ran
from edgesr.bundle.card import read_card
from edgesr.cli import app
from edgesr.errors import DataError, VerifyError
from edgesr.verify.jobs import Job
from edgesr.verify.turns import Taken


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Of the files that are to be timed each takes a millisecond less than the one before."""
    asked: list[Any] = []

    def in_turn(files: list[Any], **how: Any) -> Taken:
        asked.append((files, how))
        rows = [{"min_ms": 1.0, "p50_ms": 20.0 - i, "p95_ms": 30.0} for i in range(len(files))]
        return Taken(rows, "")

    monkeypatch.setattr(benchmark, "in_turn", in_turn)
    return asked


def test_files_of_a_runtime_that_opens_no_onnx_are_found_by_the_card(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LiteRT was said to be absent from bundles that have its files."""
    asked: list[Any] = []

    def plan(*_: Any, **how: Any) -> tuple[list[Job], list[Any]]:
        asked.append(how["others"])
        return [Job("litert", "fp32", made / "model.tflite", "float32", 1)], []

    monkeypatch.setattr(benchmark, "_check", lambda _: None)
    monkeypatch.setattr(benchmark, "plan", plan)
    card = read_card(made).model_copy(update={"others": ["its files"]})
    jobs, absent = benchmark._jobs(made, card, 1, ["litert"])
    assert (asked, [job.runtime for job in jobs], absent) == ([["its files"]], ["litert"], [])


def test_every_variant_stands_fastest_first_with_what_it_loses(
    made: Path, untimed: list[Any]
) -> None:
    found = benchmark.benchmark(made, size="16x12", threads=1, runtimes=["cpu"])
    ((files, how),) = untimed
    assert how == {"size": "16x12", "threads": 1}
    assert {file.dtype for file in files} == {"float32", "uint8"}
    assert [ran.latency["p50_ms"] for ran in found.ran] == [17.0, 18.0, 19.0, 20.0]
    assert (found.reference.job.variant, found.reference.like_db) == ("fp32", 100.0)
    loss = {ran.job.variant: ran.like_db for ran in found.ran}
    assert 20 < loss["int8"] < loss["uint8-io"] < loss["fp16"] <= 100
    rows = found.rows()
    assert rows[-1] == {
        "runtime": "CPU",
        "variant": "fp32",
        "p50 ms": 20.0,
        "p95 ms": 30.0,
        "times": 1.0,
        "dB to fp32": "same",
    }


def test_each_line_opens_what_was_timed(made: Path, untimed: list[Any]) -> None:
    found = benchmark.benchmark(made, size="16x12", threads=1, runtimes=["cpu"])
    assert len(untimed) == 1
    for ran in found.ran:
        opened = eval(ran.python(made.as_posix()), {"edgesr": edgesr})
        assert opened(np.zeros((5, 6, 3), np.uint8)).shape == (20, 24, 3)
        assert opened.file == ran.job.file
    fast, same = found.winners("tiny")
    assert fast == found.ran[0].python("tiny")
    assert same == 'edgesr.Upscaler("tiny", provider="cpu", threads=1)  # as fp32'


def test_a_file_of_one_window_is_timed_at_it_and_compared_by_the_pixel(
    fixed: Path, untimed: list[Any]
) -> None:
    found = benchmark.benchmark(fixed, size="80x24", threads=1, runtimes=["cpu"])
    ((files, _),) = untimed
    assert [file.size for file in files] == [""] * 4 + ["40x24"] * 4
    rows = {row["variant"]: row for row in found.rows()}
    assert rows["fp32-40x24"]["dB to fp32"] == "same"
    assert rows["fp32"]["times"] == 1.0
    assert rows["fp32-40x24"]["times"] == 20 / rows["fp32-40x24"]["p50 ms"] / 2
    assert found.ran[0].job.variant == "uint8-io"  # 17 ms for 80x24, before 13 for 40x24
    window = next(ran for ran in found.ran if ran.job.variant == "uint8-io-40x24")
    assert 'variant="uint8-io-40x24"' in window.python("x")


def test_precision_and_runtime_stand_in_the_line() -> None:
    job = Job("openvino", "fp32", Path("model.onnx"), "float32", 2, exact=False)
    ran = Ran(job, "bfloat16", 50.0, {"p50_ms": 1.0, "p95_ms": 1.0}, "8x8")
    assert ran.variant == "fp32, bfloat16"
    opens = 'edgesr.Upscaler("x", runtime="openvino", threads=2, exact=False)'
    assert ran.python("x") == opens
    cuda = replace(ran, job=replace(job, runtime="cuda"))
    assert cuda.python("x") == f'edgesr.Upscaler("x", provider="cuda", {benchmark.TF32})'
    assert replace(ran, job=replace(job, runtime="ncnn")).python("x") == ""


def test_a_runtime_that_is_not_installed_is_told_with_the_command(
    made: Path, untimed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "edgesr.runtimes.openvino", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    found = benchmark.benchmark(made, size="16x12", threads=1, runtimes=["cpu", "openvino"])
    assert untimed
    (absent,) = found.absent
    assert absent.startswith("OpenVINO: ")
    assert "pip install 'edgesr[openvino]'" in absent
    with pytest.raises(VerifyError, match=r"no runtime here runs tiny: OpenVINO"):
        benchmark.benchmark(made, size="16x12", threads=1, runtimes=["openvino"])


def test_a_picture_of_ones_own_is_compared(made: Path, untimed: list[Any], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert benchmark._pixels(made, None, tmp_path / "noise.png").shape == (512, 20, 3)  # type: ignore[arg-type]
    how: dict[str, Any] = {"size": "16x12", "threads": 1, "runtimes": ["cpu"]}
    golden = benchmark.benchmark(made, **how)
    own = benchmark.benchmark(made, picture=tmp_path / "noise.png", **how)
    assert len(untimed) == 2
    assert [ran.like_db for ran in golden.ran] != [ran.like_db for ran in own.ran]
    Image.new("L", (9, 9)).save(tmp_path / "grey.png")
    with pytest.raises(DataError, match="expected a picture in RGB"):
        benchmark.benchmark(made, picture=tmp_path / "grey.png", **how)


def test_it_needs_no_torch() -> None:
    code = "import sys, edgesr.benchmark; sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_runtime_is_refused(made: Path) -> None:
    with pytest.raises(VerifyError, match="--runtime tvm: expected one of cpu, cuda, openvino"):
        benchmark.benchmark(made, size="16x12", threads=1, runtimes=["tvm"])


def test_the_command_prints_within_80_columns_and_ends_with_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    words = ["benchmark", "edge-xs", "--size", "16x12", "--threads", "1", "--runtime", "cpu"]
    done = CliRunner().invoke(app, [*words, "--quiet", "-o", "table.md"])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines if "Upscaler(" not in line)  # code, to be copied
    assert lines[1].split()[:2] == ["runtime", "variant"]
    both = {"int8-uint8-io", "int8-uint8-io-256x256"}
    assert {line.split()[1] for line in lines[2:8]} == {"fp32", "fp16", "int8", "uint8-io", *both}
    assert lines[-1].startswith('edgesr.Upscaler("edge-xs", ')
    assert (tmp_path / "table.md").read_text().count("\n") == 8
