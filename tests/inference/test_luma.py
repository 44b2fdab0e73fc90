"""Pictures in colour by files of Y: what becomes of grey, of colours, of bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgesr.inference.luma import Array, by_luma
from edgesr.models.edge import EdgeStudent
from edgesr.recipe import Edge


def nearest(lr: Array) -> Array:
    """A network of one channel, of floats."""
    return lr.repeat(4, 2).repeat(4, 3)


def test_a_picture_of_one_channel_passes_as_it_is() -> None:
    y = np.random.default_rng(0).random((2, 1, 5, 7), np.float32)
    assert np.array_equal(by_luma(nearest, (2, 3))(y), nearest(y))


def test_grey_has_no_chroma() -> None:
    grey = np.random.default_rng(0).random((1, 1, 5, 7), np.float32).repeat(3, 1)
    sr = by_luma(nearest, (2, 3))(grey)
    assert np.abs(sr - nearest(grey)).max() < 1e-6


def test_bytes_of_grey_are_those_of_the_network() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (2, 9, 6, 1), np.uint8)
    sr = by_luma(lambda lr: lr.repeat(3, 1).repeat(3, 2), (1, 2))(grey.repeat(3, 3))
    assert np.array_equal(sr, grey.repeat(3, 1).repeat(3, 2).repeat(3, 3))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_is_what_the_student_does_in_training(scale: int) -> None:
    torch.manual_seed(0)
    student = EdgeStudent(Edge(channels=4, depth=1, colours=1, scale=scale)).eval()  # type: ignore[arg-type]
    lr = np.random.default_rng(0).random((2, 3, 9, 6), np.float32)

    @torch.no_grad()
    def run(lr: Array) -> Array:
        sr: Array = student(torch.from_numpy(lr)).numpy()
        return sr

    assert np.abs(by_luma(run, (2, 3))(lr) - run(lr)).max() < 1e-5


def test_the_luma_of_the_result_is_what_the_network_makes() -> None:
    lr = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    sr = by_luma(nearest, (2, 3))(lr)
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    y = np.einsum("bchw,c->bhw", lr, weights)[:, None]
    assert np.abs(np.einsum("bchw,c->bhw", sr, weights)[:, None] - nearest(y)).max() < 1e-6
