"""Tiling: every pixel kept once, and the same picture as in one piece."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import correlate

from edgesr.inference.tiling import Pixels, Run, bands, spans, to_bytes, to_picture

LENGTH = st.integers(1, 40)


@settings(deadline=None, max_examples=200)
@given(length=LENGTH, tile=st.integers(1, 20), halo=st.integers(0, 12))
def test_windows_lie_inside_cover_once_and_have_one_side(length: int, tile: int, halo: int) -> None:
    covered = np.zeros(length, int)
    sides = set()
    for read, keep in spans(length, tile + 2 * halo, halo):
        covered[keep] += 1
        assert 0 <= read.start <= keep.start < keep.stop <= read.stop <= length
        assert read.start == 0 or keep.start - read.start >= halo
        assert read.stop == length or read.stop - keep.stop >= halo
        sides.add(read.stop - read.start)
    assert (covered == 1).all()
    assert len(sides) == 1


def test_windows_are_no_more_than_needed() -> None:
    # 288 pixels are read at once: a length of 288 is one window, not two.
    assert len(list(spans(288, 288, 16))) == 1
    assert len(list(spans(544, 288, 16))) == 2
    assert len(list(spans(545, 288, 16))) == 3


def blur(radius: int) -> NDArray[np.float64]:
    kernel = np.random.default_rng(radius).random((2 * radius + 1, 2 * radius + 1))
    return kernel / kernel.sum()


def model(radius: int) -> Run:
    """One that pads with zeros, as convolutions do."""

    def run(lr: Pixels) -> Pixels:
        planes = [correlate(c / 255, blur(radius), mode="constant") for c in np.moveaxis(lr, 2, 0)]
        return to_picture(np.stack(planes).repeat(4, axis=1).repeat(4, axis=2).astype(np.float32))

    return run


def tiled(run: Run, lr: Pixels, sides: tuple[int, int], halo: int) -> Pixels:
    return np.concatenate(list(bands(run, lr, scale=4, sides=sides, halo=halo)))


@settings(deadline=None, max_examples=40)
@given(
    height=LENGTH,
    width=LENGTH,
    tiles=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    radius=st.integers(0, 4),
    slack=st.integers(0, 2),
    seed=st.integers(0, 9),
)
def test_tiled_equals_whole_for_a_model_that_pads_with_zeros(
    height: int, width: int, tiles: tuple[int, int], radius: int, slack: int, seed: int
) -> None:
    lr = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    halo, run = radius + slack, model(radius)
    sides = tiles[0] + 2 * halo, tiles[1] + 2 * halo
    assert np.array_equal(tiled(run, lr, sides, halo), run(lr))


def test_a_halo_that_is_too_small_is_seen() -> None:
    # Shows that the property above can fail: without its halo the seams differ.
    lr = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert not np.array_equal(tiled(model(3), lr, (8, 8), 0), model(3)(lr))


def test_bands_come_one_by_one() -> None:
    seen: list[int] = []

    def run(lr: Pixels) -> Pixels:
        seen.append(len(lr))
        return lr.repeat(4, axis=0).repeat(4, axis=1)

    coming = bands(run, np.zeros((9, 5, 1), np.uint8), scale=4, sides=(3, 3), halo=0)
    assert next(coming).shape == (12, 20, 1)
    assert seen == [3, 3]
    assert [len(band) for band in coming] == [12, 12]


def test_each_tile_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    coming = bands(
        lambda lr: lr.repeat(4, axis=0).repeat(4, axis=1),
        np.zeros((10, 6, 3), np.uint8),
        scale=4,
        sides=(5, 5),
        halo=0,
        on_tile=lambda done, total: seen.append((done, total)),
    )
    assert len(list(coming)) == 2
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_values_are_clipped_and_rounded_half_up() -> None:
    values = np.array([-1.0, 0.5 / 255, 0.49 / 255, 1.0, 7.0], np.float32)
    assert to_bytes(values).tolist() == [0, 1, 0, 255, 255]


def test_channels_come_last_in_a_picture_of_many_blocks() -> None:
    values = np.random.default_rng(0).random((3, 150, 2), dtype=np.float32)
    assert np.array_equal(to_picture(values), to_bytes(values).transpose(1, 2, 0))
