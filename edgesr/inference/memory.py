"""How large the windows of a large image may be: as large as a budget of memory allows."""

from __future__ import annotations

import contextlib
import ctypes
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from edgesr.errors import DataError
from edgesr.inference.padding import rounded_up

BUDGET = "512MB"
UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}

PROBE = 128
"""Side in LR pixels of the window on which the need is measured."""
MARGIN = 1.15
"""ONNX Runtime takes memory in powers of two, which falls out well for some shapes and badly for
others: N=4 and the edge student need up to a tenth more, or a third less, than the probe."""
LAST = 0.1
"""Time to write an image over time to compute it, roughly."""
BANDS = 2
"""Bands of the result at a time: one in the making, one on its way to the file."""


def parse(text: str) -> int:
    """Bytes of a budget such as 512MB or 1.5GiB.

    Raises:
        DataError: it is none.
    """
    found = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(UNITS)})", text.strip())
    if found is None or not float(found[1]):
        raise DataError(f"memory = {text!r}: expected an amount in {', '.join(UNITS)}, e.g. 512MB")
    return round(float(found[1]) * UNITS[found[2]])


def megabytes(amount: float) -> str:
    """As it is printed, and as `parse` reads it: whole MB, rounded up."""
    return f"{-int(-amount // 10**6)}MB"


def resident() -> int:
    """The bytes of memory that this process holds now."""
    held: int = psutil.Process().memory_info().rss
    return held


def growth(work: Callable[[], object]) -> float:
    """Bytes by which the memory of this process grows by `work`, its result included."""
    give_back()
    before = resident()
    kept = work()
    grown = resident() - before
    del kept
    return MARGIN * max(grown, 0)


def give_back() -> None:
    """Hand freed memory back to the system, where it would hide what is taken next."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a C library other than glibc
            ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class Need:
    """What enlarging one image takes, in bytes.

    Attributes:
        held: whatever the windows are: the process as it was, the image, a result held whole.
        pixel: per LR pixel of a window.
        row: per LR row of a window: the bands of the result.
    """

    held: int
    pixel: float
    row: int

    def of(self, height: int, width: int) -> int:
        """Of the process while it works with windows of height x width."""
        return round(self.held + height * (self.row + width * self.pixel))

    def widest(self, height: int, budget: int) -> int:
        """Width of the widest window of that height inside `budget`; may be below 1."""
        return int((budget - self.held - height * self.row) / max(height * self.pixel, 1))

    def together(self, height: int, width: int, budget: int) -> int:
        """How many pictures of height x width, one window each, may be in one run; at least 1."""
        each = height * (self.row + width * self.pixel)
        return max(1, int((budget - self.held) / max(each, 1)))


@dataclass(frozen=True)
class Windows:
    """How an image is cut.

    Attributes:
        sides: height and width of a window, in LR pixels.
        count: of windows.
        work: LR pixels that the model computes, over those of the image.
    """

    sides: tuple[int, int]
    count: int
    work: float


def cut(size: tuple[int, int], halo: int, smallest: int, counts: tuple[int, int]) -> Windows:
    """An image of `size` (height, width) in windows that just suffice.

    Args:
        smallest: side that the model takes, in LR pixels.
        counts: of windows along the height and the width.
    """
    sides = [max(side_of(n, k, halo), min(n, smallest)) for n, k in zip(size, counts, strict=True)]
    return _windows(size, (sides[0], sides[1]), counts)


def cut_by_tile(size: tuple[int, int], halo: int, tile: int) -> Windows:
    """An image of `size` in windows that contribute `tile` x `tile` LR pixels each."""
    sides = min(size[0], tile + 2 * halo), min(size[1], tile + 2 * halo)
    return _windows(
        size, sides, (count_of(size[0], sides[0], halo), count_of(size[1], sides[1], halo))
    )


def aligned(windows: Windows, size: tuple[int, int], halo: int, multiple: int) -> Windows:
    """The same with sides that are multiples of `multiple`, as `size` and `halo` are."""
    height, width = (rounded_up(side, multiple) for side in windows.sides)
    counts = count_of(size[0], height, halo), count_of(size[1], width, halo)
    return windows if multiple == 1 else _windows(size, (height, width), counts)


def whole(size: tuple[int, int], need: Need, budget: int) -> Windows:
    """An image of `size` in one piece, for a network that sees all of it.

    Raises:
        DataError: the budget does not hold it; says what it takes, and what fits.
    """
    if need.of(*size) > budget:
        ratio = max(0, budget - need.held) / max(need.of(*size) - need.held, 1)
        height, width = (int(side * ratio**0.5) for side in size)
        raise DataError(
            f"an image of {size[1]} x {size[0]} pixels cannot be enlarged in {megabytes(budget)}: "
            "the network sees the whole image, so it is not cut into tiles; about "
            f"{width} x {height} pixels fit",
            f"It takes about --memory {megabytes(need.of(*size))}, or another network.",
        )
    return _windows(size, size, (1, 1))


def fixed(
    size: tuple[int, int], halo: int, window: tuple[int, int], need: Need, budget: int
) -> Windows:
    """An image of `size`, at least `window`, in windows of that size.

    Raises:
        DataError: the budget does not hold one.
    """
    if need.of(*window) > budget:
        raise DataError(
            f"a window of {window[1]} x {window[0]} pixels, the one size that the model takes, "
            f"does not fit into {megabytes(budget)}",
            f"It takes --memory {megabytes(need.of(*window))}.",
        )
    rows, columns = (count_of(n, side, halo) for n, side in zip(size, window, strict=True))
    return _windows(size, window, (rows, columns))


def _windows(size: tuple[int, int], sides: tuple[int, int], counts: tuple[int, int]) -> Windows:
    count = counts[0] * counts[1]
    return Windows(sides, count, count * sides[0] * sides[1] / (size[0] * size[1]))


def side_of(length: int, count: int, halo: int) -> int:
    """The side of `count` windows that reach `length`, each over 2 halo of the one before."""
    return -(-(length + 2 * halo * (count - 1)) // count)


def count_of(length: int, side: int, halo: int) -> int:
    """How many windows of `side`, which is above 2 halo or at least `length`, reach `length`."""
    return 1 if side >= length else -(-(length - 2 * halo) // (side - 2 * halo))


def fit(size: tuple[int, int], halo: int, smallest: int, need: Need, budget: int) -> Windows:
    """The windows inside `budget` that cost least time, for an image of `size` (height, width).

    What costs time is what they compute twice, and what is left to write when the last band has
    come: the fewer rows, the more. Windows that keep less than a quarter are not choice.

    Args:
        smallest: side that the model takes, in LR pixels.

    Raises:
        DataError: the budget holds no window of 4 halos a side.
    """
    least = min(size[0], max(4 * halo, smallest)), min(size[1], max(4 * halo, smallest))
    found: list[tuple[float, Windows]] = []
    for rows in range(1, count_of(size[0], least[0], halo) + 1):
        widest = need.widest(max(side_of(size[0], rows, halo), least[0]), budget)
        if widest >= least[1]:
            windows = cut(size, halo, smallest, (rows, count_of(size[1], widest, halo)))
            found.append((windows.work + LAST / rows, windows))
    if not found:
        raise DataError(
            f"an image of {size[1]} x {size[0]} pixels cannot be enlarged in {megabytes(budget)}",
            f"The least that it takes: --memory {megabytes(need.of(*least))}.",
        )
    return min(found, key=lambda each: each[0])[1]
