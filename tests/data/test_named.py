"""Named degradations: what a name does, what it draws, and which names are refused."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageFilter

from edgesr.data import photos
from edgesr.data.degrade import pair
from edgesr.data.named import parse, parse_all, seed_of
from edgesr.data.photos import Pixels
from edgesr.errors import DataError


@pytest.fixture(scope="module")
def coffee() -> Pixels:
    return photos.decode(photos.embedded().train[0])[60:160, 100:240]


def lr(hr: Pixels, name: str, seed: int = 0) -> Pixels:
    return pair(hr, 4, parse(name), seed)[1]


def test_clean_is_the_bicubic_that_everything_else_measures_on(coffee: Pixels) -> None:
    np.testing.assert_array_equal(lr(coffee, "clean"), pair(coffee, 4)[1])


def test_jpeg_is_pillows_own_with_halved_colours(coffee: Pixels) -> None:
    file = io.BytesIO()
    Image.fromarray(pair(coffee, 4)[1]).save(file, "JPEG", quality=40, subsampling="4:2:0")
    np.testing.assert_array_equal(lr(coffee, "jpeg40"), np.asarray(Image.open(file)))


def test_blur_comes_before_the_reduction_and_has_a_usual_radius(coffee: Pixels) -> None:
    soft = np.asarray(Image.fromarray(coffee).filter(ImageFilter.GaussianBlur(2.5)))
    np.testing.assert_array_equal(lr(coffee, "blur"), pair(soft, 4)[1])
    np.testing.assert_array_equal(lr(coffee, "blur"), lr(coffee, "blur2.5"))
    assert (lr(coffee, "blur") != lr(coffee, "blur1.5")).any()


def test_noise_has_its_levels_and_is_drawn_from_the_seed() -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    assert lr(grey, "noise10").std() == pytest.approx(10, rel=0.05)
    np.testing.assert_array_equal(lr(grey, "noise10", seed=1), lr(grey, "noise10", seed=1))
    assert (lr(grey, "noise10", seed=1) != lr(grey, "noise10", seed=2)).any()


def test_steps_on_lr_are_done_in_the_order_of_the_name(coffee: Pixels) -> None:
    assert (lr(coffee, "noise10-jpeg40") != lr(coffee, "jpeg40-noise10")).any()


@pytest.mark.parametrize(("good", "bad"), [("h264crf20", "h264crf34"), ("av1crf30", "av1crf55")])
def test_a_frame_of_a_video_is_worse_at_a_higher_crf_and_always_the_same(
    good: str, bad: str, coffee: Pixels
) -> None:
    clean = lr(coffee, "clean").astype(float)
    errors = [np.abs(lr(coffee, name) - clean).mean() for name in (good, bad)]
    assert 0 < errors[0] < errors[1] < 12
    np.testing.assert_array_equal(lr(coffee, bad, seed=1), lr(coffee, bad, seed=2))


@pytest.mark.parametrize("name", ["area", "lanczos", "cubic"])
def test_other_reductions_keep_the_picture_in_its_place(name: str, coffee: Pixels) -> None:
    difference = lr(coffee, name).astype(float) - lr(coffee, "clean")
    assert np.abs(difference).max() > 0
    assert abs(difference.mean()) < 1


def test_bicubic_without_antialiasing_is_opencvs() -> None:
    """Its kernel at a half: -3/32 and 19/32 on each side, whatever lies beyond."""
    hr = np.tile(np.array([0, 100, 200, 50], np.uint8)[None, :, None], (4, 1, 3))
    row = np.array([-3, 19, 19, -3]) / 32
    assert lr(hr, "cubic")[0, 0, 0] == round(float(row @ [0, 100, 200, 50]))


def test_nearest_takes_pixels_as_they_are(coffee: Pixels) -> None:
    np.testing.assert_array_equal(lr(coffee, "nearest"), coffee[2::4, 2::4])


def test_a_seed_is_of_the_name_alone() -> None:
    assert seed_of("kodim01") == seed_of("kodim01") != seed_of("kodim02")


def test_names_are_read_once_each_in_their_order() -> None:
    assert [chain.name for chain in parse_all("jpeg75, clean,jpeg75")] == ["jpeg75", "clean"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("jpg75", "'jpg75' is not a step.*\n.*jpegQ"),
        ("", "'' is not a step"),
        ("jpeg", "expected a whole number from 1 to 100 behind jpeg"),
        ("jpeg101", "expected a whole number from 1 to 100"),
        ("webp7.5", "expected a whole number"),
        ("noise0", "expected a number from 0.1 to 100 behind noise"),
        ("clean3", "clean takes no number"),
        ("jpeg40-blur", "expected blur first"),
        ("area-lanczos", "at most one reduction"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_what_is_known(name: str, said: str) -> None:
    with pytest.raises(DataError) as fault:
        parse(name)
    assert re.search(said, str(fault.value))
