"""How large the windows of a large image may be: as large as a budget of memory allows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from edgesr.errors import DataError

BUDGET = "512MB"
UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}

PROBE = 128
"""Side in LR pixels of the window on which the need is measured."""
MARGIN = 1.15
"""ONNX Runtime takes memory in powers of two, which falls out well for some shapes and badly for
others: N=4 and the edge student need up to a tenth more, or a third less, than the probe."""
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


def per_pixel(run: Callable[[], object]) -> float:
    """Bytes per LR pixel by which memory grows while `run` has its first PROBE x PROBE window."""
    before = resident()
    kept = run()
    grown = resident() - before
    del kept
    return MARGIN * max(grown, 0) / PROBE**2


@dataclass(frozen=True)
class Need:
    """What enlarging one image takes, in bytes.

    Attributes:
        held: whatever the windows are: the process as it was, the image, a result held whole.
        window: per LR pixel of a window.
        row: per LR row of a window: the bands of the result.
    """

    held: int
    window: float
    row: int

    def of(self, height: int, width: int) -> int:
        """Of the process while it works with windows of height x width."""
        return round(self.held + height * (self.row + width * self.window))

    def widest(self, height: int, budget: int) -> int:
        """Width of the widest window of that height inside `budget`; may be below 1."""
        return int((budget - self.held - height * self.row) / (height * self.window))


@dataclass(frozen=True)
class Windows:
    """How an image is cut.

    Attributes:
        height, width: of a window, in LR pixels.
        count: of windows.
        work: LR pixels that the model computes, over those of the image.
    """

    height: int
    width: int
    count: int
    work: float


def cut(size: tuple[int, int], halo: int, rows: int, columns: int) -> Windows:
    """An image of `size` (height, width) in rows x columns windows that just suffice."""
    height, width = (side_of(n, k, halo) for n, k in zip(size, (rows, columns), strict=True))
    count = rows * columns
    return Windows(height, width, count, count * height * width / (size[0] * size[1]))


def side_of(length: int, count: int, halo: int) -> int:
    """The side of `count` windows that reach `length`, each over 2 halo of the one before."""
    return -(-(length + 2 * halo * (count - 1)) // count)


def count_of(length: int, side: int, halo: int) -> int:
    """How many windows of `side`, which is above 2 halo or at least `length`, reach `length`."""
    return 1 if side >= length else -(-(length - 2 * halo) // (side - 2 * halo))


def fit(size: tuple[int, int], halo: int, need: Need, budget: int) -> Windows:
    """The windows inside `budget` that cost least time, for an image of `size` (height, width).

    The first window counts one and a half times: its memory is fresh, and nothing is there yet to
    be written beside it. So several rows are preferred where one would fit as well.

    Raises:
        DataError: the budget does not hold a window whose kept part is as wide as its two halos.
    """
    least = [min(n, max(4 * halo, 1)) for n in size]
    found = []
    for rows in range(1, count_of(size[0], least[0], halo) + 1):
        widest = need.widest(side_of(size[0], rows, halo), budget)
        if widest >= least[1]:
            found.append(cut(size, halo, rows, count_of(size[1], widest, halo)))
    if not found:
        raise DataError(
            f"an image of {size[1]} x {size[0]} pixels does not fit into {megabytes(budget)}",
            f"The least that does: --memory {megabytes(need.of(least[0], least[1]))}.",
        )
    return min(found, key=lambda windows: windows.work * (1 + 0.5 / windows.count))
