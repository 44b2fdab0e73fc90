"""Exact rewrites of a trained network into what is exported: fewer operations, same function.

    conv > BN                              -> conv
    branches beside a 3x3 conv             -> conv
    PReLU with one slope                   -> LeakyReLU
    PixelShuffle(r) > PReLU                -> PReLU > PixelShuffle(r)
    PixelShuffle(r) > activation > conv    -> activation > conv > PixelShuffle(r)
    PixelShuffle(r) > + enlarged input     -> + 1x1 conv of the input > PixelShuffle(r)

Each has its switch in `export.rewrites`; what is switched off stays in the file as it was trained.
The arithmetic of the rewriting is float64, so that only its result is rounded.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesr.models.edge import EdgeStudent, RepConv
from edgesr.models.srgan import Fusion, Generator, ResidualBlock, Upsample
from edgesr.models.zoo import Student
from edgesr.recipe import Rewrites


def deployable(module: Student, rewrites: Rewrites) -> nn.Module:
    """A rewritten copy in eval mode, on the same device; `module` stays as it is."""
    like = next(module.parameters())
    rewritten = copy.deepcopy(module).eval().double()
    if isinstance(rewritten, EdgeStudent):
        (collapse if rewrites.collapse_branches else separate)(rewritten)
        if rewrites.low_resolution_anchor:
            rewritten.set_submodule("end", AnchoredFirst(rewritten))
    else:
        _rewrite_generator(rewritten, rewrites)
    rewritten.to(like.device, like.dtype).requires_grad_(False)
    return nn.Sequential(rewritten, Clip()).eval() if rewrites.clip else rewritten


class Clip(nn.Module):
    """Values held to 0..1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, 1)


class Branches(nn.Module):
    """The branches of a RepConv as layers of their own, which forward has in one convolution."""

    def __init__(self, layer: RepConv) -> None:
        super().__init__()
        self.conv, self.point = layer.conv, layer.point
        self.expand, self.squeeze = layer.expand, layer.squeeze
        self.identity = layer.identity

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        if self.expand is not None and self.squeeze is not None:
            y = y + self.squeeze(self.expand(x))
        if self.point is not None:
            y = y + self.point(x)
        return y + x if self.identity else y


class AnchoredFirst(nn.Module):
    """What `Anchored` does, added up before PixelShuffle(r), at r * r times fewer positions.

    There each colour of the input is added to r * r channels. A 1x1 convolution with weights of 0
    and 1 repeats it so, which runtimes add inside the convolution before.
    """

    repeat: Tensor

    def __init__(self, student: EdgeStudent) -> None:
        super().__init__()
        r, one = student.scale, torch.eye(student.colours)
        self.register_buffer("repeat", one.repeat_interleave(r**2, 0)[:, :, None, None])
        self.shuffle = nn.PixelShuffle(r)

    def forward(self, channels: Tensor, lr: Tensor) -> Tensor:
        sr: Tensor = self.shuffle(channels + F.conv2d(lr, self.repeat))
        return sr


def _rewrite_generator(generator: Generator, rewrites: Rewrites) -> None:
    if rewrites.fold_batch_norm:
        fold_all(generator)
    *others, last = [layer for layer in generator.upsample if isinstance(layer, Upsample)]
    if rewrites.prelu_before_shuffle:
        for layer in others:
            swap_activation(layer)
    if rewrites.prelu_before_shuffle or rewrites.low_resolution_tail:
        swap_activation(last)
    if rewrites.low_resolution_tail:
        move_tail(generator, last)
    if rewrites.leaky_relu:
        use_leaky_relu(generator)


def fold_all(generator: Generator) -> None:
    """Fold each batch normalisation into the convolution before it."""
    for layer in list(generator.modules()):
        if isinstance(layer, ResidualBlock):
            fold(layer, "conv1", "bn1")
            fold(layer, "conv2", "bn2")
        elif isinstance(layer, Fusion):
            fold(layer, "conv", "bn")


