"""Which photograph of a stream comes next: sources by their weights, their shards in another order
each time, in a shard the photographs as they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgesr import console
from edgesr.data import shards
from edgesr.data.photos import Encoded
from edgesr.errors import DataError


@dataclass(frozen=True)
class Draw:
    """A photograph as its file has it, or a page to be drawn.

    Attributes:
        number: how many were drawn before.
        name: for messages.
        photograph: what its file holds; None of a page.
        page: its number, see `pages.page`.
    """

    number: int
    name: Path
    photograph: bytes | None
    page: int = 0


class Draws:
    """The photographs of several sources, one after the other, for ever.

    Args:
        held_out: photographs at the beginning of the first source's first shard that are left out.
        drawn: share of drawn pages.
    """

    def __init__(
        self, sources: Sequence[shards.Source], *, seed: int, held_out: int, drawn: float = 0.0
    ) -> None:
        self.seed, self.drawn, self.number = seed, drawn, 0
        left_out = [held_out] + [0] * (len(sources) - 1)
        self.readers = [
            _Reader(source, [seed, number], first)
            for number, (source, first) in enumerate(zip(sources, left_out, strict=True))
        ]
        weights = np.array([source.weight for source in sources])
        self._shares = weights / weights.sum()

    def next(self) -> Draw:
        """The next one.

        Raises:
            DataError: no shard of its source has a photograph, or a sample has two.
        """
        number, rng = self.number, np.random.default_rng([self.seed, self.number])
        self.number += 1
        if rng.random() < self.drawn:
            page = int(rng.integers(2**31))
            return Draw(number, Path(f"drawn page {page}"), None, page)
        found = self.readers[rng.choice(len(self.readers), p=self._shares)].next()
        return Draw(number, found.name, found.data)

    def state(self) -> dict[str, Any]:
        """What `restore` needs to draw the same ones from here on."""
        return {"number": self.number, "sources": [list(each.place) for each in self.readers]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.number = state["number"]
        for reader, place in zip(self.readers, state["sources"], strict=True):
            reader.open(*place)


class _Reader:
    """One source, read for ever.

    Attributes:
        place: how often it was read whole, which shard of this time's order is open, and how many
            photographs were taken from it.
    """

    def __init__(self, source: shards.Source, seed: list[int], held_out: int) -> None:
        self.source, self.seed, self.held_out = source, seed, held_out
        self._told: set[Path] = set()
        self._barren = 0
        self.open(0, 0, 0)

    def open(self, epoch: int, place: int, index: int) -> None:
        """Go on at a place."""
        self.place = epoch, place, index
        order = np.random.default_rng([*self.seed, epoch]).permutation(len(self.source.shards))
        shard = self.source.shards[order[place]]
        first = self.held_out if shard == self.source.shards[0] else 0
        self._photographs = islice(self._read(shard), first + index, None)

    def next(self) -> Encoded:
        while (photograph := next(self._photographs, None)) is None:
            self._turn()
        epoch, place, index = self.place
        self.place, self._barren = (epoch, place, index + 1), 0
        return photograph

    def _turn(self) -> None:
        """Open the next shard.

        Raises:
            DataError: in all of them there was nothing to train on.
        """
        epoch, place, index = self.place
        self._barren += not index
        if self._barren > 2 * len(self.source.shards):  # each was opened since one was found
            raise DataError(
                f"no shard of {self.source.name} has a photograph to train on",
                "Look into the shards, and at the warnings above: tar -tf SHARD",
            )
        last = place + 1 == len(self.source.shards)
        self.open(*((epoch + 1, 0, 0) if last else (epoch, place + 1, 0)))

    def _read(self, shard: Path) -> Iterator[Encoded]:
        """The photographs of `shard`, as far as it can be read."""
        try:
            yield from self.source.read(shard)
        except DataError:
            raise
        except Exception as error:  # damage makes tarfile raise nearly anything
            if shard not in self._told:
                self._told.add(shard)
                console.warn(f"the rest of {shard} is left out: {shards.reason(error)}")
