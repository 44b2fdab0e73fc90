"""An edge student that begins from one of another depth."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from edgesr.models.edge import EdgeStudent, RepConv
from edgesr.recipe import Edge
from edgesr.training.depth import change_depth

Branch = Literal["expand", "point", "identity"]


@pytest.fixture
def photographs() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, 40, 48, generator=generator) for _ in range(2)]


def student(depth: int, *branches: Branch) -> EdgeStudent:
    torch.manual_seed(depth)
    made = EdgeStudent(Edge(channels=4, depth=depth, branches=list(branches)))
    for layer in made.body:  # so that no convolution is nearly the identity
        assert isinstance(layer, RepConv)
        layer.initialise(1.0)
    made.tail.initialise(1.0)
    return made.eval()


def difference(one: EdgeStudent, other: EdgeStudent, lr: Tensor) -> float:
    return float((one(lr) - other(lr)).abs().max().detach())


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("branches", [(), ("expand", "point", "identity")])
def test_the_same_function_at_the_same_depth_or_more(
    depth: int, branches: tuple[Branch, ...], photographs: list[Tensor]
) -> None:
    """A border pixel is where zeros that are not from a ReLU would show."""
    source, deeper = student(2, "expand", "identity"), student(depth, *branches)
    change_depth(deeper, source, [])
    assert difference(deeper, source, photographs[0]) < 1e-5


def test_what_can_be_merged_without_loss_is(photographs: list[Tensor]) -> None:
    """Convolutions that are the identity are found among the others, wherever they stand."""
    source, deeper, shallower = student(2), student(4), student(2, "point")
    change_depth(deeper, source, [])
    deeper.body = torch.nn.ModuleList([deeper.body[i] for i in (2, 0, 3, 1)])
    change_depth(shallower, deeper, photographs)
    assert difference(shallower, source, photographs[0]) < 1e-3


def test_a_merged_student_is_closer_than_one_that_lacks_a_convolution(
    photographs: list[Tensor],
) -> None:
    source, merged = student(3), student(2)
    change_depth(merged, source, photographs)
    lacking = [student(2) for _ in range(3)]
    for left_out, one in enumerate(lacking):
        kept = [layer for i, layer in enumerate(source.body) if i != left_out]
        one.head, one.tail, one.body = source.head, source.tail, torch.nn.ModuleList(kept)
    fresh = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(9))

    def distance(one: EdgeStudent) -> float:
        return float((one(fresh) - source(fresh)).square().mean().detach())

    assert distance(merged) < min(distance(one) for one in lacking)


def test_every_branch_still_learns(photographs: list[Tensor]) -> None:
    source, merged = student(3), student(2, "expand", "point", "identity")
    change_depth(merged, source, photographs)
    merged(photographs[0]).square().mean().backward()
    for name, parameter in merged.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
