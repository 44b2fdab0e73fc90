"""Pictures of any size for networks that take multiples of a size alone; no torch.

A picture is mirrored at its lower and right end, and repeats its last pixels where it is smaller
than what is missing; the same is cut off the result. So does spandrel for PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rounded_up(length: int, multiple: int, least: int = 1) -> int:
    """The smallest multiple of `multiple` that is at least `length` and `least`."""
    return -(-max(length, least) // multiple) * multiple


def padded(
    picture: Array, axes: tuple[int, int], multiple: int, least: int | tuple[int, int] = 1
) -> Array:
    """`picture`, whose height and width are `axes`, at the next size that a network takes.

    Args:
        multiple: of which both sides are to be.
        least: what both sides are to be at least, or height and width.
    """
    sides = (least, least) if isinstance(least, int) else least
    for mode in ("reflect", "edge"):
        widths = [(0, 0)] * picture.ndim
        for axis, side in zip(axes, sides, strict=True):
            length = picture.shape[axis]
            missing = rounded_up(length, multiple, side) - length
            widths[axis] = (0, min(missing, length - 1) if mode == "reflect" else missing)
        if any(after for _, after in widths):
            picture = np.pad(picture, widths, mode=mode)
    return picture


def wrapped(picture: Array, margin: int) -> Array:
    """(H, W, ...) with `margin` pixels of the opposite edge beyond each; the same for none."""
    if not margin:
        return picture
    widths = [(margin, margin)] * 2 + [(0, 0)] * (picture.ndim - 2)
    return np.pad(picture, widths, mode="wrap")


def one_by_one(run: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """`run`, which takes a batch of one, as one that takes any batch."""
    return lambda lr: np.concatenate([run(lr[i : i + 1]) for i in range(len(lr))])


def fitting(
    run: Callable[[Array], Array], axes: tuple[int, int], multiple: int, least: int = 1
) -> Callable[[Array], Array]:
    """`run`, which takes sizes that `padded` gives, as one that takes any size."""

    def fitted(lr: Array) -> Array:
        large = padded(lr, axes, multiple, least)
        sr = run(large)
        kept = [slice(None)] * sr.ndim
        for axis in axes:
            scale = sr.shape[axis] // large.shape[axis]
            kept[axis] = slice(scale * lr.shape[axis])
        return sr[tuple(kept)]

    return run if (multiple, least) == (1, 1) else fitted
