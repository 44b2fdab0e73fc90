"""Pixel content losses. The VGG term of equation 4 shares its forward pass with LPIPS and lives
in `edgesr.losses.perceptual`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, pixel_unshuffle

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
    return l1(_luma(error))


def _luma(rgb: Tensor) -> Tensor:
    red, green, blue = rgb.unbind(1)
    weighted: Tensor = BT601[0] * red + BT601[1] * green + BT601[2] * blue
    return weighted


SSIM_WINDOW, SSIM_SIGMA = 11, 1.5


def ssim_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """1 - structural similarity on Y (Wang et al., 2004), as `edgesr.metrics.ssim` states it.

    Args:
        sr, hr: (B, 3, H, W), RGB 0..1, sides of at least `SSIM_WINDOW`.

    Returns:
        A scalar, 0 where they are the same.
    """
    x, y = ((16 + 219 * _luma(image)) / 255 for image in (sr, hr))
    moments = torch.stack([x, y, x * x, y * y, x * y])
    mean_x, mean_y, square_x, square_y, product = _windowed(moments)
    variances = square_x - mean_x**2 + square_y - mean_y**2
    covariance = product - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    alike = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    largest = (mean_x**2 + mean_y**2 + c1) * (variances + c2)
    similarity: Tensor = (alike / largest).mean()
    return 1 - similarity


def _windowed(maps: Tensor) -> Tensor:
    """The mean in each window that lies wholly inside, weighted by a Gaussian:
    (M, B, H, W) to (M, B, H - 10, W - 10)."""
    radius = SSIM_WINDOW // 2
    at = torch.arange(-radius, radius + 1, device=maps.device, dtype=maps.dtype)
    weights = torch.softmax(-(at**2) / (2 * SSIM_SIGMA**2), 0)
    rows = conv2d(maps.flatten(0, 1).unsqueeze(1), weights.view(1, 1, -1, 1))
    windows = conv2d(rows, weights.view(1, 1, 1, -1))
    return windows.reshape(*maps.shape[:2], *windows.shape[2:])


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
