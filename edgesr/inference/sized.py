"""Any size: the network at its factor, then Pillow's reduction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from edgesr.errors import DataError
from edgesr.inference.tiling import Pixels
from edgesr.inference.upscaler import Upscaler

LARGEST = 1 << 20
"""Of a side that may be asked for, in pixels."""


@dataclass(frozen=True)
class TargetSize:
    """What a picture is to become: `scale` times larger, or as large as fits inside the rest.

    Attributes:
        scale: a factor, 1 at least.
        width, height, max_side: limits in pixels; the aspect is kept.

    Raises:
        DataError: nothing, both a factor and a limit, or a value out of range.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    max_side: int | None = None

    def __post_init__(self) -> None:
        limits = {"width": self.width, "height": self.height, "max-side": self.max_side}
        given = {name: value for name, value in limits.items() if value is not None}
        if (self.scale is None) == (not given):
            raise DataError(
                "the size of the result is asked for twice" if given else "no size is asked for",
                "Give either --scale, or one or more of --width, --height and --max-side.",
            )
        if self.scale is not None and not 1 <= self.scale <= 16:
            raise DataError(f"scale = {self.scale:g}: expected 1..16")
        for name, value in given.items():
            if not 1 <= value <= LARGEST:
                raise DataError(f"{name} = {value}: expected 1..{LARGEST} pixels")

    def factor(self, width: int, height: int) -> float:
        """How many times larger a picture of `width` x `height` is to become."""
        if self.scale is not None:
            return self.scale
        sides = (self.width, width), (self.height, height), (self.max_side, max(width, height))
        return min(limit / side for limit, side in sides if limit is not None)

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the result, at least one pixel."""
        factor = self.factor(width, height)
        return max(1, round(factor * width)), max(1, round(factor * height))


class Sized:
    """Pictures of any size, by the smallest factor of a family that reaches it.

    Args:
        family: scale -> the bundle or model file of that scale.
        size: what every picture is to become.
        open_: opens one of the family; each is opened once, when it is first needed.
    """

    def __init__(
        self, family: Mapping[int, Path], size: TargetSize, open_: Callable[[Path], Upscaler]
    ) -> None:
        self._family, self._size, self._open = dict(family), size, cache(open_)

    def choose(self, width: int, height: int) -> tuple[Upscaler, tuple[int, int]]:
        """What enlarges a picture of `width` x `height`, and the size that is asked for.

        Raises:
            DataError: no scale of the family reaches it.
        """
        wanted = self._size.of(width, height)
        factor = max(wanted[0] / width, wanted[1] / height)
        reach = [
            scale
            for scale in sorted(self._family)
            if scale * width >= wanted[0] and scale * height >= wanted[1]
        ]
        if not reach:
            raise DataError(
                f"{width} x {height} pixels to {wanted[0]} x {wanted[1]} is {factor:.4g} times, "
                f"the model enlarges {max(self._family)} times",
                "Ask for less, or enlarge the result once more.",
            )
        return self._open(self._family[reach[0]]), wanted


def reduced(bands: Iterable[Pixels], size: tuple[int, int]) -> Pixels:
    """A picture that comes in bands, reduced by Pillow (Lanczos) to width x height.

    Args:
        bands: uint8 or uint16 (rows, width, ...), from top to bottom.
    """
    whole = np.concatenate(list(bands))
    if whole.dtype == np.uint8:
        return np.asarray(Image.fromarray(whole).resize(size, Image.Resampling.LANCZOS))
    planes = whole[..., None] if whole.ndim == 2 else whole
    small = [_reduced_plane(planes[..., place], size) for place in range(planes.shape[2])]
    result: Pixels = np.stack(small, axis=-1)
    return result[..., 0] if whole.ndim == 2 else result


def _reduced_plane(plane: Pixels, size: tuple[int, int]) -> Pixels:
    """Pillow has no 16-bit colour: each channel goes through floats."""
    floats = Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.LANCZOS)
    values: Pixels = np.clip(np.rint(np.asarray(floats)), 0, 65535).astype(np.uint16)
    return values
