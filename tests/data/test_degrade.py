"""Bicubic as MATLAB's imresize has it, against an implementation by weight matrices."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edgesr.data import degrade
from edgesr.data.degrade import (
    bicubic_down,
    bicubic_up,
    crop_to_multiple,
    enlarge,
    pair,
    quantise,
)
from edgesr.errors import DataError

Array = NDArray[np.float64]
quick = settings(deadline=None, max_examples=25)
sides = st.integers(1, 12)
seeds = st.integers(0, 2**31)


def cubic(x: Array) -> Array:
    """The cubic kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def weights(n_in: int, factor: float) -> Array:
    """(n_out, n_in): what each input pixel gives to each output pixel."""
    n_out = round(n_in * factor)
    squeeze = min(factor, 1.0)
    centres = (np.arange(n_out) + 0.5) / factor - 0.5
    reach = math.ceil(2 / squeeze) + 1
    matrix = np.zeros((n_out, n_in))
    for row, centre in enumerate(centres):
        at = np.arange(math.floor(centre) - reach, math.floor(centre) + reach + 1)
        w = cubic((centre - at) * squeeze)
        mirrored = np.concatenate([np.arange(n_in), np.arange(n_in)[::-1]])[at % (2 * n_in)]
        np.add.at(matrix[row], mirrored, w / w.sum())
    return matrix


def imresize(image: Array, factor: float) -> Array:
    height, width = image.shape[-2:]
    return weights(height, factor) @ image @ weights(width, factor).T


def noise(seed: int, height: int, width: int, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, height, width, generator=generator)


@quick
@given(sides, sides, seeds)
def test_down_is_matlabs_imresize_at_any_size_even_4x4(h: int, w: int, seed: int) -> None:
    hr = noise(seed, 4 * h, 4 * w)
    expected = imresize(hr.double().numpy(), 1 / 4)
    assert np.abs(bicubic_down(hr, 4).numpy() - expected).max() < 1e-5


@quick
@given(sides, sides, seeds)
def test_up_is_matlabs_imresize_at_any_size_even_1x1(h: int, w: int, seed: int) -> None:
    lr = noise(seed, h, w)
    expected = imresize(lr.double().numpy(), 4)
    assert bicubic_up(lr, 4).shape == (1, 3, 4 * h, 4 * w)
    assert np.abs(bicubic_up(lr, 4).numpy() - expected).max() < 1e-5


@quick
@given(sides, sides, st.floats(0, 1))
def test_a_constant_image_stays_constant(h: int, w: int, value: float) -> None:
    hr = torch.full((1, 3, 4 * h, 4 * w), value)
    assert (bicubic_down(hr, 4) - hr[..., :h, :w]).abs().max() < 1e-5
    assert (bicubic_up(bicubic_down(hr, 4), 4) - hr).abs().max() < 1e-5


@quick
@given(sides, sides, seeds, st.floats(-2, 2))
def test_down_is_linear_in_its_input(h: int, w: int, seed: int, factor: float) -> None:
    a, b = noise(seed, 4 * h, 4 * w, batch=2).split(1)
    together = bicubic_down(a + factor * b, 4)
    assert (together - bicubic_down(a, 4) - factor * bicubic_down(b, 4)).abs().max() < 1e-5


@quick
@given(sides, sides, seeds)
def test_down_commutes_with_flips_and_quarter_turns(h: int, w: int, seed: int) -> None:
    hr = noise(seed, 4 * h, 4 * w)
    lr = bicubic_down(hr, 4)
    for axes in ([-1], [-2], [-1, -2]):
        assert (bicubic_down(hr.flip(axes), 4) - lr.flip(axes)).abs().max() < 1e-5
    assert (bicubic_down(hr.mT, 4) - lr.mT).abs().max() < 1e-5


@quick
@given(seeds)
def test_every_image_of_a_batch_is_reduced_alone(seed: int) -> None:
    hr = noise(seed, 20, 12, batch=3)
    assert torch.equal(bicubic_down(hr, 4)[1:2], bicubic_down(hr[1:2], 4))


@pytest.mark.parametrize("size", [(8, 9), (7, 8), (0, 4)])
def test_down_refuses_sides_that_are_no_multiple_of_the_scale(size: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=f"{size[1]} x {size[0]} pixels"):
        bicubic_down(torch.zeros(1, 3, *size), 4)


def test_quantise_clips_and_rounds_a_half_upwards() -> None:
    x = torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.2, 126.4 / 255])  # 0.5 * 255 = 127.5
    assert (quantise(x) * 255).round().tolist() == [0, 0, 128, 255, 255, 126]


@quick
@given(st.integers(0, 255))
def test_quantise_leaves_8_bit_steps_as_they_are(value: int) -> None:
    step = torch.tensor(value, dtype=torch.uint8).float() / 255
    assert torch.equal(quantise(step), step)


def test_crop_cuts_bottom_and_right_only() -> None:
    array = np.arange(11 * 6 * 3, dtype=np.uint8).reshape(11, 6, 3)
    assert np.array_equal(crop_to_multiple(array, 4), array[:8, :4])


def test_crop_refuses_to_leave_nothing() -> None:
    with pytest.raises(DataError, match="40 x 3 pixels is smaller than 4 x 4"):
        crop_to_multiple(np.zeros((3, 40, 3), np.uint8), 4)


def test_set5_by_bicubic_scores_the_published_28_42_db(shared: Path) -> None:
    scores = []
    for path in sorted((shared / "data/benchmarks/Set5").glob("*.png")):
        hr = crop_to_multiple(np.asarray(Image.open(path).convert("RGB")), 4)
        image = torch.from_numpy(hr.copy()).permute(2, 0, 1)[None].float() / 255
        sr = quantise(bicubic_up(quantise(bicubic_down(image, 4)), 4))
        to_luma = torch.tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1)
        difference = ((sr - image) * to_luma).sum(1)[..., 4:-4, 4:-4]
        scores.append(10 * math.log10(255**2 / float((difference**2).mean())))
    assert len(scores) == 5
    assert sum(scores) / 5 == pytest.approx(28.42, abs=0.02)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_photograph_in_bands_is_what_it_is_in_one_piece(
    scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (61, 50, 3), np.uint8)
    whole, control = pair(picture, scale), enlarge(picture, scale)
    monkeypatch.setattr(degrade, "BAND", 5)
    for one, other in zip(pair(picture, scale), whole, strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(enlarge(picture, scale), control)
    hr, lr = whole
    assert hr.shape == (scale * lr.shape[0], scale * lr.shape[1], 3)
