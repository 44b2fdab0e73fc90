"""What a network costs: parameters, bytes, MACs and FLOPs, per part, at a stated input size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgesr.bounds import parse_size
from edgesr.bundle.records import rows
from edgesr.bundle.records.card import Card
from edgesr.models import zoo
from edgesr.models.edge import EdgeStudent
from edgesr.models.rewrite import collapse, separate
from edgesr.recipe import Edge, Srgan


class Published(NamedTuple):
    """A row of the paper's table 1."""

    blocks: int
    gflops: float
    mb: float


PAPER = {"teacher": Published(16, 56.58, 5.92), "student": Published(4, 5.29, 2.48)}
"""Table 1 of the paper: GFLOPs "for a 256 x 256 image" and model size."""

REMARK = (
    "The paper's sizes are close to float32 weights in MiB. Its 5.29 G fits N=4 in multiply-adds "
    "at 64x64 LR, a 256x256 output (5.46 G by this count); its 56.58 G fits neither network at "
    "that size (N=16: 9.09 G). Here a multiply-add is two FLOPs."
)


@dataclass(frozen=True)
class Cost:
    """Sums over layers.

    Attributes:
        parameters: trainable ones, batch normalisation included as the paper counts.
        macs: multiply-adds of the convolutions.
    """

    parameters: int
    macs: int

    @property
    def bytes(self) -> int:
        """Of the parameters in float32."""
        return 4 * self.parameters

    @property
    def flops(self) -> int:
        """Two per multiply-add."""
        return 2 * self.macs

    def counts(self) -> rows.Counts:
        """For verify.json."""
        return rows.Counts(
            parameters=self.parameters, macs=self.macs, bytes=self.bytes, flops=self.flops
        )


def cost(spec: Srgan | Edge, size: str, *, collapsed: bool = True) -> dict[str, Cost]:
    """Cost of each part of the network, in its order.

    Args:
        size: the LR input, "WIDTHxHEIGHT" in pixels, batch 1.
        collapsed: whether branches have become part of the convolution that they stand beside.
    """
    module = zoo.build(spec)
    if isinstance(module, EdgeStudent):
        (collapse if collapsed else separate)(module)
    macs = _count_macs(module.to("meta"), size)
    return {
        name: Cost(
            sum(parameter.numel() for parameter in part.parameters()),
            sum(macs.get(layer, 0) for layer in part.modules()),
        )
        for name, part in module.parts.items()
    }


def _count_macs(module: zoo.Student, size: str) -> dict[nn.Module, int]:
    """Multiply-adds of every convolution in one forward pass, which needs no memory on `meta`."""
    counts: dict[nn.Module, int] = {}

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        counts[layer] = layer.weight.numel() * output.shape[2] * output.shape[3]

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    width, height = parse_size(size)
    module.eval()(torch.empty(1, 3, height, width, device="meta"))
    return counts


def total(parts: dict[str, Cost]) -> Cost:
    """The sum of the parts."""
    return Cost(sum(c.parameters for c in parts.values()), sum(c.macs for c in parts.values()))


def compare(card: Card, own: dict[str, Cost], size: str) -> rows.Cost:
    """The evidence on cost: the card's network, and its teacher's where that is known.

    Args:
        own: of the network, by its parts.
        size: see `cost`; the teacher's branches are always collapsed.
    """
    teacher = card.teacher
    ours, theirs, reduction, ratio = total(own), None, None, None
    if teacher and isinstance(teacher.spec, Srgan | Edge):
        parts = cost(teacher.spec, size)
        whole = total(parts)
        theirs = rows.TeacherCost(
            name=teacher.name,
            architecture=teacher.architecture,
            parts=_counts(parts),
            total=whole.counts(),
        )
        reduction = 100 * (1 - ours.parameters / whole.parameters)
        ratio = whole.macs / ours.macs
    return rows.Cost(
        size=size,
        parts=_counts(own),
        total=ours.counts(),
        teacher=theirs,
        reduction_percent=reduction,
        mac_ratio=ratio,
    )


def _counts(parts: dict[str, Cost]) -> dict[str, rows.Counts]:
    return {name: part.counts() for name, part in parts.items()}
