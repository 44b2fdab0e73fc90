"""PSNR and SSIM as the super-resolution field states them: on luma, the border cut off."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from edgesr.bundle.likeness import IDENTICAL_DB

Image = NDArray[np.uint8]

ROWS = 256
"""Of a picture at a time, so that a large one does not become float64 as a whole."""


def luma(rgb: Image) -> NDArray[np.float64]:
    """Y of ITU-R BT.601, 16..235, of an (H, W, 3) picture of 8-bit values; not rounded.

    PyTorch code in the field leaves Y like this; MATLAB's rgb2ycbcr rounds it, which takes .01
    to .02 dB and .001 of SSIM from bicubic on Set5 and Set14.
    """
    weights = np.array([65.481, 128.553, 24.966]) / 255
    y: NDArray[np.float64] = 16 + rgb.astype(np.float64) @ weights
    return y


def psnr(sr: Image, hr: Image, shave: int) -> float:
    """Peak signal-to-noise ratio on Y in dB, 10 log10(255^2 / MSE); infinite where identical.

    Args:
        sr, hr: (H, W, 3), of the same size.
        shave: pixels cut off each border; in the field, the scale.
    """
    return _decibels(sr, hr, shave, luma)


def psnr_rgb(sr: Image, hr: Image, shave: int) -> float:
    """`psnr` over the three channels of RGB: unlike Y, it sees a tint."""
    return _decibels(sr, hr, shave, lambda rgb: rgb.astype(np.float64))


def _decibels(
    sr: Image, hr: Image, shave: int, values: Callable[[Image], NDArray[np.float64]]
) -> float:
    """PSNR of the `values` of two pictures, some rows at a time."""
    sr, hr = (_inner(each, shave) for each in (sr, hr))
    total, count = 0.0, 0
    for top in range(0, len(sr), ROWS):
        rows = slice(top, top + ROWS)
        difference = values(sr[rows]) - values(hr[rows])
        total += float(np.sum(difference**2))
        count += difference.size
    mse = total / count
    return 10 * math.log10(255**2 / mse) if mse else math.inf


def mean_db(values: Iterable[float]) -> float:
    """The mean of PSNR in dB, each at most `IDENTICAL_DB`."""
    return float(np.mean([min(value, IDENTICAL_DB) for value in values]))


def ssim(sr: Image, hr: Image, shave: int) -> float:
    """Structural similarity on Y (Wang et al., 2004), at most 1.

    Gaussian window 11 x 11 of sigma 1.5, K1 = .01, K2 = .03, where the window lies wholly
    inside, as in the authors' MATLAB code.

    Args:
        sr, hr: (H, W, 3), of the same size, sides of at least 11 + 2 * shave.
        shave: pixels cut off each border.
    """
    # scikit-image cuts the Gaussian at 3.5 sigma (a radius of 5) and leaves that border out of
    # the mean; its other default, the covariance's n / (n - 1), is not in the original.
    similarity: float = structural_similarity(  # type: ignore[no-untyped-call]
        _compared(sr, shave),
        _compared(hr, shave),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(similarity)


def _compared(rgb: Image, shave: int) -> NDArray[np.float64]:
    """Luma without its border."""
    return luma(_inner(rgb, shave))


def _inner(rgb: Image, shave: int) -> Image:
    height, width = rgb.shape[:2]
    return rgb[shave : height - shave, shave : width - shave]
