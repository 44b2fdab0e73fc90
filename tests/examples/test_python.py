"""The Python example: the pixels of edgesr, without edgesr."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr import Upscaler

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/python"


def run(
    folder: Path, *arguments: str, script: str = "upscale.py"
) -> subprocess.CompletedProcess[str]:
    """Run a script as a user does; its exit status is 99 where it loaded edgesr or torch."""
    code = (
        "import atexit, os, runpy, sys; sys.argv = sys.argv[1:];"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]));"
        "atexit.register(lambda: {'edgesr', 'torch'} & set(sys.modules) and os._exit(99));"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(EXAMPLE / script), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


# Larger than one tile of 256 pixels along one axis, along none, and a single pixel.
@pytest.mark.parametrize("size", [(20, 530), (9, 7), (1, 1)], ids=str)
@pytest.mark.parametrize("variant", ["fp32", "uint8-io"])
def test_the_example_gives_the_pixels_of_the_upscaler_without_edgesr(
    bundle: Path, tmp_path: Path, size: tuple[int, int], variant: str
) -> None:
    small = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(small).save(tmp_path / "small.png", icc_profile=b"a profile")
    result = run(tmp_path, str(bundle), "small.png", "big.png", "--variant", variant)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    with Image.open(tmp_path / "big.png") as big:
        assert big.info["icc_profile"] == b"a profile"
        expected = Upscaler(bundle, variant=variant, threads=1, tile=256)(small)
        assert np.array_equal(np.asarray(big), expected)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"float32"', '"bfloat16"', "model.onnx takes bfloat16 NCHW RGB 0,1, expected one of"),
        ('"format": ', '"format": 9', "card.json is of format 9"),
    ],
    ids=["type", "format"],
)
def test_a_bundle_of_another_contract_is_refused(
    bundle: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    changed = Path(shutil.copytree(bundle, tmp_path / "changed"))
    card = (changed / "card.json").read_text()
    (changed / "card.json").write_text(card.replace(old, new))
    Image.new("RGB", (4, 4)).save(tmp_path / "small.png")
    result = run(tmp_path, "changed", "small.png", "big.png")
    assert result.returncode == 1
    assert words in result.stderr
    assert not (tmp_path / "big.png").exists()


def test_a_variant_that_is_not_there_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    result = run(tmp_path, str(bundle), "small.png", "big.png", "--variant", "int4")
    assert result.returncode == 1
    assert result.stderr == "error: no variant int4, only fp32, uint8-io\n"


def test_every_variant_passes_its_golden_vectors_without_edgesr(bundle: Path) -> None:
    result = run(bundle, ".", script="golden.py")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["fp32"] * 3 + ["uint8-io"] * 3
    assert all(line.endswith(" passes") for line in lines)


def test_a_file_with_float16_ends_passes_and_gives_the_pixels_of_the_upscaler(
    half_bundle: Path, tmp_path: Path
) -> None:
    result = run(half_bundle, ".", script="golden.py")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("fp16") == 3
    small = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(small).save(tmp_path / "small.png")
    result = run(tmp_path, str(half_bundle), "small.png", "big.png", "--variant", "fp16")
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "big.png") as big:
        expected = Upscaler(half_bundle, variant="fp16", threads=1)(small)
        assert np.array_equal(np.asarray(big), expected)


@pytest.mark.parametrize("added", [2 / 255, np.nan], ids=str)
def test_an_output_that_is_not_the_golden_one_fails(
    bundle: Path, tmp_path: Path, added: float
) -> None:
    changed = Path(shutil.copytree(bundle, tmp_path / "changed"))
    expected = np.fromfile(changed / "golden/noise.f32", "<f4")
    expected[5] += added
    expected.tofile(changed / "golden/noise.f32")
    result = run(changed, ".", script="golden.py")
    assert result.returncode == 1
    failed = [line for line in result.stdout.splitlines() if line.endswith(" FAILS")]
    assert [line.partition(":")[0] for line in failed][:1] == ["fp32 noise"]


@pytest.mark.parametrize("script", ["upscale.py", "golden.py"])
def test_the_scripts_say_how_they_are_used(tmp_path: Path, script: str) -> None:
    result = run(tmp_path, script=script)
    assert result.returncode == 2
    assert result.stderr.startswith(f"usage: {script} ")


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_white_on_transparent_black_is_white_on_white(
    disc: Path,
    shipped: Path,
    tmp_path: Path,
    suffix: str,
    on_white: Callable[[Path], np.ndarray],
    alike: Callable[[np.ndarray, np.ndarray], bool],
) -> None:
    result = run(tmp_path, str(shipped), "disc.png", f"big.{suffix}")
    assert (result.returncode, result.stderr) == (0, "")
    assert on_white(tmp_path / f"big.{suffix}").min() >= 250
    with Image.open(tmp_path / f"big.{suffix}") as big, Image.open(disc) as small:
        assert big.mode == ("RGB" if suffix == "jpg" else "RGBA")
        if suffix == "png":
            expected = np.asarray(Upscaler(shipped, threads=1)(small)).astype(int)
            assert alike(np.asarray(big), expected)
        if suffix == "jpg":
            assert [layer[1:3] for layer in big.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


def test_what_is_missing_or_broken_ends_in_words(shipped: Path, tmp_path: Path) -> None:
    model = str(shipped)
    (tmp_path / "no.png").write_text("no picture")
    for arguments, words in (
        (("nowhere", "small.png", "big.png"), "nowhere is not a bundle: it has no card.json"),
        ((model, "none.png", "big.png"), "No such file or directory: 'none.png'"),
        ((model, "no.png", "big.png"), "cannot identify image file 'no.png'"),
    ):
        result = run(tmp_path, *arguments)
        assert result.returncode == 1
        assert result.stderr.startswith("error: ")
        assert words in result.stderr
        assert "Traceback" not in result.stderr
    result = run(tmp_path, "nowhere", script="golden.py")
    assert result.stderr.startswith("error: ")
    assert result.stderr == "error: nowhere is not a bundle: it has no card.json\n"


def test_a_model_that_gives_no_numbers_writes_no_picture(
    shared: Path, bundle: Path, tmp_path: Path
) -> None:
    changed = Path(shutil.copytree(bundle, tmp_path / "changed"))
    shutil.copyfile(shared / "cases/nan.onnx", changed / "model.onnx")
    Image.new("RGB", (4, 4)).save(tmp_path / "small.png")
    result = run(tmp_path, "changed", "small.png", "big.png")
    assert (result.returncode, "returned NaN or infinity" in result.stderr) == (1, True)
    assert not (tmp_path / "big.png").exists()
