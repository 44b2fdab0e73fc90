"""What the benchmarks of videos are made of: a photograph under a camera that moves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def photograph(path: Path | None, least: tuple[int, int]) -> Image.Image:
    """The photograph at `path`, or scikit-image's astronaut, at least as large as `least`."""
    if path is None:
        from skimage import data

        image = Image.fromarray(data.astronaut())
    else:
        image = Image.open(path).convert("RGB")
    factor = max(1.0, least[0] / image.width, least[1] / image.height)
    size = (math.ceil(factor * image.width), math.ceil(factor * image.height))
    return image.resize(size, Image.Resampling.LANCZOS) if factor > 1 else image


def crops(image: Image.Image, size: tuple[int, int], count: int) -> Iterator[Pixels]:
    """`count` crops of width and height `size`, along an ellipse, by whole pixels."""
    whole = np.asarray(image)
    room = (image.width - size[0], image.height - size[1])
    for at in range(count):
        angle = 2 * math.pi * at / 240
        left = round(room[0] * (0.5 + 0.5 * math.sin(angle)))
        top = round(room[1] * (0.5 - 0.5 * math.cos(angle)))
        yield np.ascontiguousarray(whole[top : top + size[1], left : left + size[0]])


def write(path: Path, frames: Iterator[Pixels], crf: int = 18) -> None:
    """A video of `frames` at 30 a second, H.264."""
    stream: Any = None
    with av.open(str(path), "w") as container:
        for at, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream("libx264", rate=30, options={"crf": str(crf)})
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
