"""The lattice that a network may leave on what it enlarges: a pattern that repeats every `scale`
pixels, which shows in skies and skin and which neither PSNR nor LPIPS punishes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgesr.metrics import Image

PERIODS = 8
"""Of the lattice in a block's side: between two of its frequencies lie seven others."""
SMOOTH = 0.25
"""Share of the blocks that are looked at, those of least contrast in the ground truth."""
UNSEEN = 0.5
"""Root mean square in 8-bit levels of a lattice that does not show; the ground truth counts as
having that much there at least."""


def grid(sr: Image, hr: Image, scale: int) -> float | None:
    """How strong a lattice of `scale` pixels is in the smooth blocks of `sr`: its energy, over that
    of the ground truth at the same frequencies in the same blocks.

    0 is none. On photographs of Kodak networks without a visible lattice are at 0.03 to 0.2, a
    lattice of one level added to one of them is at 1.6, and GANs that leave one at 0.6 to 1.4.

    Up-sampling by a factor leaves peaks at multiples of 1 / scale in the spectrum (Odena et al.,
    Deconvolution and Checkerboard Artifacts, Distill, 2016; Zhang et al., Detecting and Simulating
    Artifacts in GAN Fake Images, arXiv:1907.06515). The spectrum is Welch's: the mean over blocks
    below a Hann window, and over R, G and B. What counts as lattice is what stands above the
    frequencies around it, so that fine detail, which has all frequencies, does not.

    Args:
        sr, hr: (H, W, 3) of 8 bits, of the same size.

    Returns:
        None where the pictures are smaller than a block of `PERIODS` times `scale` pixels.
    """
    side = PERIODS * scale
    if min(hr.shape[:2]) < side:
        return None
    smooth = _smooth(hr, side)
    peaks, around = _energies(_spectrum(sr, side, smooth), scale)
    truth, _ = _energies(_spectrum(hr, side, smooth), scale)
    return max(0.0, peaks - around) / max(truth, UNSEEN**2 * _gain(side))


def _smooth(hr: Image, side: int) -> NDArray[np.bool_]:
    """Which blocks have the least contrast, on green; as many as `SMOOTH` of them, at least one."""
    contrast = np.array([block.std() for block in _blocks(hr[..., 1], side)])
    chosen: NDArray[np.bool_] = contrast <= np.quantile(contrast, SMOOTH)
    return chosen


def _blocks(channel: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(H, W) -> (N, side, side), what is left over at the bottom and the right cut off."""
    rows, columns = (length // side for length in channel.shape)
    cut = channel[: rows * side, : columns * side]
    return cut.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _spectrum(picture: Image, side: int, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Energy density (side, side) in squared levels; of white noise it is its variance."""
    blocks = np.concatenate([_blocks(picture[..., c], side)[chosen] for c in range(3)])
    window = _window(side)
    values = (blocks - blocks.mean((1, 2), keepdims=True)) * window
    energy = np.abs(np.fft.fft2(values)) ** 2 / np.sum(window**2)
    density: NDArray[np.float64] = energy.mean(0)
    return density


def _window(side: int) -> NDArray[np.float64]:
    """Hann's, periodic, in two dimensions."""
    hann = np.hanning(side + 1)[:-1]
    return np.outer(hann, hann)


def _gain(side: int) -> float:
    """The energy of a lattice whose mean square is 1 level, over all its frequencies."""
    window = _window(side)
    return float(window.sum() ** 2 / np.sum(window**2))


def _energies(density: NDArray[np.float64], scale: int) -> tuple[float, float]:
    """Energy at the lattice's frequencies, and what lies around them: for each the median of the
    frequencies three and four away, which a Hann window keeps apart."""
    steps = range(-(PERIODS // 2), PERIODS // 2 + 1)
    ring = np.array([(a, b) for a in steps for b in steps if max(abs(a), abs(b)) > 2])
    lattice = PERIODS * np.array([divmod(n, scale) for n in range(1, scale**2)])
    places = (lattice[:, None] + ring) % len(density)
    around = np.median(density[places[..., 0], places[..., 1]], axis=1)
    return float(density[lattice[:, 0], lattice[:, 1]].sum()), float(around.sum())
