"""An edge student of another depth: convolutions merged two into one, or added as the identity.

Merging is a compression of its own: the deeper student is trained first, and the shallower one
begins close to it instead of at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.edge import EdgeStudent, RepConv

EVERY = 3
"""Of the positions of a photograph, every third is an equation: thousands for each unknown."""


@torch.no_grad()
def change_depth(student: EdgeStudent, source: EdgeStudent, photographs: Sequence[Tensor]) -> None:
    """Fill `student` from `source`, which differs in depth and in branches at most.

    A deeper student is exactly the function of `source`: what enters a convolution of the body has
    left a ReLU, so one that is the identity changes nothing. For a shallower one, the two
    convolutions whose merging changes the pictures least are merged, until the depths agree.

    Args:
        photographs: float32 (1, 3, H, W) in 0..1, for the merging.
    """
    layers = layers_of(student)
    convs = [layer.collapse() for layer in layers_of(source)]
    while len(convs) < len(layers):
        convs.insert(-1, _identity(convs[-1].in_channels))
    if len(convs) > len(layers):
        wanted = [_picture(convs, lr) for lr in photographs]
        while len(convs) > len(layers):
            candidates = _merged(convs, photographs)
            convs = min(candidates, key=lambda each: _distance(each, photographs, wanted))
    for layer, conv in zip(layers, convs, strict=True):
        become(layer, conv)


def layers_of(student: EdgeStudent) -> list[RepConv]:
    body = [layer for layer in student.body if isinstance(layer, RepConv)]
    return [student.head, *body, student.tail]


def become(layer: RepConv, conv: nn.Conv2d) -> None:
    """Make `layer`, whatever its branches are, the function of `conv`."""
    assert conv.bias is not None
    assert layer.conv.bias is not None
    weight, bias = layer.collapsed(torch.float64)
    layer.conv.weight.add_(conv.weight - weight)
    layer.conv.bias.add_(conv.bias - bias)


def _identity(channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    nn.init.dirac_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def _merged(convs: list[nn.Conv2d], photographs: Sequence[Tensor]) -> Iterator[list[nn.Conv2d]]:
    """`convs` with one pair of the body's made one, for each pair.

    The one convolution is the least-squares map from what enters the first of the pair to what
    leaves the second, before its ReLU.
    """
    pairs = range(1, len(convs) - 2)
    channels = convs[1].in_channels
    size = 9 * channels + 1
    products = {place: torch.zeros(size, size, dtype=torch.float64) for place in pairs}
    targets = {place: torch.zeros(size, channels, dtype=torch.float64) for place in pairs}
    for lr in photographs:
        x = F.relu(convs[0](lr))
        for place in pairs:
            columns = columns_of(x)
            x = F.relu(convs[place](x))
            sought = convs[place + 1](x).flatten(2)[0, :, ::EVERY]
            products[place] += columns @ columns.T
            targets[place] += columns @ sought.T
    for place in pairs:
        conv = solved(products[place], targets[place])
        yield [*convs[:place], conv, *convs[place + 2 :]]


def columns_of(x: Tensor) -> Tensor:
    """What a 3x3 convolution and its bias multiply: (9 C + 1, positions)."""
    columns = F.unfold(x, 3, padding=1)[0, :, ::EVERY]
    return torch.cat([columns, torch.ones_like(columns[:1])])


def solved(product: Tensor, target: Tensor) -> nn.Conv2d:
    """The 3x3 convolution that least squares finds; see `columns_of`."""
    # Channels that are always closed leave the equations without a unique solution.
    ridge = 1e-6 * product.diagonal().mean() * torch.eye(len(product), dtype=product.dtype)
    solution = torch.linalg.solve(product + ridge, target).float()
    channels = target.shape[1]
    conv = nn.Conv2d(len(product) // 9, channels, 3, padding=1)
    assert conv.bias is not None
    conv.weight.copy_(solution[:-1].T.reshape(conv.weight.shape))
    conv.bias.copy_(solution[-1])
    return conv


def _picture(convs: list[nn.Conv2d], lr: Tensor) -> Tensor:
    """What leaves the last convolution; the rest of the network only reorders and adds."""
    for conv in convs[:-1]:
        lr = F.relu(conv(lr))
    picture: Tensor = convs[-1](lr)
    return picture


def _distance(
    convs: list[nn.Conv2d], photographs: Sequence[Tensor], wanted: Sequence[Tensor]
) -> float:
    """As PSNR is averaged: the mean logarithm of the squared difference."""
    pairs = zip(photographs, wanted, strict=True)
    return sum(float(F.mse_loss(_picture(convs, lr), picture).log()) for lr, picture in pairs)
