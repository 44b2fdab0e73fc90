"""Drawn pages that are trained on."""

from __future__ import annotations

import numpy as np
import pytest

from edgesr.data.pages import SIDE, page


@pytest.mark.parametrize("seed", range(8))
def test_a_page_is_the_same_for_its_seed_and_has_something_on_it(seed: int) -> None:
    drawn = page(seed)
    assert drawn.shape == (SIDE, SIDE, 3)
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn, page(seed))
    assert drawn.std() > 5


def test_a_page_with_a_box_that_pillow_does_not_round_is_drawn_all_the_same() -> None:
    assert page(113).std() > 5


def test_pages_of_one_kind_differ_from_each_other() -> None:
    pages = {page(seed).tobytes() for seed in range(0, 40, 4)}
    assert len(pages) == 10
