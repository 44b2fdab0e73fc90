"""A frame as its decoder gives it, as RGB or as its own planes."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.video.reformatter import ColorRange, Interpolation

from edgesr.inference.tiling import Pixels
from edgesr.video.facts import Facts, matrix_of
from edgesr.video.pixels import layout_of
from edgesr.video.planes import Layout, Planes

FINE = (
    Interpolation.BICUBIC
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.ACCURATE_RND
)
"""How swscale interpolates colours; by default it repeats them, in blocks."""


def to_planes(frame: Any, layout: Layout, width: int, height: int, facts: Facts) -> Planes:
    """A decoded frame of 8 bits as it is, of the size, layout and range of the first one."""
    ranges = ColorRange.MPEG, ColorRange.JPEG
    same = (frame.width, frame.height) == (width, height) and is_full(frame) == facts.full
    if not same or layout_of(frame.format.name) != layout:
        frame = frame.reformat(
            width=width,
            height=height,
            format=facts.pixels,
            interpolation=FINE,
            src_color_range=ranges[is_full(frame)],
            dst_color_range=ranges[facts.full],
            threads=1,
        )
    data = b"".join(
        np.frombuffer(plane, np.uint8)
        .reshape(-1, plane.line_size)[: plane.height, : plane.width]
        .tobytes()
        for plane in frame.planes
    )
    return Planes(data, layout, (width, height), facts.full)


def to_rgb(frame: Any, width: int, height: int) -> Pixels:
    """A decoded frame as (height, width, 3): uint8, or uint16 where a channel has more bits."""
    deep = max(component.bits for component in frame.format.components) > 8
    frame.colorspace = matrix(frame)
    rgb = frame.reformat(
        width=width,
        height=height,
        format="rgb48le" if deep else "rgb24",
        interpolation=FINE,
        src_color_range=ColorRange.JPEG if is_full(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    return np.ascontiguousarray(rgb.to_ndarray())


def matrix(frame: Any) -> int:
    """The number in ITU-T H.273 of the matrix of its colours."""
    return matrix_of(int(frame.colorspace), frame.height)


def is_full(frame: Any) -> bool:
    """Whether its values use all of their range, as JPEG's do."""
    return int(frame.color_range) == ColorRange.JPEG or frame.format.name.startswith("yuvj")
