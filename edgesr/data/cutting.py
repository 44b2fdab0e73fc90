"""Patches cut of photographs as they come, by processes beside the one that trains."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgesr import console
from edgesr.data import crops, pages, photos
from edgesr.data.degrade import pair
from edgesr.data.draws import Draw
from edgesr.data.patches import region
from edgesr.errors import MachineError
from edgesr.inference.decode import PhotoError
from edgesr.recipe import Degradation
from edgesr.signals import ASKED

Pixels = NDArray[np.uint8]
WINDOW = 1024
"""Side in HR pixels of what is used of a larger photograph each time, anywhere in it; twice the
patch's where that is more. It bounds what one costs."""


@dataclass(frozen=True)
class Patches:
    """Patches of one photograph, or why there are none.

    Attributes:
        lr, hr: uint8 RGB (crops, patch / scale, patch / scale, 3), and (crops, patch, patch, 3).
    """

    name: Path
    lr: Pixels
    hr: Pixels
    fault: str = ""


@dataclass(frozen=True)
class Cutter:
    """Decodes a photograph, makes its pair and cuts patches from it, each inside one region of the
    degradation, flipped and turned in one of eight ways.

    Attributes:
        patch: side of an HR patch in pixels.
        crops: patches of a photograph.
    """

    patch: int
    scale: int
    crops: int
    degradation: Degradation
    seed: int

    def __call__(self, draw: Draw) -> Patches:
        rng = np.random.default_rng([self.seed, draw.number, 1])
        try:
            picture = self._picture(draw)
        except PhotoError as error:
            none = np.empty((0, 0, 0, 3), np.uint8)
            return Patches(draw.name, none, none, error.reason)
        window = _window(picture, max(WINDOW, 2 * self.patch), rng)
        hr, lr = pair(window, self.scale, self.degradation, [self.seed, draw.number])
        size = torch.tensor([lr.shape[:2]]).expand(self.crops, 2)
        side = self.patch // self.scale
        place = torch.from_numpy(rng.random((self.crops, 2)))
        corner = crops.corners(size, place, side, region(self.degradation, self.scale))
        way = torch.from_numpy(rng.integers(8, size=self.crops))
        small = _cut(lr, corner, side, way)
        return Patches(draw.name, small, _cut(hr, self.scale * corner, self.patch, way))

    def _picture(self, draw: Draw) -> Pixels:
        if draw.photograph is None:
            return pages.page(draw.page)
        return photos.decode(draw.name, smallest=self.patch, data=draw.photograph)


def _window(picture: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """At most `side` x `side` pixels of `picture`, anywhere in it."""
    top, left = (int(rng.integers(max(0, length - side) + 1)) for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def _cut(picture: Pixels, corner: Tensor, side: int, way: Tensor) -> Pixels:
    rows = np.ascontiguousarray(picture)  # LR comes plane by plane
    pixels, begin = torch.from_numpy(rows).view(-1, 3), torch.zeros_like(way)
    width = begin + picture.shape[1]
    return np.asarray(crops.cut(pixels, begin, width, corner, side, way).numpy())


class Workers:
    """Processes that cut; where there are none, it is done when the patches are asked for."""

    def __init__(self, cutter: Cutter, count: int) -> None:
        self.cutter = cutter
        self._pool = _processes(count) if count else None

    def begin(self, draw: Draw) -> Callable[[], Patches]:
        """Have `draw` cut; returns what waits for its patches."""
        if self._pool is None:
            return partial(self.cutter, draw)
        return partial(_patches, self._pool.submit(self.cutter, draw))

    def end(self) -> None:
        """Let the processes go."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _processes(count: int) -> ProcessPoolExecutor:
    """Each a Python of its own: a fork of a process that has threads or a GPU may hang, and a
    server that forks them does not outlive a request to stop."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _settle)


def _patches(future: Future[Patches]) -> Patches:
    try:
        return future.result()
    except BrokenProcessPool:
        raise MachineError(
            "a process that decodes photographs was ended from outside, or for want of memory",
            "Go on with --resume; fewer data.stream.workers take less memory.",
        ) from None


def _settle() -> None:
    """Set up a worker. Whoever trains hears of a request to stop, saves, and lets it go."""
    for number in ASKED:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()
    torch.set_num_threads(1)
    console.mute()


def _follow() -> None:
    """End with the process that has started this one, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
