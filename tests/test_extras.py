"""What a light install leaves out is named in one line, with the command that installs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edgesr import extras

ROOT = Path(__file__).parents[1]
HIDE = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
sys.argv = ["edgesr", *{words}]
from edgesr.__main__ import main
main()
"""
ALL = {extras.RUNTIME, *extras.TRAINING}


def run_without(hidden: set[str], *words: str) -> subprocess.CompletedProcess[str]:
    """The command `words` where the modules `hidden` are not installed."""
    code = HIDE.format(hidden=hidden, words=words)
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "80"},
    )


@pytest.mark.parametrize("words", [(), ("upscale",), ("distill",), ("bundle", "check")])
def test_help_needs_no_extra(words: tuple[str, ...]) -> None:
    done = run_without(ALL, *words, "--help")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("distill", "recipes/n4.toml"),
        ("export", "edge-s"),
        ("verify", "edge-s"),
        ("report", "edge-s"),
        ("evaluate", "edge-s", "--data", "x"),
        ("weights",),
    ],
)
def test_a_missing_train_extra_is_one_line_that_names_the_command(words: tuple[str, ...]) -> None:
    done = run_without(set(extras.TRAINING), *words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.rstrip().endswith('is not installed: pip install "edgesr[train]"')


@pytest.mark.parametrize(
    "words", [("upscale", "edge-xs", "docs/images/demo.png"), ("bundle", "check", "edge-xs")]
)
def test_a_missing_onnxruntime_is_one_line_that_names_the_command(words: tuple[str, ...]) -> None:
    done = run_without(ALL, *words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'onnxruntime is not installed: pip install "edgesr[cpu]"' in done.stderr


def test_doctor_works_without_any_extra_and_says_what_is_missing() -> None:
    done = run_without(ALL, "doctor")
    assert done.returncode == 0, done.stderr
    assert "edgesr[cpu]" in done.stdout
    assert "edgesr[train]" in done.stdout


def test_a_defect_in_an_import_is_no_missing_extra() -> None:
    assert extras.absent(ModuleNotFoundError("No module named 'x'", name="x")) is None
    assert extras.absent(ImportError("cannot import name 'x' from 'torch'", name="torch")) is None


def test_no_extra_pulls_both_packages_of_onnx_runtime() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = " ".join(project["dependencies"])
    options = project["optional-dependencies"]
    assert "onnxruntime" not in base
    naming = {extra for extra, needs in options.items() if "onnxruntime" in " ".join(needs)}
    assert naming == {"cpu", "gpu"}
    assert not any("onnxruntime-gpu" in need for need in options["cpu"])
