"""Kernels of blur: symmetric about their middle, of odd side, with the sum 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft, special

from edgesr.recipe import Real

Values = NDArray[np.float32]


def between(limits: Sequence[float], rng: Generator) -> float:
    """A number between two, all equally likely."""
    return float(rng.uniform(limits[0], limits[1]))


def drawn(by: Real, scale: float, rng: Generator) -> Values:
    """A kernel as `by` has it, for a picture that is `scale` times as large as LR."""
    weights = np.array([by.isotropic, by.anisotropic, by.generalised, by.sinc])
    kind = int(rng.choice(4, p=weights / weights.sum()))
    if kind == 3:
        return sinc(between(by.cutoff, rng) / scale)
    one, other = (scale * between(by.sigma, rng) for _ in range(2))
    turn = rng.uniform(0, np.pi)
    if kind == 0:
        return gaussian(one, one, 0.0)
    return gaussian(one, other, turn, between(by.shape, rng) if kind == 2 else 1.0)


def gaussian(along: float, across: float, turn: float, shape: float = 1.0) -> Values:
    """exp(-d^shape / 2), d the squared distance in standard deviations: a Gaussian where `shape`
    is 1, flatter inside and steeper outside above it.

    Args:
        along, across: standard deviations in pixels of the two axes.
        turn: radians that the axes are turned by.
    """
    reach = max(1, math.ceil(3 * max(along, across) * max(1.0, min(2.0, 1 / shape))))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    first = (x * np.cos(turn) + y * np.sin(turn)) / along
    second = (y * np.cos(turn) - x * np.sin(turn)) / across
    return _of_sum_one(np.exp(-0.5 * (first**2 + second**2) ** shape))


def sinc(cutoff: float) -> Values:
    """A round ideal low-pass filter, cut off after three of its rings.

    Args:
        cutoff: over the Nyquist frequency of the picture, above 0 and at most 1.
    """
    reach = math.ceil(3.5 / cutoff)
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    distance[reach, reach] = 1.0
    kernel = cutoff * special.j1(np.pi * cutoff * distance) / (2 * distance)
    kernel[reach, reach] = np.pi * cutoff**2 / 4
    return _of_sum_one(kernel)


def _of_sum_one(kernel: NDArray[np.floating]) -> Values:
    normalised: Values = (kernel / kernel.sum()).astype(np.float32)
    return normalised


def convolve(padded: Values, kernel: Values) -> Values:
    """(H + K - 1, W + K - 1, C) with a symmetric (K, K) -> (H, W, C)."""
    side = len(kernel)
    size = [fft.next_fast_len(n, real=True) for n in padded.shape[:2]]
    spectrum = fft.rfft2(padded, size, axes=(0, 1))
    spectrum *= fft.rfft2(kernel, size)[..., None]
    whole: Values = fft.irfft2(spectrum, size, axes=(0, 1))
    return whole[side - 1 : padded.shape[0], side - 1 : padded.shape[1]]
