"""The moving average of the weights, which is what gets validated and shipped."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """Exponential moving average of a network, the statistics of its batch normalisation too:
    averaged weights would otherwise meet the statistics of others. Counts are the latest step's.

    Attributes:
        module: the averaged network, in eval mode, without gradient.
        updates: how many steps it has seen. The decay grows with them, (1 + n) / (10 + n) at
            first, so that a short run is not an average of its random start.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, source: nn.Module) -> None:
        """Move the average towards the weights of `source`."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averages, latest = _averaged(self.module), _averaged(source)
        torch._foreach_lerp_(averages, latest, 1 - decay)
        for average, buffer in zip(self.module.buffers(), source.buffers(), strict=True):
            if not buffer.is_floating_point():
                average.copy_(buffer)


def _averaged(module: nn.Module) -> list[torch.Tensor]:
    buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    return [parameter.data for parameter in module.parameters()] + buffers
