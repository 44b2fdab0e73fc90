"""Training patches of photographs that are streamed.

    shards ── Draws ──▶ photographs as in their files ── Workers ──▶ patches ── StreamSampler

Which photograph comes next, where it is cut and in which order its patches are drawn follows from
the recipe's seed and a count alone, however many workers there are and whichever is quicker.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgesr import console
from edgesr.data import photos, shards
from edgesr.data.cutting import Cutter, Patches, Workers
from edgesr.data.draws import Draw, Draws
from edgesr.data.patches import REMEMBERED
from edgesr.errors import DataError
from edgesr.recipe import Data

AHEAD = 2
"""Photographs that each worker has before it."""
SHOWN = 3
"""Of those that cannot be used, in an error."""


class StreamSampler:
    """Random pairs of patches of what is streamed.

    `data.stream.crops` patches of each of `data.stream.photographs` photographs are a pool, which
    is drawn in random order while the next one is decoded. Every process reads all shards and
    decodes each `world`-th photograph: no two train on the same one. In place of a photograph that
    cannot be used, which is told once, patches of others in its pool are drawn a second time.

    Args:
        sources: see `shards.find`.
        patch: side of an HR patch in pixels.
        batch: patches per step over all processes, a multiple of `world`.
        rank: which of the `world` processes this one is.
    """

    def __init__(
        self,
        sources: Sequence[shards.Source],
        data: Data,
        *,
        scale: int,
        patch: int,
        batch: int,
        seed: int,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.key, self.stream, self.seed = shards.key(sources), data.stream, seed
        self.device, self.rank, self.world = torch.device(device), rank, world
        self.share = batch // world
        self.size = self.stream.photographs * self.stream.crops
        drawn = data.degradation.drawn if data.degradation.kind == "real" else 0.0
        self.draws = Draws(sources, seed=seed, held_out=data.validation, drawn=drawn)
        cutter = Cutter(patch, scale, self.stream.crops, data.degradation, seed)
        self.workers = Workers(cutter, self.stream.workers)
        weakref.finalize(self, self.workers.end)
        self._told: set[Path] = set()
        self._latest: deque[list[str]] = deque(maxlen=REMEMBERED)
        self._begin(0)

    def _begin(self, offset: int) -> None:
        """Drop what was read ahead. The next pool is drawn from `offset` on."""
        self._coming: deque[Callable[[], Patches]] = deque()
        self._starts: deque[dict[str, Any]] = deque()  # of the pools that were begun
        self._read = 0
        self._filling: list[Patches] = []
        self._offset, self._skip = self.size, offset

    def next(self) -> tuple[Tensor, ...]:
        """LR (batch / world, 3, patch / scale, patch / scale) and HR (batch / world, 3, patch,
        patch); float32 RGB 0..1, on the device.

        Raises:
            DataError: more than half of a pool's photographs cannot be used, or a source has none.
        """
        taken = [self._take() for _ in range(self.share)]
        self._latest.append([str(patches.name) for patches, _ in taken])
        lr = self._tensor([patches.lr[crop] for patches, crop in taken])
        return lr, self._tensor([patches.hr[crop] for patches, crop in taken])

    def _take(self) -> tuple[Patches, int]:
        """The next patch: of which photograph, and which one of it."""
        if self._offset == self.size:
            self._turn()
        which, crop = divmod(int(self._order[self._offset]), self.stream.crops)
        self._offset += 1
        self._fill(self._offset * self.stream.photographs // self.size)
        return self._pool[which % len(self._pool)], crop

    def _turn(self) -> None:
        """Begin to draw from the next pool, and to fill the one behind it."""
        self._fill(self.stream.photographs)
        self._pool = self._usable(self._filling)
        self._start, self._filling = self._starts.popleft(), []
        rng = np.random.default_rng([self.seed, self._start["number"], 2])
        self._order = rng.permutation(self.size)
        self._offset, self._skip = self._skip, 0

    def _fill(self, count: int) -> None:
        """Wait until the pool that is being filled has `count` photographs."""
        while len(self._filling) < count:
            while len(self._coming) < max(1, AHEAD * self.stream.workers):
                if self._read % self.stream.photographs == 0:
                    self._starts.append(self.draws.state())
                self._read += 1
                self._coming.append(self.workers.begin(self._own()))
            self._filling.append(self._coming.popleft()())

    def _own(self) -> Draw:
        """The next photograph of this process: of `world` that are drawn, the one of its rank."""
        return [self.draws.next() for _ in range(self.world)][self.rank]

    def _usable(self, pool: list[Patches]) -> list[Patches]:
        """Those of `pool` that could be cut; says once of each other why not."""
        faults = [each for each in pool if each.fault]
        for each in faults:
            if each.name not in self._told:
                self._told.add(each.name)
                photos.warn_left_out(each.name, each.fault)
        if 2 * len(faults) > len(pool):
            first = "; ".join(f"{each.name}: {each.fault}" for each in faults[:SHOWN])
            raise DataError(
                f"{len(faults)} of {len(pool)} photographs in a row cannot be used: {first}",
                "Look at the shards; photographs must be at least training.patch pixels a side.",
            )
        return [each for each in pool if not each.fault]

    def _tensor(self, patches: list[NDArray[np.uint8]]) -> Tensor:
        pixels = torch.from_numpy(np.stack(patches))
        if self.device.type != "cpu":
            pixels = pixels.pin_memory().to(self.device, non_blocking=True)
        made = torch.empty(pixels.permute(0, 3, 1, 2).shape, device=self.device)
        return made.copy_(pixels.permute(0, 3, 1, 2)).div_(255)

    def files(self, ago: int = 0) -> list[str]:
        """The photographs behind this process's share of the latest batch, in its order, or of one
        of the `REMEMBERED` before it."""
        return self._latest[-1 - ago]

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to draw the same next batch, bit for bit: where the sources
        stood before the pool that is being drawn, and how much of it was."""
        if self._offset < self.size:
            return {"key": self.key, "draws": self._start, "offset": self._offset}
        start = self._starts[0] if self._starts else self.draws.state()
        return {"key": self.key, "draws": start, "offset": self._skip}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, in any process. Where the shards are other ones, they
        are read from their beginning, which is said."""
        if state["key"] == self.key:
            self.draws.restore(state["draws"])
            self._begin(state["offset"])
            return
        console.warn(
            "the shards have changed since the checkpoint was written: read from the first"
        )
        self.draws.number = state["draws"]["number"]
        self._begin(0)
