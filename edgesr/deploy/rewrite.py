"""Exact rewrites of a trained network into what is exported: fewer operations, same function."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgesr.models.edge import EdgeStudent, RepConv
from edgesr.models.srgan import Fusion, ResidualBlock
from edgesr.models.zoo import Student


def deployable(module: Student) -> Student:
    """A copy in eval mode with BN folded into its convolution and branches collapsed.

    The arithmetic of the rewriting is float64, so that only its result is rounded.
    """
    dtype = next(module.parameters()).dtype
    rewritten = copy.deepcopy(module).eval().double()
    for layer in list(rewritten.modules()):
        if isinstance(layer, ResidualBlock):
            fold(layer, "conv1", "bn1")
            fold(layer, "conv2", "bn2")
        elif isinstance(layer, Fusion):
            fold(layer, "conv", "bn")
    if isinstance(rewritten, EdgeStudent):
        collapse(rewritten)
    return rewritten.to(dtype).requires_grad_(False)


def fold(layer: nn.Module, conv: str, bn: str) -> None:
    """Let the convolution also do what the batch normalisation behind it does in eval mode."""
    setattr(layer, conv, fuse_conv_bn_eval(getattr(layer, conv), getattr(layer, bn)))
    setattr(layer, bn, nn.Identity())


def collapse(student: EdgeStudent) -> None:
    """Replace each convolution's branches by the one convolution that they add up to."""
    for name, layer in list(student.named_modules()):
        if isinstance(layer, RepConv):
            student.set_submodule(name, layer.collapse())
