"""Degraded LR: where its pixels lie, where its blocks begin, and that it can be made again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.registration import phase_cross_correlation

from edgesr.data import photos
from edgesr.data.degradation import degrade, through
from edgesr.data.degrade import bicubic_down, crop_to_multiple, to_image, to_tensor
from edgesr.data.photos import Pixels
from edgesr.data.regions import degraded
from edgesr.recipe import Real

OFF = dict.fromkeys(
    ("clean", "second", "blur", "resize", "sharpen", "noise", "jpeg", "webp", "final_sinc"), 0.0
)
STEPS: dict[str, dict[str, Any]] = {
    **{name: {"filters": [name]} for name in ("bicubic", "bilinear", "area", "lanczos")},
    "another size first": {"resize": 1.0},
    "a second time": {"second": 1.0},
    "round blur": {"blur": 1.0, "anisotropic": 0.0, "generalised": 0.0, "sinc": 0.0},
    "long blur": {"blur": 1.0, "isotropic": 0.0, "generalised": 0.0, "sinc": 0.0},
    "generalised blur": {"blur": 1.0, "isotropic": 0.0, "anisotropic": 0.0, "sinc": 0.0},
    "sinc": {"blur": 1.0, "isotropic": 0.0, "anisotropic": 0.0, "generalised": 0.0},
    "sharpening": {"sharpen": 1.0},
    "noise": {"noise": 1.0},
    "jpeg": {"jpeg": 1.0},
    "webp": {"webp": 1.0},
    "h264": {"h264": 1.0, "h264_crf": [26, 30]},
    "av1": {"av1": 1.0, "av1_crf": [40, 50]},
    "sinc at the end": {"final_sinc": 1.0},
}


@pytest.fixture(scope="module")
def coffee() -> Pixels:
    return photos.decode(photos.embedded().train[0])[60:300, 100:340]


def reduced(hr: Pixels, scale: int) -> Pixels:
    return to_image(bicubic_down(to_tensor(hr), scale))


def only(**steps: Any) -> Real:
    return Real(**OFF | steps)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("step", STEPS)
def test_no_step_moves_the_picture(coffee: Pixels, step: str, scale: int) -> None:
    hr = crop_to_multiple(coffee, scale)
    clean = reduced(hr, scale).mean(2)
    for seed in range(3):
        lr = degrade(hr, scale, only(**STEPS[step]), np.random.default_rng(seed)).mean(2)
        assert lr.shape == clean.shape
        moved, *_ = phase_cross_correlation(clean, lr, upsample_factor=20, normalization=None)
        assert np.abs(moved).max() <= 0.1


@pytest.mark.parametrize("step", list(STEPS)[4:])
def test_every_step_changes_the_picture_and_keeps_its_brightness(coffee: Pixels, step: str) -> None:
    lr, plain = (
        degrade(coffee, 4, only(filters=["area"], **steps), np.random.default_rng(1)).astype(float)
        for steps in (STEPS[step], {})
    )
    assert 0.2 < np.abs(lr - plain).mean() < 20
    assert np.abs((lr - plain).mean((0, 1))).max() < 2


def test_the_same_seed_degrades_alike_and_another_otherwise(coffee: Pixels) -> None:
    clean = reduced(coffee, 4)
    first, again, other = (degraded(coffee, clean, 4, Real(), seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_all_regions_are_clean_where_the_recipe_says_so(coffee: Pixels) -> None:
    clean = reduced(coffee, 4)
    assert np.array_equal(degraded(coffee, clean, 4, Real(clean=1.0), 0), clean)


def test_regions_of_one_photograph_are_degraded_each_in_its_own_way() -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    by = only(noise=1.0, noise_sigma=[1.0, 20.0], poisson=0.0).model_copy(update={"region": 64})
    lr = degraded(grey, reduced(grey, 4), 4, by, 0).astype(float)
    spread = lr.reshape(4, 16, 4, 16, 3).std((1, 3, 4))
    assert spread.max() > 2 * spread.min()
    assert len(np.unique(spread)) == 16


def test_blocks_of_a_jpeg_begin_at_every_pixel() -> None:
    """In a smooth ramp at a low quality the steps lie at the edges of blocks."""
    ramp = np.repeat(np.linspace(60, 190, 96)[None, :, None], 96, 0).repeat(3, 2).astype(np.uint8)
    by = only(jpeg=1.0, jpeg_quality=[5, 5])
    phases = set()
    for seed in range(64):
        lr = degrade(ramp, 1, by, np.random.default_rng(seed)).mean((0, 2))
        steps = np.abs(np.diff(lr))[8:88].reshape(-1, 8).mean(0)
        phases.add(int(steps.argmax()))
    assert phases == set(range(8))


def test_what_goes_through_a_codec_with_pixels_before_it_keeps_its_place(coffee: Pixels) -> None:
    stored = through("JPEG", coffee, 3, 5, quality=95, subsampling=0)
    assert stored.shape == coffee.shape
    assert np.abs(stored.astype(float) - coffee).mean() < 3


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("noise", {"noise": 1.0, "noise_sigma": [10.0, 10.0], "poisson": 0.0, "grey": 0.0}),
        ("grey noise", {"noise": 1.0, "noise_sigma": [10.0, 10.0], "poisson": 0.0, "grey": 1.0}),
    ],
)
def test_noise_has_the_stated_deviation_and_grey_noise_one_value_for_all_colours(
    kind: str, made: dict[str, Any]
) -> None:
    flat = np.full((128, 128, 3), 128, np.uint8)
    lr = degrade(flat, 1, only(**made), np.random.default_rng(0)).astype(float)
    assert lr.std() == pytest.approx(10, rel=0.05)
    same = np.array_equal(lr[..., 0], lr[..., 1])
    assert same == (kind == "grey noise")


def test_poisson_noise_grows_with_the_brightness() -> None:
    halves = np.concatenate([np.full((64, 64, 3), v, np.uint8) for v in (40, 160)], axis=1)
    by = only(noise=1.0, noise_sigma=[10.0, 10.0], poisson=1.0)
    lr = degrade(halves, 1, by, np.random.default_rng(0)).astype(float)
    assert lr[:, 64:].std() / lr[:, :64].std() == pytest.approx(2.0, rel=0.1)
