"""Pixel content losses. The VGG term of equation 4 shares its forward pass with LPIPS and lives
in `edgesr.losses.perceptual`."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d, pixel_unshuffle

from edgesr.recipe import LATTICE_PERIODS


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


def lattice(error: Tensor, scale: int) -> Tensor:
    """Mean |what of the error repeats every `scale` pixels|, over `LATTICE_PERIODS` of them a side.

    Fine detail has another error at each period and is averaged out; a lattice, which LPIPS and
    discriminators leave in smooth areas (`edgesr.quality.grid`), has the same.

    Args:
        error: SR - HR, (B, C, H, W); sides are multiples of `scale` and hold an area at least.

    Returns:
        A scalar.
    """
    means = avg_pool2d(pixel_unshuffle(error, scale), LATTICE_PERIODS)  # (B, C scale^2, H', W')
    phases = means.reshape(len(error), -1, scale**2, *means.shape[2:])
    return l1(phases - phases.mean(2, keepdim=True))
