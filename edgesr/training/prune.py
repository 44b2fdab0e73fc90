"""A narrower network from a wide one of the same layers: channels ranked by what their removal does
to photographs, those that matter least removed.

How far a channel's removal moves the loss of one photograph is, to first order, the sum of weight
times gradient over all that reads the channel. Its square, averaged over photographs, ranks
(Molchanov et al., arXiv:1906.10771, eq. 8). Distillation then brings back what was lost.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.errors import ModelError
from edgesr.inference.padding import rounded_up
from edgesr.models.edge import EdgeStudent
from edgesr.models.foreign import SAME, Bare, Foreign
from edgesr.models.rewrite import collapse
from edgesr.models.zoo import SRModel, Trainable
from edgesr.training.channels import Call, Channel, Kind, channels_of, readers, set_mode
from edgesr.training.depth import become, layers_of

SIDE = 48
"""LR pixels of the squares that photographs are cut into."""
SQUARES = 64
"""How many of them rank, evenly spaced over all."""

Pair = tuple[Tensor, Tensor]
"""LR float32 (1, 3, H, W) and HR (1, 3, scale * H, scale * W), in 0..1."""


@torch.no_grad()
def prune(student: Trainable, source: SRModel, photographs: Iterable[Pair]) -> None:
    """Fill `student` from `source`, whose channels are as many or more.

    Proved on noise: it is then `source` with the channels that were removed at zero.

    Raises:
        ModelError: the layers of `source` mix channels otherwise than by convolutions, so that none
            can be removed alone.
    """
    if not isinstance(student, EdgeStudent):
        wide = source.module.bare if isinstance(source.module, Foreign) else source.module
        _fill(student, wide, source, photographs)
        return
    assert isinstance(source.module, EdgeStudent)
    narrow, wide = student.collapsed(), source.module.collapsed()
    collapse(narrow)
    collapse(wide)
    _fill(narrow, wide, source, photographs)
    convs = [narrow.head, *narrow.body, narrow.tail]
    for layer, conv in zip(layers_of(student), convs, strict=True):
        assert isinstance(conv, nn.Conv2d)
        become(layer, conv)


def _fill(
    narrow: nn.Module, module: nn.Module, source: SRModel, photographs: Iterable[Pair]
) -> None:
    wide = copy.deepcopy(module).requires_grad_(True).eval()
    side = rounded_up(8, source.multiple, source.min_size)
    noise = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    there = channels_of(wide, _call(wide), noise)
    wanted = channels_of(narrow, _call(narrow), noise)
    squares = _squares(photographs, source)
    effect = effects(wide, _call(wide), [each for kind in there.values() for each in kind], squares)
    kept = {
        kind: _kept(kind, own, there.get(kind, []), effect, source) for kind, own in wanted.items()
    }
    _copy(narrow, wide, [pair for pairs in kept.values() for pair in pairs], source)
    staying = {channel for pairs in kept.values() for _, channel in pairs}
    _prove(narrow, wide, [each for each in effect if each not in staying], noise, source)


def _call(module: nn.Module) -> Call:
    return module.call if isinstance(module, Bare) else module


def _squares(photographs: Iterable[Pair], source: SRModel) -> list[Pair]:
    """`SQUARES` squares of the photographs, or all where there are fewer."""
    cut = [square for lr, hr in photographs for square in _cut(lr, hr, source)]
    step = max(1, len(cut) / SQUARES)
    return [cut[int(n * step)] for n in range(min(SQUARES, len(cut)))]


def _cut(lr: Tensor, hr: Tensor, source: SRModel) -> Iterable[Pair]:
    height, width = (min(SIDE, n) // source.multiple * source.multiple for n in lr.shape[-2:])
    if min(height, width) < source.min_size:
        return
    for top in range(0, lr.shape[-2] - height + 1, height):
        for left in range(0, lr.shape[-1] - width + 1, width):
            square = lr[..., top : top + height, left : left + width]
            rows = slice(source.scale * top, source.scale * (top + height))
            columns = slice(source.scale * left, source.scale * (left + width))
            yield square, hr[..., rows, columns]


@torch.enable_grad()
def effects(
    module: nn.Module, call: Call, channels: Sequence[Channel], squares: Sequence[Pair]
) -> dict[Channel, float]:
    """Of each channel the mean square of what its removal does to the logarithm of the squared
    error, to first order."""
    found = dict.fromkeys(channels, 0.0)
    set_mode(module, training=True)  # PLKSR has gradients then alone
    for lr, hr in squares:
        module.zero_grad()
        F.mse_loss(call(lr), hr).log().backward()  # type: ignore[no-untyped-call]
        moved = {
            name: (conv.weight * conv.weight.grad).sum((0, 2, 3)).tolist()
            for name, conv in readers(module).items()
            if conv.weight.grad is not None
        }
        for channel in channels:
            read = (moved[name][at] for name, dim, at in channel if dim == 1 and name in moved)
            found[channel] += sum(read) ** 2 / len(squares)
    return found


def _kept(
    kind: Kind,
    own: list[Channel],
    there: list[Channel],
    effect: dict[Channel, float],
    source: SRModel,
) -> list[tuple[Channel, Channel]]:
    """Of each of the channels `own` of a kind the one in the wide network that it stands for."""
    if len(there) < len(own):
        raise _cannot(source, f"{kind[0][0]} has {len(own)} channels where it has {len(there)}")
    best = set(sorted(there, key=lambda each: effect[each], reverse=True)[: len(own)])
    return list(zip(own, [each for each in there if each in best], strict=True))


def _copy(
    narrow: nn.Module,
    wide: nn.Module,
    pairs: Iterable[tuple[Channel, Channel]],
    source: SRModel,
) -> None:
    taken: dict[tuple[str, int], dict[int, int]] = {}
    for own, theirs in pairs:
        for (name, dim, to), (_, _, at) in zip(own, theirs, strict=True):
            taken.setdefault((name, dim), {})[to] = at
    weights = wide.state_dict()
    for name, value in narrow.state_dict().items():
        found = weights[name]
        for dim in range(found.dim()):
            if (name, dim) in taken:
                order = taken[name, dim]
                found = found.index_select(dim, torch.tensor([order[n] for n in sorted(order)]))
        if found.shape != value.shape:
            raise _cannot(source, f"{name} is of no convolution, PReLU or batch normalisation")
        value.copy_(found)


def _prove(
    narrow: nn.Module,
    wide: nn.Module,
    removed: Iterable[Channel],
    noise: Tensor,
    source: SRModel,
) -> None:
    convs = readers(wide)
    for name, dim, at in (place for channel in removed for place in channel):
        if dim == 1:
            convs[name].weight[:, at] = 0
    trained = narrow.training
    ours, theirs = _call(narrow.eval())(noise), _call(wide.eval())(noise)
    narrow.train(trained)
    if not (ours - theirs).abs().max() <= SAME * theirs.abs().max():
        raise _cannot(source, "without a channel it is another function than with that at zero")


def _cannot(source: SRModel, why: str) -> ModelError:
    return ModelError(
        f"{source.path}: channels of {source.architecture} cannot be removed: {why}",
        "Networks of convolutions, their activations and batch normalisation can be pruned: SRGAN, "
        "edge, Compact, ESRGAN, RCAN. Start this one at random.",
    )
