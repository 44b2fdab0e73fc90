"""Students that do all their work at low resolution.

    conv 3x3 > ReLU > depth x (conv 3x3 > ReLU) > conv 3x3 to 48 channels
    > PixelShuffle(4), added to the nearest-neighbour enlargement of the input

Each convolution but the first may train with linear branches beside it; `RepConv.collapse` turns
them into one 3x3 convolution that computes the same function (RepVGG, arXiv:2101.03697; ECBSR,
10.1145/3474085.3475291).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.inference.luma import BLUE, GREEN, RED
from edgesr.recipe import Edge


class RepConv(nn.Module):
    """A 3x3 convolution, padding 1, with linear branches added to its output.

    The branches: `expand`, a 1x1 convolution to twice the output's width, then a 3x3 one; `point`,
    a 1x1 one; `identity`, the input itself (only where the widths agree). The 1x1 convolutions have
    no bias, so a border of zeros stays zero between the two and the collapse is exact there too.
    """

    def __init__(self, n_in: int, n_out: int, branches: Sequence[str]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, padding=1)
        self.identity = "identity" in branches and n_in == n_out
        self.point = nn.Conv2d(n_in, n_out, 1, bias=False) if "point" in branches else None
        self.expand: nn.Conv2d | None = None
        self.squeeze: nn.Conv2d | None = None
        if "expand" in branches:
            self.expand = nn.Conv2d(n_in, 2 * n_out, 1, bias=False)
            self.squeeze = nn.Conv2d(2 * n_out, n_out, 3, padding=1)

    def initialise(self, gain: float) -> None:
        """He's initialisation times `gain`, on every branch; biases zero."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                layer.weight.data.mul_(gain)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.collapsed(self.conv.weight.dtype), padding=1)

    @torch.no_grad()
    def collapse(self) -> nn.Conv2d:
        """One 3x3 convolution with the same output; summed in float64."""
        weight, bias = self.collapsed(torch.float64)
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1).to(self.conv.weight)
        conv.weight.copy_(weight)
        assert conv.bias is not None
        conv.bias.copy_(bias)
        return conv

    def collapsed(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Weight (out, in, 3, 3) and bias (out,) of all branches together, summed in `dtype`.

        Training convolves with these too, so that branches cost next to nothing (SESR,
        arXiv:2103.09404); the gradients are those of the branches.
        """
        weight, bias = self.conv.weight.to(dtype), _bias(self.conv).to(dtype)
        if self.identity:
            identity = torch.eye(len(weight), dtype=dtype, device=weight.device)
            weight = weight + F.pad(identity[:, :, None, None], [1] * 4)
        if self.point is not None:
            # Selected, as in `expand`: the gradient of a 1x1 kernel is then always contiguous.
            point = self.point.weight.to(dtype)[:, :, 0, 0]  # (out, in)
            weight = weight + F.pad(point[:, :, None, None], [1] * 4)
        if self.expand is not None and self.squeeze is not None:
            inner = self.expand.weight.to(dtype)[:, :, 0, 0]  # (mid, in)
            outer = self.squeeze.weight.to(dtype)  # (out, mid, 3, 3)
            # Half precision would round the sum, not only the product that autocast is for.
            with torch.autocast(weight.device.type, enabled=False):
                weight = weight + torch.einsum("omhw,mi->oihw", outer, inner)
            bias = bias + _bias(self.squeeze).to(dtype)
        return weight, bias


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


class Anchored(nn.Module):
    """PixelShuffle(scale), added to the nearest-neighbour enlargement of the input."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, channels: Tensor, lr: Tensor) -> Tensor:
        anchor = F.interpolate(lr, scale_factor=self.shuffle.upscale_factor, mode="nearest")
        sr: Tensor = self.shuffle(channels) + anchor
        return sr


def luma(rgb: Tensor) -> Tensor:
    """Y of BT.601, (B, 1, H, W), of RGB (B, 3, H, W), both in 0..1."""
    red, green, blue = rgb.unbind(1)
    return (RED * red + GREEN * green + BLUE * blue)[:, None]


def _fold_head(_: nn.Module, state: dict[str, Tensor], prefix: str, *__: object) -> None:
    """Collapse the branches that the head had once, in weights that are about to be loaded."""
    start = f"{prefix}head."
    branches = [name for name in ("expand", "point") if f"{start}{name}.weight" in state]
    if branches:
        keys = [key for key in state if key.startswith(start)]
        old = {key.removeprefix(start): state.pop(key) for key in keys}
        head = RepConv(old["conv.weight"].shape[1], len(old["conv.bias"]), branches)
        head.load_state_dict(old)
        for name, value in head.collapse().state_dict().items():
            state[f"{start}conv.{name}"] = value


class EdgeStudent(nn.Module):
    """Low-resolution student.

    Input (B, 3, H, W), RGB, nominally 0..1; output (B, 3, scale * H, scale * W) in the same range,
    not clipped. One of luma takes and gives (B, 1, ...), or RGB: then it enlarges Y, and chroma is
    enlarged by bicubic, as `inference.luma` has it.
    """

    def __init__(self, spec: Edge | None = None) -> None:
        super().__init__()
        self.spec = spec or Edge()
        self.scale: int = self.spec.scale
        c, branches = self.spec.channels, self.spec.branches
        self.colours: int = self.spec.colours
        self.head = RepConv(self.colours, c, [])
        self.body = nn.ModuleList([RepConv(c, c, branches) for _ in range(self.spec.depth)])
        # With 48 channels an identity would fit here, and add the features to the picture.
        ends = [branch for branch in branches if branch != "identity"]
        self.tail = RepConv(c, self.colours * self.scale**2, ends)
        self.end = Anchored(self.scale)
        self._initialise()
        self.register_load_state_dict_pre_hook(_fold_head)  # type: ignore[no-untyped-call]

    def _initialise(self) -> None:
        """The head sees differences alone, the body starts as the identity plus a little noise,
        the tail near zero.

        From PyTorch's default, and from He's, the ReLUs of most seeds died within 50 steps at the
        learning rates that suit this network, and training stayed at the anchor. A head whose
        filters do not sum to zero sees mostly brightness, which opens some of its ReLUs always and
        others never: up to 18 of 48 channels stayed closed. So did some with branches beside it.
        """
        self.head.initialise(1.0)
        filters = self.head.conv.weight.data
        filters.sub_(filters.mean((1, 2, 3), keepdim=True))
        self.tail.initialise(0.1)
        for layer in self.body:
            assert isinstance(layer, RepConv)
            layer.initialise(0.1)
            if not layer.identity:
                weight = layer.conv.weight
                weight.data.add_(nn.init.dirac_(torch.empty_like(weight)))

    @torch.no_grad()
    def collapsed(self) -> EdgeStudent:
        """A student of the same function that has no branches."""
        plain = EdgeStudent(self.spec.model_copy(update={"branches": []}))
        for name, layer in self.named_modules():
            if isinstance(layer, RepConv):
                conv = plain.get_submodule(f"{name}.conv")
                conv.load_state_dict(layer.collapse().state_dict())
        return plain

    def with_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """The output, and the (B, channels, H, W) that enter the last convolution."""
        if lr.shape[1] != self.colours:
            y = luma(lr)
            sr, features = self.with_features(y)
            chroma = F.interpolate(
                lr - y, scale_factor=float(self.scale), mode="bicubic", antialias=True
            )
            return sr + chroma, features
        features = F.relu(self.head(lr))
        for conv in self.body:
            features = F.relu(conv(features))
        return self.end(self.tail(features), lr), features

    def forward(self, lr: Tensor) -> Tensor:
        return self.with_features(lr)[0]

    @property
    def halo(self) -> int:
        """Radius of the receptive field in LR pixels."""
        return self.spec.depth + 2

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The parts that cost is stated for; the up-sampler is a reordering and has none."""
        return {"head": self.head, "body": self.body, "tail": self.tail}
