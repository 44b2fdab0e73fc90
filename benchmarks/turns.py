"""The loop that the benchmarks time with: everything takes turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Key = TypeVar("Key")


def medians(
    calls: Mapping[Key, Callable[[], object]], *, runs: int, warm_up: int
) -> dict[Key, float]:
    """Median milliseconds of each call over `runs` turns; the first `warm_up` do not count."""
    seconds: dict[Key, list[float]] = {key: [] for key in calls}
    for turn in range(warm_up + runs):
        for key, call in calls.items():
            start = time.perf_counter()
            call()
            if turn >= warm_up:
                seconds[key].append(time.perf_counter() - start)
    return {key: 1e3 * statistics.median(found) for key, found in seconds.items()}
