"""What tests of several models share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture
def receptive_radius() -> Callable[[nn.Module], int]:
    """How far in LR pixels the middle of a model's output really looks."""
    return _receptive_radius


def _receptive_radius(module: nn.Module, side: int = 31) -> int:
    """How far in LR pixels the middle of the output really looks, from its gradient."""
    module = module.double().eval()
    lr = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    sr = module(lr)
    scale = sr.shape[-1] // side
    middle = scale * (side // 2)
    sr[..., middle : middle + scale, middle : middle + scale].sum().backward()
    assert lr.grad is not None
    rows = lr.grad.abs().sum(dim=(0, 1, 3)).nonzero()[:, 0]
    return int((rows - side // 2).abs().max())
