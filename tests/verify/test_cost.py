"""Parameters and multiply-adds, against counts by hand."""

from __future__ import annotations

import pytest

from edgesr.bundle.records.card import Card, Origin
from edgesr.recipe import Edge, Srgan
from edgesr.verify.cost import PAPER, compare, cost, total


@pytest.mark.parametrize(
    ("blocks", "parameters", "macs"), [(16, 1_549_462, 2_218_176), (4, 660_106, 1_333_440)]
)
def test_the_papers_networks_per_lr_pixel(blocks: int, parameters: int, macs: int) -> None:
    whole = total(cost(Srgan(blocks=blocks), "10x7"))
    assert whole.parameters == parameters
    assert whole.macs == 70 * macs
    assert whole.flops == 2 * whole.macs
    assert whole.bytes == 4 * parameters


def test_the_papers_size_follows_from_float32_mib() -> None:
    teacher, student = (total(cost(Srgan(blocks=n), "1x1")) for n in (16, 4))
    assert teacher.bytes / 2**20 == pytest.approx(PAPER["teacher"].mb, abs=0.02)
    assert student.bytes / 2**20 == pytest.approx(PAPER["student"].mb, abs=0.05)


def test_the_papers_gflops_of_the_student_are_macs_at_64_square() -> None:
    assert total(cost(Srgan(blocks=4), "64x64")).macs / 1e9 == pytest.approx(5.46, abs=0.005)
    assert total(cost(Srgan(blocks=16), "64x64")).macs / 1e9 == pytest.approx(9.09, abs=0.005)


def test_parts_by_hand() -> None:
    parts = cost(Srgan(blocks=1, channels=8), "1x1")
    assert parts["head"].macs == 9 * 9 * 3 * 8
    assert parts["body"].macs == 3 * 9 * 8 * 8  # two in the block, one behind it
    assert parts["upsampler"].macs == 9 * 8 * 32 + 4 * 9 * 8 * 32
    assert parts["tail"].macs == 16 * 9 * 9 * 8 * 3
    assert parts["tail"].parameters == 9 * 9 * 8 * 3 + 3


def test_branches_cost_nothing_once_they_are_collapsed() -> None:
    plain = Edge(channels=6, depth=2)
    branched = Edge(channels=6, depth=2, branches=["expand", "point", "identity"])
    assert cost(branched, "8x8") == cost(plain, "8x8")
    assert total(cost(Edge(channels=32, depth=8), "1x1")).macs == 88_416


def test_branches_that_ship_apart_are_counted() -> None:
    branched = Edge(channels=6, depth=1, branches=["expand", "point"])
    body = cost(branched, "1x1", collapsed=False)["body"]
    assert body.macs == 9 * 6 * 6 + 6 * 6 + (6 * 12 + 9 * 12 * 6)
    assert body.parameters == body.macs + 6 + 6  # the biases of the 3x3 convolutions


def test_reduction_is_in_parameters_against_the_teacher() -> None:
    teacher = Origin(name="teacher", architecture="SRGAN N=16", spec=Srgan(blocks=16))
    card = Card.model_construct(spec=Srgan(blocks=4), teacher=teacher)
    evidence = compare(card, cost(card.spec, "64x64"), "64x64")
    assert evidence.reduction_percent == pytest.approx(57.4, abs=0.01)
    assert evidence.mac_ratio == pytest.approx(1.66, abs=0.005)


def test_a_foreign_teacher_gives_no_ratio() -> None:
    teacher = Origin(name="craft", architecture="CRAFT", spec=None)
    card = Card.model_construct(spec=Edge(), teacher=teacher)
    evidence = compare(card, cost(card.spec, "8x8"), "8x8")
    assert evidence.teacher is None
    assert evidence.reduction_percent is None
