"""Items that are made while the caller is busy with the one before."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edgesr.inference.prefetch import prefetch


def test_order_is_kept_and_the_end_is_seen() -> None:
    assert list(prefetch(range(5))) == [0, 1, 2, 3, 4]
    assert list(prefetch([])) == []


def test_the_next_item_is_made_while_one_is_used_and_no_further() -> None:
    made = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for i, event in enumerate(made):
            event.set()
            yield i

    coming = prefetch(items())
    assert next(coming) == 0
    assert made[1].wait(10)
    assert not made[2].is_set()
    assert list(coming) == [1, 2, 3]


def test_what_the_thread_raises_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    coming = prefetch(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="two"):
        next(coming)


def test_a_caller_that_stops_early_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    coming = prefetch(range(5))
    next(coming)
    started = set(threading.enumerate()) - before
    coming.close()  # type: ignore[attr-defined]
    for thread in started:
        thread.join(10)
        assert not thread.is_alive()
