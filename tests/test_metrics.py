from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as torchmetrics_psnr,
)
from torchmetrics.functional.image import (
    structural_similarity_index_measure as torchmetrics_ssim,
)

from edgesr.data.degrade import bicubic_down, bicubic_up, crop_to_multiple, to_image, to_tensor
from edgesr.metrics import luma, psnr, psnr_rgb, ssim

Arrays = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def pair() -> Arrays:
    """A smooth picture and a noisy copy, neither side a multiple of the other."""
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[0:61, 0:83]
    smooth = 120 + 90 * np.sin(rows / 9)[..., None] * np.cos(columns[..., None] / [7, 11, 13])
    noisy = smooth + random.normal(0, 12, smooth.shape)
    return noisy.clip(0, 255).astype(np.uint8), smooth.clip(0, 255).astype(np.uint8)


def y_shaved(pair: Arrays) -> Arrays:
    a, b = (luma(picture)[4:-4, 4:-4] for picture in pair)
    return a, b


def test_luma_of_black_white_and_the_primaries() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0]]], np.uint8)
    np.testing.assert_allclose(luma(colours)[0], [16, 235, 81.481, 144.553], atol=1e-9)


def test_psnr_agrees_with_scikit_image_and_torchmetrics(pair: Arrays) -> None:
    sr, hr = y_shaved(pair)
    measured = psnr(*pair, 4)
    assert measured == pytest.approx(peak_signal_noise_ratio(hr, sr, data_range=255), abs=1e-9)
    theirs = torchmetrics_psnr(torch.from_numpy(sr), torch.from_numpy(hr), data_range=255.0)
    assert measured == pytest.approx(float(theirs), abs=1e-4)


def test_ssim_agrees_with_scikit_image_and_torchmetrics(pair: Arrays) -> None:
    sr, hr = y_shaved(pair)
    _, full = structural_similarity(
        sr, hr, data_range=255, gaussian_weights=True, use_sample_covariance=False, full=True
    )
    assert ssim(*pair, 4) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-9)
    tensors = (torch.from_numpy(y)[None, None] for y in (sr, hr))
    # torchmetrics' mean counts windows that it fills by reflection; its map has the others too.
    _, full = torchmetrics_ssim(*tensors, sigma=1.5, data_range=255.0, return_full_image=True)
    assert ssim(*pair, 4) == pytest.approx(float(full[..., 5:-5, 5:-5].mean()), abs=1e-9)


def test_ssim_agrees_with_its_definition(pair: Arrays) -> None:
    """The formula over every 11 x 11 window that lies wholly inside."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def local(image: np.ndarray) -> np.ndarray:
        return (np.lib.stride_tricks.sliding_window_view(image, (11, 11)) * window).sum((-2, -1))

    x, y = y_shaved(pair)
    mx, my = local(x), local(y)
    vx, vy, cov = local(x * x) - mx**2, local(y * y) - my**2, local(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(*pair, 4) == pytest.approx(value.mean(), abs=1e-9)


def test_identical_pictures(pair: Arrays) -> None:
    assert psnr(pair[0], pair[0], 4) == math.inf
    assert ssim(pair[0], pair[0], 4) == pytest.approx(1)


def test_what_is_shaved_off_does_not_count(pair: Arrays) -> None:
    sr, hr = pair
    spoilt = sr.copy()
    spoilt[:4], spoilt[:, -4:] = 0, 255
    assert psnr(spoilt, hr, 4) == psnr(sr, hr, 4)
    assert ssim(spoilt, hr, 4) == ssim(sr, hr, 4)
    assert psnr(spoilt, hr, shave=0) < psnr(sr, hr, shave=0)


def test_bicubic_on_set5_scores_what_the_field_publishes(shared: Path) -> None:
    scores = []
    for path in sorted((shared / "data/benchmarks/Set5").glob("*.png")):
        with Image.open(path) as image:
            hr = crop_to_multiple(np.asarray(image.convert("RGB")), 4)
        lr = to_image(bicubic_down(to_tensor(hr), 4))
        sr = to_image(bicubic_up(to_tensor(lr), 4))
        scores.append((psnr(sr, hr, 4), ssim(sr, hr, 4)))
    assert len(scores) == 5
    mean_psnr, mean_ssim = np.mean(scores, axis=0)
    assert mean_psnr == pytest.approx(28.42, abs=0.02)
    assert mean_ssim == pytest.approx(0.8104, abs=0.001)


def test_a_tint_that_luma_hardly_sees_costs_psnr_on_rgb() -> None:
    grey = np.full((32, 32, 3), 128, np.uint8)
    tinted = grey.copy()
    tinted[..., 2] += 10
    assert psnr(tinted, grey, 4) > 48
    assert psnr_rgb(tinted, grey, 4) == pytest.approx(10 * np.log10(255**2 * 3 / 100))
    assert psnr_rgb(grey, grey, shave=0) == np.inf
