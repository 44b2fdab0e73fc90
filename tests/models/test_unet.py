"""The discriminator that judges every pixel."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgesr.models.unet import UNetDiscriminator


@pytest.mark.parametrize(("height", "width"), [(8, 8), (36, 20), (33, 17)])
def test_every_pixel_of_any_patch_gets_a_verdict(height: int, width: int) -> None:
    judge = UNetDiscriminator(channels=4)
    assert judge(torch.rand(2, 3, height, width)).shape == (2, 1, height, width)


def test_convolutions_between_the_ends_keep_a_spectral_norm_of_one() -> None:
    torch.manual_seed(0)
    judge = UNetDiscriminator(channels=4)
    for _ in range(30):  # each pass in training takes a step of the power iteration
        judge(torch.rand(1, 3, 16, 16))
    held = [layer for layer in judge.modules() if isinstance(layer, nn.Conv2d)][1:-1]
    norms = [torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2) for layer in held]
    assert len(norms) == 8
    assert all(0.9 < float(norm.detach()) < 1.1 for norm in norms)


def test_two_verdicts_before_one_step_leave_gradients_sound() -> None:
    # The step judges HR and SR first and descends once; the power iteration runs in between.
    judge = UNetDiscriminator(channels=4)
    (judge(torch.rand(1, 3, 16, 16)).mean() - judge(torch.rand(1, 3, 16, 16)).mean()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in judge.parameters())
