"""Windows of one size: a picture that has them whole is as it is in one piece."""

from __future__ import annotations

import numpy as np
import pytest

from edgesr.inference.padding import padded
from edgesr.inference.windows import Array, in_windows

HALO, WINDOW = 1, (5, 7)


def model(lr: Array) -> Array:
    """Twice as large, and a pixel is the sum of those around it: a halo of 1."""
    beyond = np.pad(lr, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = lr.shape[2:]
    sums = [beyond[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.sum(sums, axis=0).repeat(2, axis=2).repeat(2, axis=3)


def of_one_size(lr: Array) -> Array:
    assert lr.shape == (1, 3, *WINDOW)
    return model(lr)


@pytest.mark.parametrize("size", [(5, 7), (6, 8), (13, 7), (23, 31)])
def test_a_picture_of_a_window_or_more_is_that_of_the_whole(size: tuple[int, int]) -> None:
    lr = np.random.default_rng(0).random((2, 3, *size))
    found = in_windows(of_one_size, (2, 3), WINDOW, HALO)(lr)
    np.testing.assert_array_equal(found, model(lr))


@pytest.mark.parametrize("size", [(1, 1), (3, 31), (12, 2)])
def test_a_smaller_one_is_mirrored_up_to_a_window(size: tuple[int, int]) -> None:
    lr = np.random.default_rng(0).random((1, 3, *size))
    large = padded(lr, (2, 3), 1, WINDOW)
    expected = model(large)[:, :, : 2 * size[0], : 2 * size[1]]
    np.testing.assert_array_equal(in_windows(of_one_size, (2, 3), WINDOW, HALO)(lr), expected)


def test_pictures_with_their_channels_last_are_cut_alike() -> None:
    lr = np.random.default_rng(0).random((1, 23, 31, 3))
    last = (0, 2, 3, 1)
    found = in_windows(
        lambda part: of_one_size(part.transpose(0, 3, 1, 2)).transpose(last), (1, 2), WINDOW, HALO
    )(lr)
    np.testing.assert_array_equal(found, model(lr.transpose(0, 3, 1, 2)).transpose(last))
