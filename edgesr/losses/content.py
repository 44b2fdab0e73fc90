"""Pixel content loss. The VGG term of equation 4 shares its forward pass with LPIPS and lives
in `edgesr.losses.perceptual`."""

from __future__ import annotations

from torch import Tensor


def l1(sr: Tensor, target: Tensor) -> Tensor:
    """Eq. 5: mean |SR - target| over (B, 3, H, W) images of the same range; a scalar."""
    return (sr - target).abs().mean()
