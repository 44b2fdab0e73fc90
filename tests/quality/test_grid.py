"""The lattice of `scale` pixels: found by its amplitude, and not mistaken for detail or noise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgesr.data import photos
from edgesr.data.degrade import enlarge, pair
from edgesr.metrics import Image
from edgesr.quality.grid import grid


@pytest.fixture(scope="module")
def hr() -> Image:
    """Within 64..191, so that nothing added to it is clipped."""
    return pair(photos.decode(photos.embedded().train[0])[:192, :240] // 2 + 64, 12)[0]


def lattice(shape: tuple[int, ...], scale: int, amplitude: float) -> NDArray[np.float64]:
    """One pixel of each scale x scale brighter, of mean 0 and root mean square `amplitude`."""
    tile = np.zeros((scale, scale))
    tile[0, 0] = 1
    tile = amplitude * (tile - tile.mean()) / tile.std()
    return np.tile(tile, (shape[0] // scale, shape[1] // scale))[..., None]


def added(picture: Image, pattern: NDArray[np.float64]) -> Image:
    return np.clip(np.rint(picture + pattern), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("step", [3, 9])
def test_on_a_flat_picture_it_is_the_lattices_own_energy(scale: int, step: int) -> None:
    """Over that of half a level, which any ground truth counts as having."""
    flat = np.full((96, 96, 3), 128, np.uint8)
    brighter = flat.copy()
    brighter[::scale, ::scale] += step
    energy = step**2 * (scale**2 - 1) / scale**4
    assert grid(flat, flat, scale) == 0
    assert grid(brighter, flat, scale) == pytest.approx(energy / 0.5**2, rel=0.01)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_on_a_photograph_it_grows_about_as_a_lattices_energy(scale: int, hr: Image) -> None:
    plain = enlarge(pair(hr, scale)[1], scale)
    found = [grid(added(plain, lattice(hr.shape, scale, a)), hr, scale) for a in (2, 4, 8)]
    assert found[0] > 1
    assert 2 * found[0] < found[1] < 8 * found[0]
    assert 2 * found[1] < found[2] < 8 * found[1]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_has_none(scale: int, hr: Image) -> None:
    assert grid(enlarge(pair(hr, scale)[1], scale), hr, scale) < 0.1


def test_noise_has_all_frequencies_and_is_not_a_lattice(hr: Image) -> None:
    noise = np.random.default_rng(0).normal(0, 4, hr.shape)
    noisy = grid(added(hr, noise), hr, 4)
    same_energy = grid(added(hr, lattice(hr.shape, 4, 4)), hr, 4)
    assert noisy < same_energy / 20


def test_a_lattice_of_another_period_is_not_this_one(hr: Image) -> None:
    plain = enlarge(pair(hr, 4)[1], 4)
    other = grid(added(plain, lattice(hr.shape, 3, 2)), hr, 4)
    assert other < grid(added(plain, lattice(hr.shape, 4, 2)), hr, 4) / 20


def test_a_lattice_in_one_colour_counts(hr: Image) -> None:
    plain = enlarge(pair(hr, 4)[1], 4)
    red = lattice(hr.shape, 4, 3) * np.array([1, 0, 0])
    assert grid(added(plain, red), hr, 4) > 10 * grid(plain, hr, 4)


def test_pictures_smaller_than_a_block_are_not_judged(hr: Image) -> None:
    assert grid(hr[:31], hr[:31], 4) is None
    assert grid(hr[:32, :32], hr[:32, :32], 4) is not None
