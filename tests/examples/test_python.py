"""The Python example: the pixels of edgesr, without edgesr."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from edgesr import Upscaler
from tests.examples.both import (
    Done,
    check_all_vectors_pass,
    check_figures,
    check_noise_fails,
    check_variant_is_refused,
    check_windowed_pixels,
    check_windowed_vectors_pass,
    gridded_sizes,
    noise,
    sizes,
    suffixes,
    variants,
    windowed_sizes,
    with_another_golden_value,
)

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/python"


def run(folder: Path, *arguments: str, script: str = "upscale.py") -> Done:
    """Run a script as a user does; its exit status is 99 where it loaded edgesr or torch."""
    code = (
        "import atexit, os, runpy, sys; sys.argv = sys.argv[1:];"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]));"
        "atexit.register(lambda: {'edgesr', 'torch'} & set(sys.modules) and os._exit(99));"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(EXAMPLE / script), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@sizes
@variants
def test_the_example_gives_the_pixels_of_the_upscaler_without_edgesr(
    bundle: Path, tmp_path: Path, size: tuple[int, int], variant: str
) -> None:
    small = noise(*size, 3)
    Image.fromarray(small).save(tmp_path / "small.png", icc_profile=b"a profile")
    result = run(tmp_path, str(bundle), "small.png", "big.png", "--variant", variant)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    with Image.open(tmp_path / "big.png") as big:
        assert big.info["icc_profile"] == b"a profile"
        expected = Upscaler(bundle, variant=variant, threads=1, tile=256)(small)
        assert np.array_equal(np.asarray(big), expected)


@windowed_sizes
@variants
def test_a_file_of_one_size_gives_the_pixels_of_the_upscaler(
    windowed_bundle: Path, tmp_path: Path, size: tuple[int, int], variant: str
) -> None:
    small = noise(*size, 3)
    Image.fromarray(small).save(tmp_path / "small.png")
    words = ("small.png", "big.png", "--variant", f"{variant}-20x14")
    result = run(tmp_path, str(windowed_bundle), *words)
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "big.png") as big:
        assert check_windowed_pixels(windowed_bundle, small, variant, np.asarray(big)) == 0


@gridded_sizes
def test_a_network_that_takes_multiples_gets_them_as_from_the_upscaler(
    gridded_bundle: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    small = noise(*size, 3)
    Image.fromarray(small).save(tmp_path / "small.png")
    result = run(tmp_path, str(gridded_bundle), "small.png", "big.png")
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "big.png") as big:
        assert np.array_equal(np.asarray(big), Upscaler(gridded_bundle, threads=1, tile=256)(small))


def test_a_network_that_sees_the_whole_picture_is_given_it(
    pooling_bundle: Path, tmp_path: Path
) -> None:
    small = noise(20, 530, 3)
    Image.fromarray(small).save(tmp_path / "small.png")
    result = run(tmp_path, str(pooling_bundle), "small.png", "big.png")
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(tmp_path / "big.png") as big:
        assert np.array_equal(np.asarray(big), Upscaler(pooling_bundle, threads=1)(small))


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
    check_variant_is_refused(result)


def test_every_variant_passes_its_golden_vectors_without_edgesr(bundle: Path) -> None:
    result = run(bundle, ".", script="golden.py")
    check_all_vectors_pass(result)


def test_files_of_one_size_pass_theirs_in_windows(windowed_bundle: Path) -> None:
    check_windowed_vectors_pass(run(windowed_bundle, ".", script="golden.py"))


def test_files_of_one_size_are_timed_at_it(windowed_bundle: Path) -> None:
    result = run(windowed_bundle, ".", "--json", 'A "phone"', script="golden.py")
    check_figures(result, windowed_bundle)


def test_the_figures_for_verify_name_the_files_that_ran(shipped: Path) -> None:
    result = run(shipped, ".", "--json", 'A "phone"', script="golden.py")
    check_figures(result, shipped)
    assert f"ONNX Runtime {onnxruntime.__version__}" in result.stdout


def test_a_file_with_float16_ends_passes_and_gives_the_pixels_of_the_upscaler(
    half_bundle: Path, tmp_path: Path
) -> None:
    result = run(half_bundle, ".", script="golden.py")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("fp16") == 3
    small = noise(9, 7, 3)
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
    changed = with_another_golden_value(bundle, tmp_path, added)
    check_noise_fails(run(changed, ".", script="golden.py"))


@pytest.mark.parametrize("script", ["upscale.py", "golden.py"])
def test_the_scripts_say_how_they_are_used(tmp_path: Path, script: str) -> None:
    result = run(tmp_path, script=script)
    assert result.returncode == 2
    assert result.stderr.startswith(f"usage: {script} ")


@suffixes
@pytest.mark.usefixtures("disc")
def test_white_on_transparent_black_is_white_on_white(
    shipped: Path, tmp_path: Path, suffix: str, check_disc: Callable[[Path], None]
) -> None:
    result = run(tmp_path, str(shipped), "disc.png", f"big.{suffix}")
    assert (result.returncode, result.stderr) == (0, "")
    check_disc(tmp_path / f"big.{suffix}")


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
