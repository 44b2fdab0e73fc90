"""The wheel in an empty environment, as a stranger installs it: no torch, no checkout."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=False, cwd=cwd, env={}
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `pip install` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    probe = [*pip, "download", "--no-deps", "--retries", "0", "-d", str(folder / "probe")]
    if subprocess.run([*probe, "hatchling"], capture_output=True, check=False).returncode:
        pytest.skip("the package index cannot be reached")
    built = [*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)]
    done = subprocess.run(built, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of an environment that holds the wheel with `[cpu]`."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    commands = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [str(commands / "python"), "-m", "pip", "install", "-q", f"{wheel}[cpu]"]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return commands


def test_a_picture_is_enlarged(installed: Path, tmp_path: Path) -> None:
    Image.new("RGB", (20, 12), (200, 100, 50)).save(tmp_path / "small.png")
    done = run(
        installed / "edgesr", "upscale", "edge-xs", "small.png", "-o", "big.png", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "big.png") as large:
        assert large.size == (80, 48)


def test_a_bundle_is_checked(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "edgesr", "bundle", "check", "edge-xs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout


def test_the_models_that_come_along_are_listed(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "edgesr", "models", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {line.split()[0] for line in done.stdout.splitlines()[1:]}
    assert {path.parent.name for path in ROOT.glob("exports/edge-*/card.json")} <= names


@pytest.mark.parametrize(
    "start", ["recipes/starts/edge-32x8.safetensors", "exports/n4-psnr/weights.safetensors"]
)
def test_a_recipe_and_its_start_are_found_by_name(
    installed: Path, tmp_path: Path, start: str
) -> None:
    done = run(installed / "edgesr", "recipe", "show", "edge-s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    code = f"from edgesr.workspace import Workspace; Workspace().find_weights({start!r})"
    assert run(installed / "python", "-c", code, cwd=tmp_path).returncode == 0


def test_neither_torch_nor_onnx_comes_along(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "python", "-m", "pip", "list", cwd=tmp_path)
    names = {line.split()[0] for line in done.stdout.splitlines()[2:]}
    assert {"edgesr", "onnxruntime"} <= names
    assert not {"torch", "onnx", "onnxruntime-gpu", "scipy"} & names
