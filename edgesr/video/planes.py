"""YUV frames of 8 bits as RGB and back, by Pillow: what y4m and raw video need, without PyAV."""

from __future__ import annotations

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
