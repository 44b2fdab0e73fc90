"""Which channels of a network hang together, whatever its layers: one is marked, and where the mark
arrives is looked at.

The mark is NaN, which no operation loses: activations keep it in its channel, a sum joins two,
PixelShuffle brings r * r to one, concatenation moves it. It ends at the next convolution. So no
table of operations is needed, and a normalisation that ties all channels to each other shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

Place = tuple[str, int, int]
"""A tensor of the network by its name, a dimension of it, and an index in that."""
Channel = tuple[Place, ...]
"""Where a channel stands, in order: what makes it, what changes it alone, what reads it."""
Kind = tuple[tuple[str, int], ...]
"""The same without the indices: only channels of one kind can stand for each other."""
Call = Callable[[Tensor], Tensor]


def channels_of(module: nn.Module, call: Call, lr: Tensor) -> dict[Kind, list[Channel]]:
    """The channels between the convolutions of `module`, by their kind, in their order.

    Args:
        call: runs `module`, which must treat each picture of a batch alone.
        lr: float32 (1, 3, H, W), a small picture.
    """
    edges: list[tuple[Place, Place]] = []
    modes = {name: layer.training for name, layer in module.named_modules()}
    marks = _Marks(module)
    for mode in (False, True):  # SPAN has layers for each
        set_mode(module, mode)
        edges += marks.followed(call, lr)
    marks.remove()
    for name, layer in module.named_modules():
        layer.training = modes[name]
    found = defaultdict(list)
    for channel in _joined(edges):
        found[tuple(place[:2] for place in channel)].append(channel)
    return dict(found)


def set_mode(module: nn.Module, training: bool) -> None:
    """As `module.train`, but batch normalisation by its running statistics: by those of a batch,
    pictures would not be alone."""
    module.train(training)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def readers(module: nn.Module) -> dict[str, nn.Conv2d]:
    """The convolutions that mix channels, by the name of their weight."""
    return {
        f"{name}.weight": layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.groups == 1
    }


class _Marks:
    """Marks what one convolution makes, and sees where marks arrive. While it watches, convolutions
    make ones alone."""

    def __init__(self, module: nn.Module) -> None:
        self.marked, self.called = "", set[str]()
        self.arrived: list[tuple[int, Place]] = []
        self.convs = readers(module)
        mixing = set(self.convs.values())
        for weight, conv in self.convs.items():
            setattr(conv, "forward", self._read_and_make(weight, conv.forward))  # noqa: B010
        alone = nn.BatchNorm2d | nn.PReLU | nn.Conv2d
        self.handles = [
            layer.register_forward_pre_hook(self._passed(name))
            for name, layer in module.named_modules()
            if isinstance(layer, alone) and layer not in mixing
        ]

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()
        for conv in self.convs.values():
            del conv.forward

    @torch.no_grad()
    def followed(self, call: Call, lr: Tensor) -> Iterator[tuple[Place, Place]]:
        """Pairs of places of one channel."""
        self.called.clear()
        call(lr)
        for weight in sorted(self.called):
            conv, self.marked = self.convs[weight], weight
            self.arrived.clear()
            call(lr.expand(conv.out_channels, -1, -1, -1))  # in each picture another channel
            bias = weight if conv.bias is None else f"{weight.removesuffix('weight')}bias"
            yield from (((weight, 0, c), (bias, 0, c)) for c in range(conv.out_channels))
            yield from (((weight, 0, c), place) for c, place in self.arrived)
        self.marked = ""

    def _read_and_make(self, weight: str, forward: Call) -> Call:
        def watched(x: Tensor) -> Tensor:
            self.called.add(weight)
            self.arrived += [(picture, (weight, 1, c)) for picture, c in _marked(x)]
            size = forward(x[:1]).shape[1:]
            clean = x.new_ones(len(x), *size)
            if weight == self.marked:
                clean.diagonal().fill_(torch.nan)  # picture c's channel c
            return clean

        return watched

    def _passed(self, name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple[Tensor]) -> None:
            channels = inputs[0].shape[1]
            own = [
                key for key, value in layer.state_dict().items() if value.shape[:1] == (channels,)
            ]
            for picture, c in _marked(inputs[0]):
                self.arrived += [(picture, (f"{name}.{key}", 0, c)) for key in own]

        return hook


def _marked(x: Tensor) -> list[list[int]]:
    """Pairs of a picture and a channel of it in `x` (B, C, H, W)."""
    found: list[list[int]] = x.isnan().flatten(2).any(2).nonzero().tolist()
    return found


def _joined(edges: list[tuple[Place, Place]]) -> list[Channel]:
    """What is connected, each in order, and all in the order of their first places."""
    number: dict[Place, int] = {}
    ends = np.array([[number.setdefault(place, len(number)) for place in edge] for edge in edges])
    size = len(number)
    graph = coo_array((np.ones(len(ends)), ends.T), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    groups = defaultdict(list)
    for place, at in number.items():
        groups[labels[at]].append(place)
    return sorted(tuple(sorted(group)) for group in groups.values())
