"""Pixel content losses. The VGG term of equation 4 shares its forward pass with LPIPS and lives
in `edgesr.losses.perceptual`."""

from __future__ import annotations

from torch import Tensor


def l1(sr: Tensor, target: Tensor) -> Tensor:
    """Eq. 5: mean |SR - target| over (B, 3, H, W) images of the same range; a scalar."""
    return (sr - target).abs().mean()


# Red, green and blue in the luma of ITU-R BT.601, scaled so that white less black is 1.
BT601 = (65.481 / 219, 128.553 / 219, 24.966 / 219)


def luma_l1(sr: Tensor, target: Tensor) -> Tensor:
    """Mean |luma of SR - luma of target| over (B, 3, H, W) images of the same range; a scalar.

    PSNR and SSIM of super-resolution are stated on this channel (`edgesr.quality.metrics`).
    """
    weights = sr.new_tensor(BT601).view(1, 3, 1, 1)
    return ((sr - target) * weights).sum(1).abs().mean()
