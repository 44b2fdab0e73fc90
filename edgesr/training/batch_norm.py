"""Batch normalisation over the patches of all processes, so that many compute what one would.

torch's SyncBatchNorm needs a GPU; this one asks only for an all-reduce.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class SharedBatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose mean and variance in training are those of the patches of all
    processes, each of which has as many; in evaluation there is no difference."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        count = input.numel() // self.num_features * torch.distributed.get_world_size()
        var, mean = self._statistics(input.float())
        self._remember(mean.detach(), var.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        y: Tensor = input * scale[:, None, None] + shift[:, None, None]
        return y.to(input.dtype)

    def _statistics(self, x: Tensor) -> Tensor:
        """Variance and mean of each channel over all processes, (2, C)."""
        var, mean = torch.var_mean(x, (0, 2, 3), correction=0)
        every = x.new_zeros(torch.distributed.get_world_size(), 2, len(mean))
        every[torch.distributed.get_rank()] = torch.stack([var, mean])
        var, mean = _AllReduce.apply(every).unbind(1)  # each (processes, C)
        # What varies within the processes, and what varies between them.
        return torch.stack([var.mean(0) + mean.var(0, correction=0), mean.mean(0)])

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var, self.momentum)
        self.num_batches_tracked.add_(1)


class _AllReduce(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return _sum(x)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _sum(gradient)


def _sum(x: Tensor) -> Tensor:
    x = x.clone(memory_format=torch.contiguous_format)
    torch.distributed.all_reduce(x)
    return x


def share_batch_norm(net: nn.Module) -> None:
    """Have every batch normalisation of `net` take the patches of all processes; its parameters,
    statistics and names stay."""
    for name, layer in net.named_children():
        if type(layer) is nn.BatchNorm2d:
            shared = SharedBatchNorm(layer.num_features, layer.eps, layer.momentum)
            shared.load_state_dict(layer.state_dict())
            setattr(net, name, shared)
        else:
            share_batch_norm(layer)
