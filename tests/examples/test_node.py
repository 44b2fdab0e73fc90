"""The Node example: the pixels of edgesr, in JavaScript."""

from __future__ import annotations

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
    suffixes,
    variants,
    windowed_sizes,
    with_another_golden_value,
)

Node = Callable[..., Done]


@pytest.fixture
def node(installed: Callable[[str], Path]) -> Node:
    """Run one of the example's scripts."""
    folder = installed("node")

    def run(script: str, *arguments: object) -> Done:
        command = ["node", str(folder / script), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def difference(path: Path, expected: Image.Image) -> int:
    with Image.open(path) as image:
        assert (image.mode, image.size) == (expected.mode, expected.size)
        return int(np.abs(np.asarray(image).astype(int) - np.asarray(expected)).max())


def test_every_variant_passes_its_golden_vectors(node: Node, bundle: Path) -> None:
    result = node("golden.mjs", bundle)
    check_all_vectors_pass(result)


def test_the_figures_for_verify_name_the_files_that_ran(node: Node, shipped: Path) -> None:
    check_figures(node("golden.mjs", shipped, "--json", 'A "phone"'), shipped)


def test_a_file_with_float16_ends_passes_and_gives_the_pixels_of_the_upscaler(
    node: Node, half_bundle: Path, tmp_path: Path
) -> None:
    result = node("golden.mjs", half_bundle)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("fp16") == 3
    every_byte = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    Image.fromarray(every_byte).save(tmp_path / "small.png")
    big = tmp_path / "big.png"
    result = node("upscale.mjs", half_bundle, tmp_path / "small.png", big, "--variant", "fp16")
    assert (result.returncode, result.stderr) == (0, "")
    upscaler = Upscaler(half_bundle, variant="fp16", threads=1)
    assert difference(big, upscaler(Image.fromarray(every_byte))) <= 1


def test_a_type_that_cannot_be_fed_names_the_file_and_what_is_expected(
    node: Node, half_bundle: Path, tmp_path: Path
) -> None:
    changed = Path(shutil.copytree(half_bundle, tmp_path / "changed"))
    card = changed / "card.json"
    card.write_text(card.read_text().replace('"float16"', '"bfloat16"'))
    result = node("golden.mjs", changed)
    assert result.returncode == 1
    assert "model.fp16.onnx takes bfloat16 NCHW RGB 0,1, expected one of" in result.stderr


@pytest.mark.parametrize("added", [2 / 255, np.nan], ids=str)
def test_an_output_that_is_not_the_golden_one_fails(
    node: Node, bundle: Path, tmp_path: Path, added: float
) -> None:
    check_noise_fails(node("golden.mjs", with_another_golden_value(bundle, tmp_path, added)))


@sizes
@variants
def test_the_pixels_are_those_of_the_upscaler(
    node: Node, bundle: Path, tmp_path: Path, size: tuple[int, int], variant: str
) -> None:
    small = Image.fromarray(noise(*size, 3))
    small.save(tmp_path / "small.png")
    big = tmp_path / "big.png"
    result = node("upscale.mjs", bundle, tmp_path / "small.png", big, "--variant", variant)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert difference(tmp_path / "big.png", Upscaler(bundle, threads=1, tile=256)(small)) <= 1


@windowed_sizes
@variants
def test_a_file_of_one_size_gives_the_pixels_of_the_upscaler(
    node: Node, windowed_bundle: Path, tmp_path: Path, size: tuple[int, int], variant: str
) -> None:
    small, big = noise(*size, 3), tmp_path / "big.png"
    Image.fromarray(small).save(tmp_path / "small.png")
    words = (tmp_path / "small.png", big, "--variant", f"{variant}-20x14")
    result = node("upscale.mjs", windowed_bundle, *words)
    assert (result.returncode, result.stderr) == (0, "")
    with Image.open(big) as image:
        found = np.asarray(image)
    assert check_windowed_pixels(windowed_bundle, small, variant, found) <= 1


def test_files_of_one_size_pass_their_golden_vectors_in_windows_and_are_timed_at_it(
    node: Node, windowed_bundle: Path
) -> None:
    check_windowed_vectors_pass(node("golden.mjs", windowed_bundle))
    check_figures(node("golden.mjs", windowed_bundle, "--json", 'A "phone"'), windowed_bundle)


@gridded_sizes
@variants
def test_a_network_that_takes_multiples_gets_them_as_from_the_upscaler(
    node: Node, gridded_bundle: Path, tmp_path: Path, size: tuple[int, int], variant: str
) -> None:
    small = Image.fromarray(noise(*size, 3))
    small.save(tmp_path / "small.png")
    big = tmp_path / "big.png"
    result = node("upscale.mjs", gridded_bundle, tmp_path / "small.png", big, "--variant", variant)
    assert (result.returncode, result.stderr) == (0, "")
    assert difference(big, Upscaler(gridded_bundle, threads=1, tile=256)(small)) <= 1
    check_all_vectors_pass(node("golden.mjs", gridded_bundle))


def test_a_network_that_sees_the_whole_picture_is_given_it(
    node: Node, pooling_bundle: Path, tmp_path: Path
) -> None:
    small = Image.fromarray(noise(20, 530, 3))
    small.save(tmp_path / "small.png")
    result = node("upscale.mjs", pooling_bundle, tmp_path / "small.png", tmp_path / "big.png")
    assert (result.returncode, result.stderr) == (0, "")
    assert difference(tmp_path / "big.png", Upscaler(pooling_bundle, threads=1)(small)) <= 1


def turned() -> Image.Image:
    image = Image.fromarray(noise(6, 9, 3))
    image.getexif()[0x0112] = 6
    return image


@pytest.mark.parametrize(
    ("image", "seen"),
    [
        (Image.fromarray(noise(6, 9)), "grey"),
        (turned(), "upright"),
    ],
    ids=["grey", "exif"],
)
def test_a_picture_of_another_kind_becomes_upright_rgb(
    node: Node, bundle: Path, tmp_path: Path, image: Image.Image, seen: str
) -> None:
    image.save(tmp_path / "small.png", exif=image.getexif())
    plain = image.transpose(Image.Transpose.ROTATE_270) if seen == "upright" else image
    result = node("upscale.mjs", bundle, tmp_path / "small.png", tmp_path / "big.png")
    assert result.stderr == ""
    expected = Upscaler(bundle, threads=1, tile=256)(plain.convert("RGB"))
    assert difference(tmp_path / "big.png", expected) <= 1


def test_a_variant_that_is_not_there_is_refused_by_name(node: Node, bundle: Path) -> None:
    result = node("upscale.mjs", bundle, "small.png", "big.png", "--variant", "int4")
    check_variant_is_refused(result)


def test_the_scripts_say_how_they_are_used(node: Node) -> None:
    for script, *words in (["upscale.mjs"], ["golden.mjs"], ["upscale.mjs", "a", "b", "c", "--x"]):
        result = node(script, *words)
        assert result.returncode == 2
        assert f"usage: node {script} BUNDLE" in result.stderr


@suffixes
def test_white_on_transparent_black_is_white_on_white(
    node: Node,
    disc: Path,
    shipped: Path,
    tmp_path: Path,
    suffix: str,
    check_disc: Callable[[Path], None],
) -> None:
    result = node("upscale.mjs", shipped, disc, tmp_path / f"big.{suffix}")
    assert (result.returncode, result.stderr) == (0, "")
    check_disc(tmp_path / f"big.{suffix}")


def test_what_is_missing_or_broken_ends_in_words(node: Node, shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    big = tmp_path / "big.png"
    for script, arguments, words in (
        (
            "upscale.mjs",
            (tmp_path / "nowhere", "small.png", big),
            "nowhere is not a bundle: it has no card.json",
        ),
        ("upscale.mjs", (shipped, tmp_path / "none.png", big), "Input file is missing"),
        ("upscale.mjs", (shipped, tmp_path / "no.png", big), "unsupported image format"),
        ("golden.mjs", (tmp_path / "nowhere",), "nowhere is not a bundle: it has no card.json"),
    ):
        result = node(script, *arguments)
        assert result.returncode == 1
        assert result.stderr.startswith("error: ")
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert not big.exists()
