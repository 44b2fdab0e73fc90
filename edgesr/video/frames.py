"""Frames of one size enlarged: one session, the same windows for every frame."""

from __future__ import annotations

import numpy as np

from edgesr.inference.memory import Windows
from edgesr.inference.sized import reduced
from edgesr.inference.tiling import Pixels
from edgesr.inference.upscale_files import Chooser
from edgesr.video.planes import Planes, enlarged


class Frames:
    """Enlarges every frame of a video alike.

    Args:
        enlarge: an Upscaler, or `Sized`.
        width, height: of the frames.
        even: whether the result's sides are to be even; an odd one loses its last row or column.

    Attributes:
        upscaler: what runs the model.
        size: width and height of the result.
        by_luma: whether the model takes Y alone.

    Raises:
        DataError: the size that is asked for cannot be reached.
    """

    def __init__(self, enlarge: Chooser, width: int, height: int, *, even: bool) -> None:
        self.upscaler, self._asked = enlarge.choose(width, height)
        self._large = (self.upscaler.scale * width, self.upscaler.scale * height)
        self.by_luma = self.upscaler.colours == 1
        step = 2 if even else 1
        self.size = (self._asked[0] // step * step, self._asked[1] // step * step)
        self._windows: Windows | None = None

    def __call__(self, pixels: Pixels | Planes) -> Pixels | Planes:
        """A frame at `size`. Of planes the model gets Y alone.

        Args:
            pixels: (H, W, 3), uint8 or uint16, which stays that where the model takes it; or
                planes.

        Raises:
            DataError, ModelError: see `Upscaler`.
        """
        if isinstance(pixels, Planes):
            return enlarged(pixels, self.size, self._enlarged)
        return self._enlarged(pixels)

    def _enlarged(self, pixels: Pixels) -> Pixels:
        """(H, W, 3), or (H, W) of grey."""
        if pixels.dtype == np.uint16 and not self.upscaler.takes_16_bits:
            pixels = (pixels >> 8).astype(np.uint8)
        if self._windows is None:
            self._windows = self.upscaler.windows(pixels)
        bands = self.upscaler.bands(pixels, self._windows)
        if self._asked != self._large:
            result = reduced(bands, self._asked)
        else:
            parts = list(bands)
            result = parts[0] if len(parts) == 1 else np.concatenate(parts)
        width, height = self.size
        return np.ascontiguousarray(result[:height, :width])
