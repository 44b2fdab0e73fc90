"""Eight-bit weights whose sums fit 16 bits, so that a file computes the same on every processor.

Processors without VNNI (AVX2, AVX-512 before Cascade Lake) multiply unsigned activations by signed
weights with VPMADDUBSW, which adds the products of two neighbours into 16 bits and cuts off what
does not fit. Which weights are neighbours depends on the runtime. Where no two weights of a filter
of one sign add up to more than 128 steps, 255 * 128 = 32,640 fits whatever their order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
"""The largest weight, in steps; -128 is left out, so that the range is symmetric."""


def steps(weights: NDArray[np.floating], *, reduce_range: bool) -> NDArray[np.float64]:
    """The step of each filter's eight-bit weights, positive.

    Args:
        weights: (filters, ...), float.
        reduce_range: whether a filter's two largest weights of one sign stay within 127 steps
            together (128 once they are rounded), or each of its weights alone.
    """
    flat = weights.reshape(len(weights), -1).astype(np.float64)
    largest = np.abs(flat).max(axis=1)
    if reduce_range and flat.shape[1] > 1:
        largest = np.maximum(largest, np.maximum(_two_largest(flat), _two_largest(-flat)))
    found: NDArray[np.float64] = np.maximum(largest / LARGEST, 1e-8)
    return found


def _two_largest(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of each row's two largest values above zero."""
    sums: NDArray[np.float64] = np.partition(np.maximum(flat, 0), -2, axis=1)[:, -2:].sum(axis=1)
    return sums
