"""The networks that are tried: edge students over width and depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast, get_args

import psutil

from edgesr.bounds import parse_size
from edgesr.errors import MachineError, RecipeError
from edgesr.models.zoo import describe
from edgesr.recipe import Edge, Scale
from edgesr.verify.cost import Cost, cost, total

USUAL_SCALE = Edge().scale
WIDTHS = (16, 24, 32, 48, 64)
MAX_DEPTH = 20
COARSE_DEPTHS = (1, 8)
BYTES_PER_PIXEL = 4 * (3 + 2 * max(WIDTHS) + 2 * 48)
"""Of LR that the widest network holds at once: its input, two layers and its output twice."""


def scale_of(given: int) -> Scale:
    """The scale that a user names.

    Raises:
        RecipeError: there is no such scale.
    """
    found = next((scale for scale in get_args(Scale) if scale == given), None)
    if found is None:
        known = ", ".join(map(str, get_args(Scale)))
        raise RecipeError(f"scale = {given}: expected one of {known}")
    return cast(Scale, found)


@dataclass(frozen=True)
class Candidate:
    """An edge student with every branch, `channels` wide and `depth` deep."""

    channels: int
    depth: int
    scale: Scale = USUAL_SCALE

    def __str__(self) -> str:
        return describe(self.spec)

    @property
    def spec(self) -> Edge:
        """The recipe's [model]."""
        branches = ["expand", "point", "identity"]
        return Edge.model_validate(
            {
                "scale": self.scale,
                "channels": self.channels,
                "depth": self.depth,
                "branches": branches,
            }
        )

    @cached_property
    def cost(self) -> Cost:
        """Parameters, and multiply-adds per LR pixel, both after the branches have collapsed."""
        return total(cost(self.spec, "1x1"))

    @property
    def capacity(self) -> tuple[int, int]:
        """What is compared before anything is trained: multiply-adds per LR pixel, then depth."""
        return self.cost.macs, self.depth


def check_memory(size: str) -> None:
    """Refuse an LR size at which the widest candidate would not fit into this machine's memory.

    Raises:
        MachineError: it would not; says how much it takes.
    """
    width, height = parse_size(size)
    needed, there = width * height * BYTES_PER_PIXEL, psutil.virtual_memory().available
    if needed > there:
        raise MachineError(
            f"timing networks at {size} takes {needed / 1e9:.1f} GB, of which {there / 1e9:.1f} "
            "GB are free",
            'Name a smaller LR size, or time tiles: --budget "p95 8 ms @ 320x180".',
        )
