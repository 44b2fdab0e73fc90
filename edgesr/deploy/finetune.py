"""Quantisation-aware fine-tuning: the rewritten network learns to be itself in eight bits.

Every convolution sees its input and its weights as the int8 file will have them; gradients pass
the rounding unchanged (Jacob et al., CVPR 2018). The float network is the teacher.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr import console
from edgesr.data import pairs, photos
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.deploy import saturation
from edgesr.deploy.heldout import drawings
from edgesr.models.edge import EdgeStudent
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import Student
from edgesr.recipe import Recipe

MEASURED = 20
"""Batches that the first ranges are measured on."""


class EightBits(nn.Module):
    """An activation rounded to 256 levels between the lowest and the highest value seen lately."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.rounding = False

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            # Zero stays exact, as the runtime asks.
            self.low += 0.1 * (x.detach().amin().clamp(max=0) - self.low)
            self.high += 0.1 * (x.detach().amax().clamp(min=0) - self.high)
        if not self.rounding:
            return x
        scale = ((self.high - self.low) / 255).clamp(min=1e-8)
        zero = (-self.low / scale).round().to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, 255)


class EightBitConv(nn.Module):
    """A convolution as the int8 file computes it.

    Args:
        rounds_output: whether its output is rounded too. Behind a ReLU that is left to the next
            convolution, which rounds it as its input.
        reduce_range: see `deploy.saturation`.
    """

    def __init__(self, conv: nn.Conv2d, *, rounds_output: bool, reduce_range: bool = True) -> None:
        super().__init__()
        self.conv, self.reduce_range = conv, reduce_range
        self.input = EightBits()
        self.output = EightBits() if rounds_output else None

    def forward(self, x: Tensor) -> Tensor:
        weight = self.conv.weight
        if self.input.rounding:
            found = saturation.steps(weight.detach().numpy(), reduce_range=self.reduce_range)
            scale = torch.from_numpy(found).to(weight)
            zero = torch.zeros_like(scale, dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)
        y = F.conv2d(self.input(x), weight, self.conv.bias, padding=self.conv.padding)
        return y if self.output is None else self.output(y)


def finetune(module: Student, recipe: Recipe) -> nn.Module:
    """The rewritten copy of `module`, its weights moved so that eight bits harm it less.

    Adam on the mean absolute difference to the float network's picture of training patches and, in
    every batch, of drawn pictures, for `export.int8.finetune_steps`, at a learning rate that falls
    to zero.
    """
    settings, training = recipe.export.int8, recipe.training
    teacher = deployable(module, recipe.export.rewrites)
    student = deployable(module, recipe.export.rewrites).requires_grad_(True)
    relus = isinstance(module, EdgeStudent) and not separate_branches(module, recipe)
    layers = wrap(
        student,
        relus=relus,
        min_channels=settings.min_channels,
        reduce_range=settings.reduce_range,
    )
    split = photos.split(recipe.data)
    cache = PatchCache.open(
        split.train,
        patch=training.patch,
        scale=module.scale,
        degradation=recipe.data.degradation,
        seed=recipe.seed,
        lr=pairs.find(recipe.data, module.scale, split),
    )
    sampler = PatchSampler(cache, patch=training.patch, batch=training.batch, seed=recipe.seed)
    adam = torch.optim.Adam(student.parameters(), lr=settings.finetune_lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings.finetune_steps)
    drawn = _drawn(training.patch // module.scale)
    student.train()
    keep_statistics(student)
    with torch.no_grad():
        for _ in range(MEASURED):
            student(torch.cat([sampler.next()[0], drawn]))
    for layer in layers:
        layer.rounding = True
    with console.bar("8-bit fine-tuning", settings.finetune_steps) as bar:
        for _ in range(settings.finetune_steps):
            lr = torch.cat([sampler.next()[0], drawn])
            loss = F.l1_loss(student(lr), teacher(lr))
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            schedule.step()
            bar.advance(1, f"difference {float(loss.detach()):.5f}")
    unwrap(student)
    return student.eval().requires_grad_(False)


def _drawn(side: int) -> Tensor:
    """Graphics at LR, (B, 3, side, side)."""
    graphics, _ = drawings(side, side)
    return torch.from_numpy(np.concatenate(graphics))


def separate_branches(module: EdgeStudent, recipe: Recipe) -> bool:
    """Whether convolutions are added up before the ReLU, in the file that is exported."""
    return bool(module.spec.branches) and not recipe.export.rewrites.collapse_branches


def keep_statistics(network: nn.Module) -> None:
    """Let batch normalisation that was not folded do in training what the file does."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def wrap(
    network: nn.Module, *, relus: bool, min_channels: int = 1, reduce_range: bool = True
) -> list[EightBits]:
    """Put the convolutions of `network` into EightBitConvs; the roundings, for switching.

    Args:
        relus: whether a ReLU follows every convolution but the last.
        min_channels: a convolution to fewer stays in float, as in the int8 file.
        reduce_range: as in the int8 file, see `deploy.saturation`.
    """
    plain = [(name, layer) for name, layer in network.named_modules() if type(layer) is nn.Conv2d]
    for i, (name, layer) in enumerate(plain):
        last = i == len(plain) - 1
        if layer.out_channels >= min_channels:
            rounding = EightBitConv(
                layer, rounds_output=last or not relus, reduce_range=reduce_range
            )
            network.set_submodule(name, rounding)
    return [layer for layer in network.modules() if isinstance(layer, EightBits)]


def unwrap(network: nn.Module) -> None:
    """Undo `wrap`, leaving the convolutions with the weights that they have learned."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, EightBitConv):
            network.set_submodule(name, layer.conv)
