"""The C++ example: it builds without a warning and gives the pixels of edgesr.

With OpenVINO from its wheel; with ONNX Runtime where ONNXRUNTIME_ROOT names an unpacked release of
it, for no package that the tests install holds its headers. Skips, saying so, where a compiler,
CMake or libpng is missing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
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
    variants,
    windowed_sizes,
    with_another_golden_value,
)

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/cpp"
Program = Callable[..., Done]


def where(runtime: str) -> str:
    """The setting of CMake that names the runtime's place."""
    if runtime == "onnxruntime":
        if not (root := os.environ.get("ONNXRUNTIME_ROOT")):
            pytest.skip("needs a release of ONNX Runtime: ONNXRUNTIME_ROOT=DIR")
        return f"-DONNXRUNTIME_ROOT={root}"
    found = importlib.util.find_spec("openvino")
    if found is None or found.origin is None:
        pytest.skip("needs OpenVINO: pip install openvino")
    return f"-DOpenVINO_DIR={Path(found.origin).parent / 'cmake'}"


@pytest.fixture(scope="module", params=["openvino", "onnxruntime"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Run one of the example's programs, built with a runtime."""
    place = where(request.param)
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    build = tmp_path_factory.mktemp(f"cpp-{request.param}")
    for command in (
        ["cmake", "-S", EXAMPLE, "-B", build, place, "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON"],
        ["cmake", "--build", build, "--parallel", "2"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "Could NOT find PNG" in done.stderr:
            pytest.skip("needs libpng's headers")
        assert done.returncode == 0, done.stdout + done.stderr

    def run(name: str, *arguments: object) -> Done:
        command = [str(build / name), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def difference(path: Path, expected: np.ndarray) -> int:
    with Image.open(path) as image:
        assert image.size == expected.shape[1::-1]
        return int(np.abs(np.asarray(image).astype(int) - expected).max())


def test_every_variant_passes_its_golden_vectors(program: Program, bundle: Path) -> None:
    check_all_vectors_pass(program("golden", bundle))


def test_a_bundle_that_ships_passes_in_all_its_variants(program: Program, shipped: Path) -> None:
    result = program("golden", shipped)
    assert (result.returncode, result.stderr) == (0, "")
    assert {line.split()[0] for line in result.stdout.splitlines()} >= {"fp32", "fp16", "int8"}


def test_the_figures_for_verify_name_the_files_that_ran(program: Program, shipped: Path) -> None:
    check_figures(program("golden", shipped, "--json", 'A "phone"'), shipped)


@pytest.mark.parametrize("added", [2 / 255, np.nan], ids=str)
def test_an_output_that_is_not_the_golden_one_fails(
    program: Program, bundle: Path, tmp_path: Path, added: float
) -> None:
    check_noise_fails(program("golden", with_another_golden_value(bundle, tmp_path, added)))


@sizes
@variants
def test_the_pixels_are_those_of_the_upscaler(
    program: Program, shipped: Path, tmp_path: Path, size: tuple[int, int], variant: str
) -> None:
    small, big = noise(*size, 3), tmp_path / "big.png"
    Image.fromarray(small).save(tmp_path / "small.png")
    result = program("upscale", shipped, tmp_path / "small.png", big, "--variant", variant)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert difference(big, Upscaler(shipped, threads=1, tile=256)(small)) <= 1


@windowed_sizes
@variants
def test_a_file_of_one_size_gives_the_pixels_of_the_upscaler(
    program: Program, windowed_bundle: Path, tmp_path: Path, size: tuple[int, int], variant: str
) -> None:
    small, big = noise(*size, 3), tmp_path / "big.png"
    Image.fromarray(small).save(tmp_path / "small.png")
    words = (tmp_path / "small.png", big, "--variant", f"{variant}-20x14")
    result = program("upscale", windowed_bundle, *words)
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(big) as image:
        found = np.asarray(image)
    assert check_windowed_pixels(windowed_bundle, small, variant, found) <= 1


def test_files_of_one_size_pass_their_golden_vectors_in_windows_and_are_timed_at_it(
    program: Program, windowed_bundle: Path
) -> None:
    check_windowed_vectors_pass(program("golden", windowed_bundle))
    check_figures(program("golden", windowed_bundle, "--json", 'A "phone"'), windowed_bundle)


@gridded_sizes
def test_a_network_that_takes_multiples_gets_them_as_from_the_upscaler(
    program: Program, gridded_bundle: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    small, big = noise(*size, 3), tmp_path / "big.png"
    Image.fromarray(small).save(tmp_path / "small.png")
    result = program("upscale", gridded_bundle, tmp_path / "small.png", big)
    assert (result.returncode, result.stderr) == (0, "")
    assert difference(big, Upscaler(gridded_bundle, threads=1, tile=256)(small)) <= 1


def test_a_network_that_sees_the_whole_picture_is_given_it(
    program: Program, pooling_bundle: Path, tmp_path: Path
) -> None:
    small, big = noise(20, 530, 3), tmp_path / "big.png"
    Image.fromarray(small).save(tmp_path / "small.png")
    result = program("upscale", pooling_bundle, tmp_path / "small.png", big)
    assert (result.returncode, result.stderr) == (0, "")
    assert difference(big, Upscaler(pooling_bundle, threads=1)(small)) <= 1


def test_grey_becomes_rgb_and_what_is_transparent_is_laid_on_white(
    program: Program, shipped: Path, disc: Path, tmp_path: Path
) -> None:
    grey, big = noise(6, 9), tmp_path / "big.png"
    Image.fromarray(grey).save(tmp_path / "grey.png")
    result = program("upscale", shipped, tmp_path / "grey.png", big)
    assert (result.returncode, result.stderr) == (0, "")
    expected = Upscaler(shipped, threads=1)(np.stack([grey] * 3, axis=-1))
    assert difference(big, expected) <= 1
    assert program("upscale", shipped, disc, big).returncode == 0
    with Image.open(big) as image:
        assert np.asarray(image).min() >= 250


def test_what_is_missing_or_broken_ends_in_words(
    program: Program, bundle: Path, half_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "no.png").write_text("no picture")
    (cut := tmp_path / "cut").mkdir()
    (cut / "card.json").write_text((bundle / "card.json").read_text()[:200])
    big = tmp_path / "big.png"
    for arguments, words in (
        (("upscale", tmp_path / "nowhere", "a.png", big), "it has no card.json"),
        (("upscale", bundle, tmp_path / "none.png", big), "none.png: "),
        (("upscale", bundle, tmp_path / "no.png", big), "no.png: "),
        (("upscale", cut, tmp_path / "no.png", big), "card.json is not JSON"),
        (("golden", half_bundle), "fp16 takes float16, expected float32 or uint8"),
    ):
        result = program(*arguments)
        assert result.returncode == 1
        assert result.stderr.startswith("error: ")
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert not big.exists()
    check_variant_is_refused(program("upscale", bundle, "a.png", big, "--variant", "int4"))


@pytest.mark.parametrize("name", ["upscale", "golden"])
def test_the_programs_say_how_they_are_used(program: Program, name: str) -> None:
    result = program(name)
    assert result.returncode == 2
    assert result.stderr.startswith(f"usage: {name} BUNDLE")
