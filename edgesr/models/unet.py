"""The discriminator that judges every pixel: a U-Net with spectral normalisation.

The paper names it as future work; the design is that of Real-ESRGAN (Wang et al., ICCVW 2021,
section 3.3), spectral normalisation that of Miyato et al. (arXiv:1802.05957).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class UNetDiscriminator(nn.Module):
    """Three halvings to 8 times the channels and back, the maps of the way down added.

    Takes (B, 3, H, W), RGB 0..1, any H and W from 8 on; returns (B, 1, H, W) logits, whose
    sigmoid is D of equations 2 and 7 at each pixel. All convolutions but the first and the last
    are held to a spectral norm of 1, so there is no batch normalisation.
    """

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        c = channels
        self.first = nn.Conv2d(3, c, 3, padding=1)
        self.down = nn.ModuleList(_halve(n, 2 * n) for n in (c, 2 * c, 4 * c))
        self.up = nn.ModuleList(_conv(2 * n, n) for n in (4 * c, 2 * c, c))
        self.end = nn.Sequential(
            _conv(c, c),
            nn.LeakyReLU(0.2),
            _conv(c, c),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = [_act(self.first(2 * x - 1))]
        for conv in self.down:
            maps.append(_act(conv(maps[-1])))
        y = maps.pop()
        for conv in self.up:
            skip = maps.pop()
            y = F.interpolate(y, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            y = _act(conv(y)) + skip
        logits: Tensor = self.end(y)
        return logits


def _act(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _conv(n_in: int, n_out: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False))


def _halve(n_in: int, n_out: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(n_in, n_out, 4, stride=2, padding=1, bias=False))
