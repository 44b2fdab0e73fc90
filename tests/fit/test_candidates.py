"""What a candidate costs and how candidates compare."""

from __future__ import annotations

from edgesr.fit.candidates import Candidate


def test_multiply_adds_are_those_of_the_3x3_convolutions_per_lr_pixel() -> None:
    assert Candidate(32, 10).cost.macs == 9 * (3 * 32 + 10 * 32 * 32 + 32 * 48)


def test_parameters_are_those_that_ship_not_those_that_train() -> None:
    assert Candidate(32, 8).cost.parameters == 88_752  # as README states of edge-s


def test_of_equal_multiply_adds_the_deeper_has_more_capacity() -> None:
    assert Candidate(16, 9).capacity > Candidate(16, 8).capacity
    assert Candidate(64, 2).capacity > Candidate(16, 20).capacity
