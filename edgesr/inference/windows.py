"""Pictures of any size for model files that take windows of one size alone; no torch.

A picture is cut in windows of exactly that size, as `inference.tiling` has it; one that is smaller
is mirrored up to a window, as `inference.padding` has it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.inference.padding import padded
from edgesr.inference.tiling import scaled, spans

Array = NDArray[Any]


def in_windows(
    run: Callable[[Array], Array],
    axes: tuple[int, int],
    window: tuple[int, int],
    halo: int,
    multiple: int = 1,
) -> Callable[[Array], Array]:
    """`run`, which takes one picture of height and width `window`, for pictures of any size, each
    of a batch apart.

    Args:
        axes: of height and width.
        halo, multiple: of the network, see `inference.contract`; both sides of `window` are above
            2 halo, and multiples of `multiple`.
    """

    def at(rows: slice, columns: slice) -> tuple[slice, ...]:
        place = [slice(None)] * 4
        place[axes[0]], place[axes[1]] = rows, columns
        return tuple(place)

    def one(lr: Array) -> Array:
        large, whole = padded(lr, axes, multiple, window), None
        cuts = (
            spans(large.shape[axis], side, halo) for axis, side in zip(axes, window, strict=True)
        )
        for (read_rows, keep_rows), (read, keep) in product(*map(list, cuts)):
            sr = run(np.ascontiguousarray(large[at(read_rows, read)]))
            scale = sr.shape[axes[0]] // window[0]
            if whole is None:
                whole = np.empty(_enlarged(large.shape, axes, scale), sr.dtype)
            kept = at(scaled(keep_rows, 0, scale), scaled(keep, 0, scale))
            own = at(scaled(keep_rows, read_rows.start, scale), scaled(keep, read.start, scale))
            whole[kept] = sr[own]
        assert whole is not None, "a picture has one window at least"
        height, width = (scale * lr.shape[axis] for axis in axes)
        return whole[at(slice(height), slice(width))]

    return lambda lr: np.concatenate([one(lr[i : i + 1]) for i in range(len(lr))])


def _enlarged(shape: tuple[int, ...], axes: tuple[int, int], scale: int) -> tuple[int, ...]:
    return tuple(scale * n if axis in axes else n for axis, n in enumerate(shape))
