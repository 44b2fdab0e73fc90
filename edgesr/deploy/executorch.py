"""ExecuTorch files (.pte) of networks that edgesr trained, each one call of XNNPACK: fp32, and int8
of edge students.

ExecuTorch takes PixelShuffle apart into a transposition between two reshapes. XNNPACK does not take
those of a free size, so that a file for any size would leave it and come back. A transposed
convolution with weights of 0 and 1 does the same and is taken.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.deploy.int8_layers import LEVEL, Layer, quantised_layers
from edgesr.errors import ExportError
from edgesr.models.edge import EdgeStudent
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import Network, Student
from edgesr.recipe import Rewrites
from edgesr.runtimes.channel_order import dcr_order
from edgesr.streams import unheard

with unheard():
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

BYTES = -128, 127, torch.int8
EIGHT = torch.ops.quantized_decomposed


def to_executorch(module: Network, largest: int, *, clip: bool) -> bytes:
    """`module` in float32: `lr` (1, 3, height, width) in, `sr` (1, 3, scale * height, ...) out.

    Args:
        largest: LR pixels of the longest side that the file takes; the runtime has the memory of
            such a picture and its result from the start.

    Raises:
        ExportError: it is another project's network.
    """
    if not isinstance(module, Student):
        raise ExportError(
            f"no ExecuTorch file of {type(module).__name__}: they are made of networks whose "
            "layers edgesr knows",
            "Leave out --pte.",
        )
    return _lowered(spread(deployable(module, Rewrites(clip=clip))), largest)


def to_int8(module: Network, int8: onnx.ModelProto, largest: int) -> bytes:
    """The eight-bit weights and ranges of `model.int8.onnx`, which calibration and fine-tuning
    found: the same function, float32 at both ends, the output on the levels of 0..1.

    Args:
        largest: see `to_executorch`.

    Raises:
        ExportError: it is no edge student, or a convolution of `int8` stays in float.
    """
    if not isinstance(module, EdgeStudent):
        raise ExportError(
            f"no int8 ExecuTorch file of {type(module).__name__}: they are made of edge students"
        )
    return _lowered(InBytes(quantised_layers(int8), module.scale), largest)


def _lowered(network: nn.Module, largest: int) -> bytes:
    height, width = (torch.export.Dim(side, min=1, max=largest) for side in ("height", "width"))
    with unheard(), torch.no_grad():
        program = torch.export.export(
            network.eval(), (torch.zeros(1, 3, 24, 32),), dynamic_shapes=({2: height, 3: width},)
        )
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        return bytes(lowered.to_executorch().buffer)


class Spread(nn.Module):
    """PixelShuffle(r): (1, C r r, H, W) to (1, C, r H, r W), as a transposed convolution."""

    weight: Tensor

    def __init__(self, channels: int, r: int) -> None:
        super().__init__()
        self.r = r
        self.register_buffer("weight", ones(channels, r))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight, stride=self.r)


def ones(channels: int, r: int) -> Tensor:
    """Weights of `Spread`, (C r r, C, r, r): 1 where a channel goes, else 0."""
    return torch.eye(channels).reshape(channels, channels // r**2, r, r)


@torch.no_grad()
def spread(network: nn.Module) -> nn.Module:
    """`network` with `Spread` in the place of every PixelShuffle."""
    shuffles = {
        name: layer for name, layer in network.named_modules() if isinstance(layer, nn.PixelShuffle)
    }
    channels: dict[str, int] = {}
    for name, layer in shuffles.items():
        layer.register_forward_pre_hook(
            lambda _, taken, name=name: channels.update({name: taken[0].shape[1]})
        )
    network(torch.zeros(1, 3, 8, 8))
    for name, layer in shuffles.items():
        network.set_submodule(name, Spread(channels[name], layer.upscale_factor))
    return network


class InBytes(nn.Module):
    """An edge student whose every value is one of 256: what `Layer`s say, then the enlarged input
    added and PixelShuffle, in DCR order. (1, 3, H, W) to (1, 3, r H, r W)."""

    spread: Tensor

    def __init__(self, layers: list[Layer], scale: int) -> None:
        super().__init__()
        self.scale, channels = scale, 3 * scale**2
        *body, tail = layers
        self.body = nn.Sequential(*(ConvInBytes(layer, relu=True) for layer in body))
        self.tail = ConvInBytes(tail, relu=False)
        eye = np.tile(np.eye(3, dtype=np.int8), (scale**2, 1))[:, :, None, None]
        step, none = np.full(channels, 1 / 127, np.float32), np.zeros(channels, np.float32)
        self.anchor = ConvInBytes(Layer(127 * eye, step, none, LEVEL, 0), relu=False)
        order = torch.from_numpy(dcr_order(channels, scale))
        self.register_buffer("spread", ones(channels, scale)[order].to(torch.int8))

    def forward(self, lr: Tensor) -> Tensor:
        levels = EIGHT.quantize_per_tensor.default(lr, float(LEVEL), -128, *BYTES)
        # Each reads them for itself: XNNPACK cuts the graph where two share what was read.
        x, anchor = (
            EIGHT.dequantize_per_tensor.default(levels, float(LEVEL), -128, *BYTES)
            for _ in range(2)
        )
        x = rounded(self.tail(self.body(x)) + self.anchor(anchor), LEVEL, 0)
        weight = EIGHT.dequantize_per_tensor.default(self.spread, 1.0, 0, *BYTES)
        return rounded(F.conv_transpose2d(x, weight, stride=self.scale), LEVEL, 0)


class ConvInBytes(nn.Module):
    """One `Layer`."""

    weight: Tensor
    scale: Tensor
    zeros: Tensor
    bias: Tensor

    def __init__(self, layer: Layer, *, relu: bool) -> None:
        super().__init__()
        self.relu, self.step, self.zero = relu, layer.step, layer.zero
        self.pad = layer.weight.shape[2] // 2
        self.register_buffer("weight", torch.from_numpy(layer.weight.copy()))
        self.register_buffer("scale", torch.from_numpy(layer.scale.copy()))
        self.register_buffer("zeros", torch.zeros(len(layer.scale), dtype=torch.int64))
        self.register_buffer("bias", torch.from_numpy(layer.bias.astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        weight = EIGHT.dequantize_per_channel.default(
            self.weight, self.scale, self.zeros, 0, *BYTES
        )
        y = F.conv2d(x, weight, self.bias, padding=self.pad)
        return rounded(F.relu(y) if self.relu else y, self.step, self.zero)


def rounded(x: Tensor, step: np.float32, zero: int) -> Tensor:
    """`x` on 256 levels: step (q - zero), q of 0..255."""
    facts = float(step), zero - 128, *BYTES
    levels: Tensor = EIGHT.dequantize_per_tensor.default(
        EIGHT.quantize_per_tensor.default(x, *facts), *facts
    )
    return levels
