"""Work that goes on while the caller is busy with what was made before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """Iterate over `items`; while the caller uses one, a thread makes the next.

    At most one item waits. What `items` raises is raised here, in its place. Where the caller
    stops early, the thread ends with the item that it is making, and nobody waits for it.
    """
    iterator, end = iter(items), object()
    pool = ThreadPoolExecutor(1)
    try:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield cast(T, item)
            del item  # so that no more than two are held: the one in the making, and this
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
