"""The moving average of the weights."""

from __future__ import annotations

import torch
from torch import nn

from edgesr.training.ema import Ema


def test_average_moves_fast_at_first_and_slowly_later() -> None:
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(0.0)
    ema = Ema(net, 0.999)
    net.weight.data.fill_(1.0)
    ema.update(net)
    assert torch.allclose(ema.module.weight, torch.tensor(1 - 2 / 11))
    ema.updates = 10**6
    before = ema.module.weight.item()
    ema.update(net)
    assert abs(ema.module.weight.item() - (before + 0.001 * (1 - before))) < 1e-6


def test_decay_zero_is_the_network_itself() -> None:
    net = nn.Linear(2, 2)
    ema = Ema(net, 0.0)
    net.weight.data.add_(1.0)
    ema.update(net)
    assert torch.equal(ema.module.weight, net.weight)


def test_buffers_are_those_of_the_latest_step() -> None:
    net = nn.BatchNorm2d(2)
    ema = Ema(net, 0.9)
    net.train()(torch.rand(4, 2, 3, 3))
    ema.update(net)
    assert torch.equal(ema.module.running_mean, net.running_mean)
    assert ema.module.num_batches_tracked == 1
    assert not ema.module.training
