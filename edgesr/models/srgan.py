"""The SRGAN generator and discriminator (Ledig et al., CVPR 2017, figure 4).

    python -c "from edgesr.models.srgan import Generator; print(Generator())"

The generator is the paper's teacher with 16 residual blocks and its student with 4.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor, nn

from edgesr.recipe import Srgan

STEPS: dict[int, list[int]] = {2: [2], 3: [3], 4: [2, 2]}
"""Factors of the PixelShuffles that make up a scale."""


def prelu(spec: Srgan) -> nn.PReLU:
    return nn.PReLU(spec.channels if spec.prelu == "channel" else 1)


class ResidualBlock(nn.Module):
    """conv 3x3 > BN > PReLU > conv 3x3 > BN, added to its input."""

    def __init__(self, spec: Srgan) -> None:
        super().__init__()
        c = spec.channels
        self.conv1 = nn.Conv2d(c, c, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(c, eps=spec.bn_eps)
        self.act = prelu(spec)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(c, eps=spec.bn_eps)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.bn1(self.conv1(x)))
        y = x + self.bn2(self.conv2(y))
        return y


class Head(nn.Module):
    """conv 9x9 from RGB > PReLU."""

    def __init__(self, spec: Srgan) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, spec.channels, 9, padding=4)
        self.act = prelu(spec)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.conv(x))
        return y


class Fusion(nn.Module):
    """conv 3x3 > BN, at the end of the residual blocks."""

    def __init__(self, spec: Srgan) -> None:
        super().__init__()
        self.conv = nn.Conv2d(spec.channels, spec.channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(spec.channels, eps=spec.bn_eps)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x))
        return y


class Upsample(nn.Module):
    """conv 3x3 to r * r times the channels > PixelShuffle(r) > PReLU."""

    def __init__(self, spec: Srgan, r: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(spec.channels, r**2 * spec.channels, 3, padding=1)
        self.shuffle = nn.PixelShuffle(r)
        self.act = prelu(spec)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shuffle(self.conv(x))  # (B, r r C, H, W) -> (B, C, rH, rW)
        y = self.act(y)
        return y


class Tail(nn.Module):
    """conv 9x9 to RGB."""

    def __init__(self, spec: Srgan) -> None:
        super().__init__()
        self.conv = nn.Conv2d(spec.channels, 3, 9, padding=4)
        self.tanh = spec.output == "tanh"

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return (torch.tanh(y) + 1) / 2 if self.tanh else y


class Generator(nn.Module):
    """SRGAN generator, in the paper x4.

    Input (B, 3, H, W), RGB, nominally 0..1; output (B, 3, scale * H, scale * W) in the same range,
    not clipped.
    """

    def __init__(self, spec: Srgan | None = None) -> None:
        super().__init__()
        self.spec = spec or Srgan()
        self.scale: int = self.spec.scale
        self.head = Head(self.spec)
        self.body = nn.Sequential(*(ResidualBlock(self.spec) for _ in range(self.spec.blocks)))
        self.fusion = Fusion(self.spec)
        self.upsample = nn.Sequential(*(Upsample(self.spec, r) for r in STEPS[self.spec.scale]))
        self.tail = Tail(self.spec)

    def with_features(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """The output, and the (B, channels, H, W) that enter the up-sampling."""
        x = self.head(lr)
        features = x + self.fusion(self.body(x))
        return self.tail(self.upsample(features)), features

    def forward(self, lr: Tensor) -> Tensor:
        return self.with_features(lr)[0]

    @property
    def halo(self) -> int:
        """Radius of the receptive field in LR pixels, rounded up."""
        radius, reached = Fraction(4 + 2 * self.spec.blocks + 1), 1
        for r in STEPS[self.scale]:  # the convolution before each PixelShuffle
            radius += Fraction(1, reached)
            reached *= r
        return math.ceil(radius + Fraction(4, reached))

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The parts that cost is stated for."""
        return {
            "head": self.head,
            "body": nn.ModuleList([self.body, self.fusion]),
            "upsampler": self.upsample,
            "tail": self.tail,
        }


class Discriminator(nn.Module):
    """SRGAN discriminator: eight 3x3 convolutions, 64 to 512 channels, then two linear layers.

    Takes (B, 3, H, W), RGB 0..1, any H and W from 16 on; returns (B, 1) logits, whose sigmoid
    is D of equations 2 and 7. The last feature map is pooled to 6 x 6 (its size at the original
    96 x 96), so that the linear layers fit any patch.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        c = channels
        widths = [(c, c, 2), (c, 2 * c, 1), (2 * c, 2 * c, 2), (2 * c, 4 * c, 1)]
        widths += [(4 * c, 4 * c, 2), (4 * c, 8 * c, 1), (8 * c, 8 * c, 2)]
        layers: list[nn.Module] = [nn.Conv2d(3, c, 3, padding=1), nn.LeakyReLU(0.2)]
        for n_in, n_out, stride in widths:
            layers += [
                nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.LeakyReLU(0.2),
            ]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(6))
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(8 * c * 6 * 6, 16 * c),
            nn.LeakyReLU(0.2),
            nn.Linear(16 * c, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.features(2 * x - 1))
        return y
