"""Pixel content losses. The VGG term of equation 4 shares its forward pass with LPIPS and lives
in `edgesr.losses.perceptual`."""

from __future__ import annotations

from torch import Tensor


def l1(error: Tensor) -> Tensor:
    """Eq. 5: mean |error|, which is SR - HR, (B, 3, H, W); a scalar."""
    return error.abs().mean()


# Red, green and blue in the luma of ITU-R BT.601, scaled so that white less black is 1.
BT601 = (65.481 / 219, 128.553 / 219, 24.966 / 219)


def luma_l1(error: Tensor) -> Tensor:
    """Mean |luma of error|, which is SR - HR, RGB (B, 3, H, W); a scalar.

    PSNR and SSIM of super-resolution are stated on this channel (`edgesr.metrics`).
    """
    red, green, blue = error.unbind(1)
    return l1(BT601[0] * red + BT601[1] * green + BT601[2] * blue)