def fold(layer: nn.Module, conv: str, bn: str) -> None:
    """Let the convolution also do what the batch normalisation behind it does in eval mode."""
    setattr(layer, conv, fuse_conv_bn_eval(getattr(layer, conv), getattr(layer, bn)))
    setattr(layer, bn, nn.Identity())


def collapse(student: EdgeStudent) -> None:
    """Replace each convolution's branches by the one convolution that they add up to."""
    _replace(student, RepConv.collapse)


def separate(student: EdgeStudent) -> None:
    """Replace each convolution's branches by layers of their own."""
    _replace(student, Branches)


def _replace(student: EdgeStudent, make: Callable[[RepConv], nn.Module]) -> None:
    for name, layer in list(student.named_modules()):
        if isinstance(layer, RepConv):
            student.set_submodule(name, make(layer))


def use_leaky_relu(module: nn.Module) -> None:
    """Replace each PReLU that has one slope."""
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.PReLU) and layer.num_parameters == 1:
            module.set_submodule(name, nn.LeakyReLU(float(layer.weight.detach())))


def before_shuffle(act: nn.PReLU, r: int) -> nn.PReLU:
    """The PReLU that does before PixelShuffle(r) what `act` does behind it.

    PixelShuffle takes channel c of its output from the r * r channels from c * r * r on.
    """
    if act.num_parameters == 1:
        return act
    repeated = nn.PReLU(act.num_parameters * r**2).to(act.weight)
    repeated.weight = nn.Parameter(act.weight.detach().repeat_interleave(r**2))
    return repeated


def swap_activation(layer: Upsample) -> None:
    """conv > PixelShuffle > PReLU becomes conv > PReLU > PixelShuffle."""
    act = before_shuffle(layer.act, layer.shuffle.upscale_factor)
    layer.set_submodule("shuffle", nn.Sequential(act, layer.shuffle))
    layer.set_submodule("act", nn.Identity())


def move_tail(generator: Generator, last: Upsample) -> None:
    """conv > PReLU > PixelShuffle > tail becomes conv > PReLU > tail > PixelShuffle."""
    swapped = last.get_submodule("shuffle")
    assert isinstance(swapped, nn.Sequential), "swap_activation comes first"
    act, shuffle = swapped
    assert isinstance(shuffle, nn.PixelShuffle)
    last.set_submodule("shuffle", act)
    moved = before_shuffle_conv(generator.tail.conv, shuffle.upscale_factor)
    generator.tail.set_submodule("conv", nn.Sequential(moved, shuffle))


@torch.no_grad()
def before_shuffle_conv(conv: nn.Conv2d, r: int) -> nn.Conv2d:
    """The convolution that, followed by PixelShuffle(r), does what `conv` does behind it.

    Output pixel (r i + a, r j + b) of `conv` reads the shuffled pixels (r i + a + u, r j + b + v)
    for u, v in -p..p: at low resolution pixel (i + (a + u) // r, j + (b + v) // r) and sub-pixel
    ((a + u) % r, (b + v) % r). The weights are those of `conv`, put there. Zero padding stays
    zero as long as nothing between shuffle and convolution moves zero, which PReLU does not.

    Args:
        conv: k x k, k odd, padding (k - 1) / 2, stride 1, with bias.
        r: the factor of the PixelShuffle.
    """
    n_out, n_in, k, _ = conv.weight.shape
    p = k // 2
    radius = -(-p // r)
    side = 2 * radius + 1
    weight = conv.weight.new_zeros(n_out, r, r, n_in, r, r, side, side)
    for a in range(r):
        for b in range(r):
            for u in range(-p, p + 1):
                for v in range(-p, p + 1):
                    (row, y), (column, x) = divmod(a + u, r), divmod(b + v, r)
                    tap = conv.weight[:, :, u + p, v + p]
                    weight[:, a, b, :, y, x, row + radius, column + radius] = tap
    moved = nn.Conv2d(n_in * r**2, n_out * r**2, side, padding=radius).to(weight)
    moved.weight.copy_(weight.reshape(moved.weight.shape))
    assert conv.bias is not None
    assert moved.bias is not None
    moved.bias.copy_(conv.bias.repeat_interleave(r**2))
    return moved
