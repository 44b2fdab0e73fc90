"""How an upscaler cuts images into windows, within the memory that it was given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgesr.errors import DataError
from edgesr.inference import alpha, memory, padding
from edgesr.inference.contract import Contract
from edgesr.inference.memory import Need, Windows
from edgesr.inference.tiling import Pixels

Tile = int | Literal["auto"]
MEASURING = threading.Lock()
"""What a window takes is measured by how the process grows: one at a time."""


@dataclass(frozen=True)
class Planner:
    """Attributes:
    contract: of the model.
    tile: side of what a window contributes, in LR pixels; "auto" keeps to `budget`.
    margin: LR pixels of the opposite edge that an image gets beyond each.
    held: bytes that the process held when the model was opened.
    budget: bytes that it may hold.
    measure: by how many bytes it grows for each LR pixel of a window of bytes; slow.
    """

    contract: Contract
    tile: Tile
    margin: int
    held: int
    budget: int
    measure: Callable[[], float]

    @property
    def sides(self) -> tuple[int, tuple[int, int]]:
        """Of which number both sides are multiples that a model sees, and their least."""
        return self.contract.multiple, self.contract.window or (1, 1)

    def windows(self, image: Pixels, held: int) -> Windows:
        """The windows of an image; see `Upscaler.windows`."""
        facts = self.contract
        image = padding.wrapped(image, self.margin)
        size = self._padded_size(image)
        if facts.window:
            need = self._need(image, held)
            return memory.fixed(size, facts.halo, facts.window, need, self.budget)
        if facts.tileable and self.tile != "auto":
            tile = padding.rounded_up(self.tile, facts.multiple, facts.min_size)
            return memory.cut_by_tile(size, facts.halo, tile)
        if max(size) <= memory.PROBE:
            return memory.cut(size, facts.halo, facts.min_size, (1, 1))
        need = self._need(image, held)
        if not facts.tileable:
            return memory.whole(size, need, self.budget)
        found = memory.fit(size, facts.halo, facts.min_size, need, self.budget)
        return memory.aligned(found, size, facts.halo, facts.multiple)

    def together(self, image: Pixels, windows: Windows, count: int) -> int:
        """How many of `count` images like this one, which is cut so, may be in one run."""
        height, width = windows.sides
        if windows.count > 1:
            return 1
        if self.tile != "auto":
            side = self.tile + 2 * self.contract.halo
            return max(1, min(count, side**2 // (height * width)))
        if count * height * width <= memory.PROBE**2:
            return count
        return min(count, self._need(image, 0).together(height, width, self.budget))

    def _padded_size(self, image: Pixels) -> tuple[int, int]:
        multiple, least = self.sides
        height, width = map(padding.rounded_up, image.shape[:2], (multiple, multiple), least)
        return height, width

    def _need(self, image: Pixels, held: int) -> Need:
        height, width = image.shape[:2]
        channels = image.shape[2] if image.ndim == 3 else 1
        scale = self.contract.scale
        bands = memory.BANDS * channels * image.itemsize
        below = 0
        if channels == 4:
            bands, below = bands + alpha.FLOATS, alpha.HELD * height * width
        with MEASURING:
            pixel = self.measure()
        return Need(
            held=self.held + image.nbytes + held + below,
            pixel=pixel + 3 * scale**2 * (image.itemsize - 1),  # it was measured on bytes
            row=scale**2 * width * bands,
        )


def check_tile(tile: Tile) -> None:
    """Refuse a tile of no pixel.

    Raises:
        DataError: it is below 1.
    """
    if tile != "auto" and tile < 1:
        raise DataError(f"tile = {tile}: expected auto, or at least 1 LR pixel")


def parse_tile(text: str) -> Tile:
    """The `tile` that a user wrote.

    Raises:
        DataError: it is neither auto nor a number.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise DataError(f"tile = {text}: expected auto, or at least 1 LR pixel")
    return int(text)
