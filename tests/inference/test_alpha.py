"""Enlarging what is transparent: no colour from below transparency reaches the edge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgesr import Upscaler
from edgesr.inference.alpha import extended
from edgesr.inference.upscale_files import upscale_file

EXPORTS = Path(__file__).parents[2] / "exports"
MODELS = sorted(path.relative_to(EXPORTS) for path in EXPORTS.glob("*/model*.onnx"))


def disc(colour: tuple[int, int, int], soft: bool) -> Image.Image:
    """An opaque disc on transparent black, its edge hard or a few pixels wide."""
    big = Image.new("L", (192, 192))
    ImageDraw.Draw(big).ellipse((30, 30, 160, 160), fill=255)
    alpha = big.resize((48, 48), Image.Resampling.BOX)
    if not soft:
        alpha = alpha.point(lambda level: 255 * (level > 127))
    rgba = np.zeros((48, 48, 4), np.uint8)
    rgba[np.asarray(alpha) > 0, :3] = colour
    rgba[..., 3] = alpha
    return Image.fromarray(rgba)


def on_white(image: Image.Image) -> np.ndarray:
    ground = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB"))


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_white_on_white_stays_white_in_every_model_that_ships(model: Path, soft: bool) -> None:
    upscaler = Upscaler(EXPORTS / model, threads=1)
    result = upscaler(disc((255, 255, 255), soft))
    assert result.mode == "RGBA"
    assert result.getchannel("A").getextrema() == (0, 255)
    # A file of eight bits may tint plain white a little; the edge adds nothing to that.
    plain = np.asarray(upscaler(Image.new("RGB", (48, 48), "white"))).min()
    assert on_white(result).min() >= (min(plain, 250) if "int8" in model.name else 250)


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_white_on_white_stays_white_in_every_format(tmp_path: Path, suffix: str) -> None:
    upscaler = Upscaler(EXPORTS / "edge-xs", threads=1)
    disc((255, 255, 255), True).save(tmp_path / "small.png")
    upscale_file(upscaler, tmp_path / "small.png", tmp_path / f"big.{suffix}")
    with Image.open(tmp_path / f"big.{suffix}") as result:
        assert on_white(result).min() >= 250


def test_the_disc_that_had_a_dark_edge_is_white_on_white(shared: Path) -> None:
    with Image.open(shared / "cases/alpha-disc.png") as image:
        result = Upscaler(EXPORTS / "edge-s", threads=1)(image)
    assert on_white(result).min() >= 250


def test_a_black_disc_on_transparent_white_stays_black() -> None:
    """The other way round: nothing bright bleeds in."""
    rgba = np.asarray(disc((0, 0, 0), False)).copy()
    rgba[rgba[..., 3] == 0, :3] = 255
    result = np.asarray(Upscaler(EXPORTS / "edge-s", threads=1)(rgba))
    assert result[result[..., 3] > 0, :3].max() <= 5


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (48, 31)])
@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (201, 77, 3)])
def test_a_flat_colour_goes_on_below_transparency(
    size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    rgba = np.zeros((*size, 4), np.uint8)
    rgba[size[0] // 2, size[1] // 2] = (*colour, 255)
    assert np.abs(extended(rgba).astype(int) - colour).max() <= 2


def test_opaque_and_translucent_colours_are_not_changed() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (33, 20, 4), dtype=np.uint8)
    seen = rgba[..., 3] >= 16
    assert np.array_equal(extended(rgba)[seen], rgba[..., :3][seen])
    assert extended(np.dstack([rgba[..., :3], np.full((33, 20), 255, np.uint8)])).base is not None


def test_hardly_visible_pixels_are_not_trusted() -> None:
    """Of white times 1/255 a canvas of 8 bits gives back 0 or 255, as it was rounded."""
    rgba = np.full((8, 8, 4), 255, np.uint8)
    rgba[:, 4:] = (0, 0, 0, 1)
    assert extended(rgba).min() > 235


def test_nothing_but_transparency_stays_as_it_is() -> None:
    assert (extended(np.zeros((9, 9, 4), np.uint8)) == 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiles_do_not_show_in_what_is_transparent(dtype: type) -> None:
    rgba = np.asarray(disc((240, 90, 10), True)).astype(dtype)
    if dtype == np.uint16:
        rgba *= 257
    whole, tiled = (Upscaler(EXPORTS / "edge-xs", threads=1, tile=tile)(rgba) for tile in (99, 11))
    assert whole.dtype == dtype
    assert np.array_equal(whole, tiled)
    opaque = whole[whole[..., 3] == np.iinfo(dtype).max]
    assert np.abs(opaque[:, 0] / np.iinfo(dtype).max - 240 / 255).max() < 0.05
