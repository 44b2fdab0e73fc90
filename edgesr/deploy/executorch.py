"""ExecuTorch files (.pte) of a network that edgesr trained: float32, one call of XNNPACK.

ExecuTorch takes PixelShuffle apart into a transposition between two reshapes. XNNPACK does not take
those of a free size, so that a file for any size would leave it and come back. A transposed
convolution with weights of 0 and 1 does the same and is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.errors import ExportError
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import Network, Student
from edgesr.recipe import Rewrites
from edgesr.streams import unheard

with unheard():
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower


class Spread(nn.Module):
    """PixelShuffle(r): (1, C r r, H, W) to (1, C, r H, r W), as a transposed convolution."""

    weight: Tensor

    def __init__(self, channels: int, r: int) -> None:
        super().__init__()
        self.r = r
        ones = torch.eye(channels).reshape(channels, channels // r**2, r, r)
        self.register_buffer("weight", ones)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.weight, stride=self.r)


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
    network = spread(deployable(module, Rewrites(clip=clip)))
    height, width = (torch.export.Dim(side, min=1, max=largest) for side in ("height", "width"))
    with unheard():
        program = torch.export.export(
            network, (torch.zeros(1, 3, 24, 32),), dynamic_shapes=({2: height, 3: width},)
        )
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        return bytes(lowered.to_executorch().buffer)


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
    return network.eval()
