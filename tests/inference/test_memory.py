"""The windows that a budget of memory allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesr.errors import DataError
from edgesr.inference.memory import Need, cut_by_tile, fit, growth, megabytes, parse
from edgesr.inference.tiling import spans

LENGTH = st.integers(1, 3000)
NEED = Need(held=50_000_000, pixel=1000.0, row=10_000)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("512MB", 512_000_000), ("1.5GiB", 1_610_612_736), ("2 GB", 2_000_000_000), ("1MiB", 2**20)],
)
def test_amounts_are_decimal_or_binary_as_they_say(text: str, amount: int) -> None:
    assert parse(text) == amount


@pytest.mark.parametrize("text", ["512", "MB", "-1GB", "0MB", "1TB", "1e3MB", "512mb"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="expected an amount in MB, GB, MiB, GiB"):
        parse(text)


@settings(deadline=None, max_examples=200)
@given(
    size=st.tuples(LENGTH, LENGTH),
    halo=st.integers(0, 40),
    smallest=st.integers(1, 50),
    budget=st.integers(60, 2000),
)
def test_windows_keep_to_the_budget_and_reach_the_whole_image(
    size: tuple[int, int], halo: int, smallest: int, budget: int
) -> None:
    try:
        windows = fit(size, halo, smallest, NEED, budget * 10**6)
    except DataError as error:
        least = parse(error.remedy.split()[-1].rstrip("."))
        assert least > budget * 10**6
        fit(size, halo, smallest, NEED, least)
        return
    assert NEED.of(*windows.sides) <= budget * 10**6
    assert all(min(n, smallest) <= side <= n for n, side in zip(size, windows.sides, strict=True))
    rows, columns = (
        len(list(spans(n, side, halo))) for n, side in zip(size, windows.sides, strict=True)
    )
    assert rows * columns <= windows.count


def test_a_larger_budget_computes_less() -> None:
    small, large = (fit((1024, 1024), 16, 1, NEED, mb * 10**6) for mb in (100, 4000))
    assert small.work > 1.2
    assert large.work < 1.05


def test_several_rows_are_preferred_to_one_window_of_an_image_that_would_fit() -> None:
    # So that the first can be written while the last is in the model; a small image stays whole.
    large, small = (fit((side, side), 10, 1, NEED, 4 * 10**9) for side in (1024, 200))
    assert large.sides[1] == 1024
    assert large.count > 1
    assert small.count == 1


def test_a_budget_that_is_too_small_names_the_least() -> None:
    with pytest.raises(DataError, match="cannot be enlarged in 40MB") as caught:
        fit((500, 600), 10, 1, NEED, 40_000_000)
    assert caught.value.remedy == "The least that it takes: --memory 52MB."


def test_a_tile_is_what_a_window_contributes() -> None:
    windows = cut_by_tile((100, 30), 5, 20)
    assert (windows.sides, windows.count) == ((30, 30), 5)
    assert windows.work == pytest.approx(5 * 30 * 30 / 3000)


def test_memory_that_is_taken_is_seen() -> None:
    assert growth(lambda: np.ones(10_000_000)) > 80_000_000


def test_what_is_printed_can_be_read_back_and_is_not_less() -> None:
    assert parse(megabytes(1_000_001)) == 2_000_000
