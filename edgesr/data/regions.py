"""A photograph in regions, each with a degradation of its own: variety at the cost of one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edgesr.data.degradation import degrade, happens
from edgesr.recipe import Real

Pixels = NDArray[np.uint8]

MARGIN = 12
"""LR pixels around a region that are degraded with it: as far as kernels reach."""


def count(length: int, region: int) -> int:
    """In how many regions of at least `region` pixels a side of `length` is divided; 1 or more."""
    return max(1, length // region)


def start(number: int, length: int, regions: int) -> int:
    """Where region `number` of a side begins; the one of number `regions` is the side's end."""
    return number * length // regions


def degraded(hr: Pixels, clean: Pixels, scale: int, by: Real, seed: int | Sequence[int]) -> Pixels:
    """LR of `hr` (H, W, 3), region by region; RGB bytes, the same for the same `seed`.

    Args:
        clean: its reduction by bicubic (H / scale, W / scale, 3).
    """
    rng = np.random.default_rng(seed)
    lr = clean.copy()
    edges = [
        [start(n, length, regions) for n in range(regions + 1)]
        for length in clean.shape[:2]
        for regions in [count(length, by.region // scale)]
    ]
    for top, bottom in zip(edges[0], edges[0][1:], strict=False):
        for left, right in zip(edges[1], edges[1][1:], strict=False):
            (one,) = rng.spawn(1)
            if not happens(one, by.clean):
                place = (slice(top, bottom), slice(left, right))
                lr[place] = _region(hr, place, scale, by, one)
    return lr


def _region(hr: Pixels, place: tuple[slice, slice], scale: int, by: Real, rng: Generator) -> Pixels:
    """LR at the rows and columns of `place`, degraded with a margin around them."""
    first = [max(0, part.start - MARGIN) for part in place]
    window = tuple(
        slice(scale * start, scale * (part.stop + MARGIN))
        for start, part in zip(first, place, strict=True)
    )
    lr = degrade(hr[window], scale, by, rng)
    inner = tuple(
        slice(part.start - start, part.stop - start)
        for start, part in zip(first, place, strict=True)
    )
    return lr[inner]
