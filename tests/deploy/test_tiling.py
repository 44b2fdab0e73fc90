"""Tiling: every pixel kept once, and the same picture as in one piece."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import correlate

from edgesr.deploy.tiling import to_bytes, upscale_tiled, windows

SIDE = st.integers(1, 40)


@settings(deadline=None, max_examples=100)
@given(height=SIDE, width=SIDE, tile=st.integers(1, 20), halo=st.integers(0, 12))
def test_windows_lie_inside_cover_once_and_have_one_shape(
    height: int, width: int, tile: int, halo: int
) -> None:
    covered = np.zeros((height, width), int)
    shapes = set()
    for window in windows(height, width, tile=tile, halo=halo):
        covered[window.keep_rows, window.keep_columns] += 1
        for read, keep, length in (
            (window.rows, window.keep_rows, height),
            (window.columns, window.keep_columns, width),
        ):
            assert 0 <= read.start <= keep.start < keep.stop <= read.stop <= length
            assert read.start == 0 or keep.start - read.start >= halo
            assert read.stop == length or read.stop - keep.stop >= halo
        shapes.add(
            (window.rows.stop - window.rows.start, window.columns.stop - window.columns.start)
        )
    assert (covered == 1).all()
    assert len(shapes) == 1


def blur(radius: int) -> NDArray[np.float64]:
    kernel = np.random.default_rng(radius).random((2 * radius + 1, 2 * radius + 1))
    return kernel / kernel.sum()


@settings(deadline=None, max_examples=40)
@given(
    height=SIDE,
    width=SIDE,
    tile=st.integers(1, 20),
    radius=st.integers(0, 4),
    slack=st.integers(0, 2),
    seed=st.integers(0, 9),
)
def test_tiled_equals_whole_for_a_model_that_pads_with_zeros(
    height: int, width: int, tile: int, radius: int, slack: int, seed: int
) -> None:
    kernel = blur(radius)

    def model(lr: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = [correlate(c, kernel, mode="constant") for c in lr[0].astype(np.float64)]
        large = np.stack(rows).repeat(4, axis=1).repeat(4, axis=2)
        return large[None].astype(np.float32)

    lr = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    tiled = upscale_tiled(model, lr, scale=4, tile=tile, halo=radius + slack)
    whole = to_bytes(model(lr.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))[0])
    assert np.array_equal(tiled, whole.transpose(1, 2, 0))


def test_a_halo_that_is_too_small_is_seen() -> None:
    # Shows that the property above can fail: without its halo the seams differ.
    def model(lr: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = [correlate(c, blur(3), mode="constant") for c in lr[0]]
        return np.stack(rows).repeat(4, axis=1).repeat(4, axis=2)[None]

    lr = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    tiled = upscale_tiled(model, lr, scale=4, tile=8, halo=0)
    assert not np.array_equal(tiled, upscale_tiled(model, lr, scale=4, tile=20, halo=0))


def test_windows_are_no_more_than_needed() -> None:
    # 288 pixels are read at once: an image of that side is one window, not four.
    assert len(windows(288, 288, tile=256, halo=16)) == 1
    assert len(windows(289, 544, tile=256, halo=16)) == 4


def test_a_given_array_is_filled_in_place() -> None:
    sr = np.zeros((8, 8, 4), np.uint8)
    upscale_tiled(
        lambda lr: lr.repeat(4, axis=2).repeat(4, axis=3),
        np.full((2, 2, 3), 7, np.uint8),
        scale=4,
        tile=1,
        halo=0,
        into=sr[..., :3],
    )
    assert (sr == [7, 7, 7, 0]).all()


def test_values_are_clipped_and_rounded_half_up() -> None:
    values = np.array([-1.0, 0.5 / 255, 0.49 / 255, 1.0, 7.0], np.float32)
    assert to_bytes(values).tolist() == [0, 1, 0, 255, 255]


def test_each_tile_is_reported() -> None:
    seen: list[tuple[int, int]] = []
    upscale_tiled(
        lambda lr: lr.repeat(4, axis=2).repeat(4, axis=3),
        np.zeros((10, 6, 3), np.uint8),
        scale=4,
        tile=5,
        halo=0,
        on_tile=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
