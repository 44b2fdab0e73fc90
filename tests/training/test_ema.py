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


def test_statistics_of_batch_normalisation_are_averaged_as_the_weights_are() -> None:
    net = nn.BatchNorm2d(2)
    ema = Ema(net, 0.9)
    net.train()(torch.rand(4, 2, 3, 3) + 5)
    ema.update(net)
    share = 1 - 2 / 11
    assert torch.allclose(ema.module.running_mean, share * net.running_mean)
    assert torch.allclose(ema.module.running_var, 1 - share + share * net.running_var)
    assert ema.module.num_batches_tracked == 1
    assert not ema.module.training


def test_the_average_of_a_network_that_moves_normalises_what_it_computes() -> None:
    """At a constant rate the latest statistics are of weights that the average is not."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, momentum=1.0)).train()
    ema, pictures = Ema(net, 0.9), torch.randn(64, 1, 8, 8)
    for step in range(60):  # the weight swings between two values, as it does about a minimum
        net[0].weight.data.fill_(1.0 + 0.25 * (-1) ** step)
        net(pictures)
        ema.update(net)
    assert abs(float(ema.module(pictures).std()) - 1) < 0.1
    latest = net.eval()[1](ema.module[0](pictures)).detach()
    assert abs(float(latest.std()) - 1) > 0.2
