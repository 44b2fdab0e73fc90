"""The networks that are tried: edge students over width and depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from edgesr.models.zoo import describe
from edgesr.recipe import Edge
from edgesr.verify.cost import Cost, cost, total

WIDTHS = (16, 24, 32, 48, 64)
MAX_DEPTH = 20
COARSE_DEPTHS = (1, 8)


@dataclass(frozen=True)
class Candidate:
    """An edge student with every branch, `channels` wide and `depth` deep."""

    channels: int
    depth: int

    def __str__(self) -> str:
        return describe(self.spec)

    @property
    def spec(self) -> Edge:
        """The recipe's [model]."""
        branches = ["expand", "point", "identity"]
        table = {"channels": self.channels, "depth": self.depth, "branches": branches}
        return Edge.model_validate(table)

    @cached_property
    def cost(self) -> Cost:
        """Parameters, and multiply-adds per LR pixel, both after the branches have collapsed."""
        return total(cost(self.spec, "1x1"))

    @property
    def capacity(self) -> tuple[int, int]:
        """What is compared before anything is trained: multiply-adds per LR pixel, then depth."""
        return self.cost.macs, self.depth
