"""YUV frames of 8 bits as RGB and back, by Pillow: what y4m and raw video need, without PyAV."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgesr.inference.tiling import Pixels

WEIGHTS = {1: (0.2126, 0.0722), 4: (0.3, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Of red and blue in luma, by the matrix's number in ITU-T H.273; BT.601 for all others."""
BT601_WEIGHTS = (0.299, 0.114)


@dataclass(frozen=True)
class Layout:
    """How the planes of a frame lie.

    Attributes:
        across, down: luma samples to one of chroma; 0 where there are no colours.
        left: whether chroma lies at the left one of its luma samples, not between them.
    """

    across: int
    down: int
    left: bool = False

    def chroma(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of a plane of chroma."""
        return -(-width // self.across), -(-height // self.down)

    def length(self, width: int, height: int) -> int:
        """Bytes of a frame."""
        if not self.across:
            return width * height
        chroma = self.chroma(width, height)
        return width * height + 2 * chroma[0] * chroma[1]


@dataclass(frozen=True)
class Planes:
    """A frame of 8 bits that stays YUV: Y, then both planes of chroma.

    Attributes:
        data: row by row, as y4m has it.
        size: width and height.
        full: whether Y takes 0..255, not 16..235.
    """

    data: bytes
    layout: Layout
    size: tuple[int, int]
    full: bool

    def split(self) -> list[NDArray[np.uint8]]:
        """(H, W) each."""
        shapes = [self.size, *[self.layout.chroma(*self.size)] * 2]
        found, start = [], 0
        for width, height in shapes:
            plane = np.frombuffer(self.data, np.uint8, width * height, start)
            found.append(plane.reshape(height, width))
            start += plane.size
        return found


def enlarged(frame: Planes, size: tuple[int, int], by: Callable[[Pixels], Pixels]) -> Planes:
    """A frame with chroma at another size: Y by a network, chroma by bicubic.

    Args:
        size: width and height of the result.
        by: grey of full range, uint8 (H, W), to the same of that size.
    """
    return with_luma(frame, size, by(luma_of(frame)))


def luma_of(frame: Planes) -> NDArray[np.uint8]:
    """Y of a frame in full range, (H, W)."""
    y = frame.split()[0]
    return y if frame.full else np.asarray(_expanded(), np.uint8)[y]


def with_luma(frame: Planes, size: tuple[int, int], y: NDArray[np.uint8]) -> Planes:
    """A frame of another size, whose Y is there, in full range; chroma by bicubic."""
    if not frame.full:
        y = np.asarray(_narrowed(), np.uint8)[y]
    planes = [y, *(_resized(plane, frame, size) for plane in frame.split()[1:])]
    return Planes(b"".join(plane.tobytes() for plane in planes), frame.layout, size, frame.full)


def _resized(chroma: NDArray[np.uint8], frame: Planes, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A plane of `frame` for a frame of `size`, its samples where they were beside luma's."""
    layout, large = frame.layout, frame.layout.chroma(*size)
    # The last sample of an odd side stands for one luma sample alone.
    box = [0.0, 0.0, *(n * was / now for n, was, now in zip(large, frame.size, size, strict=True))]
    if layout.left and layout.across == 2:
        shift = 0.25 * (1 - frame.size[0] / size[0])
        box[0], box[2] = box[0] + shift, box[2] + shift
    missing = [
        max(0, math.ceil(end - n)) for end, n in zip(box[2:], chroma.shape[::-1], strict=True)
    ]
    plane = Image.fromarray(np.pad(chroma, ((0, missing[1]), (0, missing[0])), mode="edge"))
    resized = plane.resize(large, Image.Resampling.BICUBIC, box=(box[0], box[1], box[2], box[3]))
    return np.asarray(resized)


def to_rgb(
    data: bytes, layout: Layout, size: tuple[int, int], matrix: int, full: bool
) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of a frame's planes; `size` is width and height."""
    width, height = size
    luma = Image.frombuffer("L", size, data[: width * height], "raw", "L", 0, 1)
    if not layout.across:
        levels = luma if full else luma.point(_expanded())
        return np.asarray(levels.convert("RGB"))
    small = layout.chroma(width, height)
    planes = [luma]
    for start in (width * height, width * height + small[0] * small[1]):
        plane = Image.frombuffer("L", small, data[start : start + small[0] * small[1]])
        planes.append(_larger(plane, layout, size))
    yuv = Image.merge("RGB", planes)
    return np.asarray(yuv.convert("RGB", _to_rgb(matrix, full)))


def to_planes(rgb: Pixels, layout: Layout, matrix: int, full: bool) -> bytes:
    """The planes of a frame, one after the other, of (H, W, 3) RGB bytes."""
    size = rgb.shape[1], rgb.shape[0]
    yuv = Image.fromarray(rgb).convert("RGB", _from_rgb(matrix, full)).split()
    if not layout.across:
        return yuv[0].tobytes()
    return b"".join([yuv[0].tobytes(), *(_smaller(c, layout, size).tobytes() for c in yuv[1:])])


def _larger(chroma: Image.Image, layout: Layout, size: tuple[int, int]) -> Image.Image:
    """A plane of chroma at the size of luma."""
    if chroma.size == size:
        return chroma
    # The last sample of an odd side stands for one luma sample alone.
    box = [0.0, 0.0, size[0] / layout.across, size[1] / layout.down]
    if layout.left and layout.across == 2:
        chroma = Image.fromarray(np.pad(np.asarray(chroma), ((0, 0), (0, 1)), mode="edge"))
        box[0], box[2] = box[0] + 0.25, box[2] + 0.25
    return chroma.resize(size, Image.Resampling.BICUBIC, box=(box[0], box[1], box[2], box[3]))


def _smaller(chroma: Image.Image, layout: Layout, size: tuple[int, int]) -> Image.Image:
    """Colours at the resolution of their plane."""
    small = layout.chroma(*size)
    if small == size:
        return chroma
    missing = (small[0] * layout.across - size[0], small[1] * layout.down - size[1])
    left = int(layout.left and layout.across == 2)
    if left or any(missing):
        widths = ((0, missing[1]), (left, missing[0]))
        chroma = Image.fromarray(np.pad(np.asarray(chroma), widths, mode="edge"))
    box = (0.5 * left, 0, chroma.width - 0.5 * left, chroma.height)
    return chroma.resize(small, Image.Resampling.BILINEAR if left else Image.Resampling.BOX, box)


@cache
def _expanded() -> list[int]:
    """Limited luma at its full range."""
    return [min(255, max(0, round((level - 16) * 255 / 219))) for level in range(256)]


@cache
def _narrowed() -> list[int]:
    """Luma of full range within the limited one."""
    return [round(16 + level * 219 / 255) for level in range(256)]


@cache
def _from_rgb(matrix: int, full: bool) -> tuple[float, ...]:
    """What Pillow takes: three rows of weights of R, G, B and an offset."""
    red, blue = WEIGHTS.get(matrix, BT601_WEIGHTS)
    luma = np.array([red, 1 - red - blue, blue])
    rows = [
        luma,
        (np.array([0, 0, 1]) - luma) / (2 - 2 * blue),
        (np.array([1, 0, 0]) - luma) / (2 - 2 * red),
    ]
    scales = (1, 1, 1) if full else (219 / 255, 224 / 255, 224 / 255)
    offsets = (0 if full else 16, 128, 128)
    return tuple(
        float(number)
        for row, scale, offset in zip(rows, scales, offsets, strict=True)
        for number in (*(scale * row), offset)
    )


@cache
def _to_rgb(matrix: int, full: bool) -> tuple[float, ...]:
    forward = np.array(_from_rgb(matrix, full)).reshape(3, 4)
    back = np.linalg.inv(forward[:, :3])
    return tuple(np.column_stack([back, -back @ forward[:, 3]]).ravel().tolist())
