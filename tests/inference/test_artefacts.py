"""JPEG and noise, found in the pixels of a picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgesr.data import pages, photos
from edgesr.data.degrade import reduce
from edgesr.inference.artefacts import jpeg_quality, noise

Pixels = NDArray[np.uint8]

PHOTOGRAPHS = ("chelsea", "coffee", "rocket", "astronaut")


@pytest.fixture(scope="module")
def pictures() -> dict[str, Pixels]:
    """Clean ones: photographs reduced four times, and drawn pages."""
    split = photos.embedded()
    files = {path.stem: photos.decode(path) for path in (*split.train, *split.validation)}
    cut = {name: files[name][: files[name].shape[0] // 4 * 4] for name in PHOTOGRAPHS}
    small = {name: reduce(hr[:, : hr.shape[1] // 4 * 4], 4) for name, hr in cut.items()}
    return small | {f"page {n}": pages.page(n)[:192, :192] for n in (0, 3, 5)}


def stored(picture: Pixels, quality: int, top: int = 0, left: int = 0, **options: int) -> Pixels:
    """Decoded from a JPEG of `quality`, then `top` rows and `left` columns cut off."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, **options)
    return np.array(Image.open(file).convert("RGB"))[top:, left:]


def grained(picture: Pixels, sigma: float, colours: int = 3) -> Pixels:
    """With Gaussian noise, of each colour its own or grey."""
    rng = np.random.default_rng(0)
    grain = rng.normal(0, sigma, (*picture.shape[:2], colours))
    return np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)


def test_a_clean_picture_was_no_jpeg_and_has_no_noise(pictures: dict[str, Pixels]) -> None:
    for name, picture in pictures.items():
        assert jpeg_quality(picture) is None, name
        assert noise(picture) < 2, name


@pytest.mark.parametrize("quality", [30, 40, 60, 75, 85, 90])
@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 2}])
def test_a_photographs_quality_is_found_in_its_pixels_wherever_its_blocks_begin(
    pictures: dict[str, Pixels], quality: int, options: dict[str, int]
) -> None:
    for number, name in enumerate(PHOTOGRAPHS):
        found = jpeg_quality(stored(pictures[name], quality, number, 2 * number + 1, **options))
        assert found == pytest.approx(quality, abs=3), name


def test_a_jpeg_of_quality_95_is_found_and_is_not_taken_for_a_worse_one(
    pictures: dict[str, Pixels],
) -> None:
    for name in PHOTOGRAPHS:
        found = jpeg_quality(stored(pictures[name], 95))
        assert found is not None, name
        assert found >= 95, name


@pytest.mark.parametrize("quality", [30, 60, 85])
def test_a_drawn_page_that_was_a_jpeg_is_told_from_one_that_was_not(
    pictures: dict[str, Pixels], quality: int
) -> None:
    for name in pictures.keys() - set(PHOTOGRAPHS):
        found = jpeg_quality(stored(pictures[name], quality, 3, 5))
        assert found is not None, name
        assert found < 95, name


def test_grey_and_transparent_pictures_of_8_and_16_bits_are_judged_alike(
    pictures: dict[str, Pixels],
) -> None:
    spoilt = stored(pictures["coffee"], 60)
    grey = spoilt @ np.array([0.299, 0.587, 0.114])
    clear = np.dstack([spoilt, np.zeros(spoilt.shape[:2], np.uint8)])
    for same in (clear, spoilt.astype(np.uint16) * 257, np.rint(grey).astype(np.uint8)):
        assert jpeg_quality(same) == 60


def test_a_jpeg_that_was_resized_since_shows_no_grid(pictures: dict[str, Pixels]) -> None:
    spoilt = Image.fromarray(stored(pictures["coffee"], 60))
    assert jpeg_quality(np.array(spoilt.resize((140, 90), Image.Resampling.BICUBIC))) is None


@pytest.mark.parametrize("sigma", [5.0, 10.0, 15.0])
def test_coloured_noise_is_measured_and_by_half_where_it_is_clipped_at_black(
    pictures: dict[str, Pixels], sigma: float
) -> None:
    for name, picture in pictures.items():
        least = 0.5 if name == "astronaut" else 0.65
        assert least * sigma < noise(grained(picture, sigma)) < 1.1 * sigma, name


def test_grey_noise_is_found_in_most_photographs(pictures: dict[str, Pixels]) -> None:
    found = [noise(grained(pictures[name], 10, colours=1)) for name in PHOTOGRAPHS]
    assert sum(levels > 5 for levels in found) >= 3


def test_a_picture_smaller_than_three_blocks_is_not_judged() -> None:
    tiny = np.random.default_rng(0).integers(0, 256, (20, 15, 3), dtype=np.uint8)
    assert jpeg_quality(stored(tiny, 30)) is None
    assert noise(tiny[:12]) == 0


def test_one_flat_colour_has_neither() -> None:
    flat = np.full((200, 300, 3), 128, np.uint8)
    assert jpeg_quality(flat) is None
    assert noise(flat) == 0
