"""Frames of one size enlarged: one session, the same windows for every frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgesr.inference.memory import Windows
from edgesr.inference.sized import reduced
from edgesr.inference.tiling import Pixels
from edgesr.inference.upscale_files import Chooser
from edgesr.video.planes import Planes, enlarged, luma_of, with_luma

Frame = Pixels | Planes

TOGETHER = 8
"""Frames in one run on a GPU, whose cores one small frame does not fill. It was not measured."""


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

    @property
    def together(self) -> int:
        """How many frames are best enlarged at once."""
        return 1 if self.upscaler.on_cpu else TOGETHER

    def __call__(self, pixels: Frame) -> Frame:
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

    def batch(self, frames: Sequence[Frame]) -> list[Frame]:
        """Several frames, as a call has each; in one run where memory and the file allow.

        Raises:
            DataError, ModelError: see `Upscaler`.
        """
        if len(frames) == 1:
            return [self(frames[0])]
        seen = [luma_of(each) if isinstance(each, Planes) else self._seen(each) for each in frames]
        found: list[Frame] = []
        for frame, large in zip(frames, self.upscaler.batch(seen), strict=True):
            result = self._fitted(iter([large]))
            if isinstance(frame, Planes):
                found.append(with_luma(frame, self.size, result))
            else:
                found.append(result)
        return found

    def _enlarged(self, pixels: Pixels) -> Pixels:
        """(H, W, 3), or (H, W) of grey."""
        pixels = self._seen(pixels)
        if self._windows is None:
            self._windows = self.upscaler.windows(pixels)
        return self._fitted(self.upscaler.bands(pixels, self._windows))

    def _seen(self, pixels: Pixels) -> Pixels:
        """With as many bits as the model takes."""
        if pixels.dtype == np.uint16 and not self.upscaler.takes_16_bits:
            return (pixels >> 8).astype(np.uint8)
        return pixels

    def _fitted(self, bands: Iterator[Pixels]) -> Pixels:
        """What the model makes, as it comes, at `size`."""
        if self._asked != self._large:
            result = reduced(bands, self._asked)
        else:
            parts = list(bands)
            result = parts[0] if len(parts) == 1 else np.concatenate(parts)
        width, height = self.size
        return np.ascontiguousarray(result[:height, :width])
