"""Drawn pictures: of their kind, of any size, the same each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgesr.data import drawn

DRAWN = [drawn.text, drawn.drawing, drawn.logo, drawn.checkerboard, drawn.dithering, drawn.noise]


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize("size", [(1, 1), (17, 40), (96, 64)])
def test_a_picture_has_the_size_that_is_asked_and_is_the_same_each_time(
    draw: Callable[[int, int], drawn.Pixels], size: tuple[int, int]
) -> None:
    pixels = draw(*size)
    assert (pixels.shape, pixels.dtype) == ((*size, 3), np.uint8)
    assert np.array_equal(pixels, draw(*size))


@pytest.mark.parametrize("draw", [drawn.text, drawn.drawing, drawn.noise])
def test_another_seed_draws_another_picture(
    draw: Callable[..., drawn.Pixels],
) -> None:
    assert not np.array_equal(draw(64, 64, seed=0), draw(64, 64, seed=1))


def test_text_is_ink_on_paper_and_a_drawing_has_colours() -> None:
    page = drawn.text(64, 96, ink=(255, 255, 255), paper=(0, 0, 80))
    assert 0.5 < np.mean(np.all(page == (0, 0, 80), axis=2)) < 0.95
    assert np.any(np.all(page == 255, axis=2))
    assert np.ptp(drawn.drawing(64, 64).astype(int), axis=2).max() > 200
    assert np.ptp(drawn.logo(64, 64).astype(int), axis=2).max() == 255


def test_patterns_are_made_of_extremes_alone() -> None:
    assert set(np.unique(drawn.checkerboard(8, 8))) == {0, 255}
    assert set(np.unique(drawn.dithering(64, 64))) == {0, 255}
    wide = drawn.checkerboard(8, 8, cell=2)
    assert np.array_equal(wide[::2, ::2], drawn.checkerboard(4, 4))
    assert np.all(drawn.flat(2, 3, (1, 2, 3)) == (1, 2, 3))
