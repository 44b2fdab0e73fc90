"""What a video is: its frames' size, time, colours and depth, whatever it was read from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

from edgesr.errors import DataError
from edgesr.inference.tiling import Pixels
from edgesr.video.planes import Layout, Planes

BT709, BT601 = 1, 6
"""Matrices by their number in ITU-T H.273."""
HD = 720
"""Rows from which players take an untagged video to be BT.709, and BT.601 below."""


Damaged = Literal["repeat", "skip", "stop"]
"""What takes the place of a frame that cannot be decoded: the one before it, a gap, an error."""


class VideoError(DataError):
    """A video that cannot be read, enlarged or written as asked."""


@dataclass(frozen=True)
class Facts:
    """Attributes:
    name: for messages.
    width, height: in pixels.
    rate: frames a second, the mean where they come unevenly.
    time_base: seconds that one step of a stamp lasts.
    total: frames, as far as is known; 0 where it is not.
    matrix: of YUV, by its number in ITU-T H.273.
    full: whether luma takes 0..255, not 16..235.
    aspect: width of a pixel by its height; 0 where nothing says so.
    bits: of a channel.
    pixels: their format, as FFmpeg calls it.
    """

    name: str
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    total: int = 0
    matrix: int = BT601
    full: bool = False
    aspect: Fraction = Fraction(0)
    bits: int = 8
    pixels: str = "yuv420p"


@dataclass(frozen=True)
class Picture:
    """A frame. Pixels: (H, W, 3) RGB, uint8 or uint16; or planes of YUV where the source was asked
    for them; None for the same as the frame before.

    Stamp: when it is shown, in steps of the time base."""

    pixels: Pixels | Planes | None
    stamp: int


class Packet(Protocol):
    """Part of a stream that is copied as it is."""

    stream: Any


Item = Picture | Packet


class Source(Protocol):
    """What frames are read from, in the order in which they are shown."""

    facts: Facts

    def items(self) -> Iterator[Item]:
        """The frames, and between them what is copied."""


class Video(Source, Protocol):
    """A file or a pipe that is open."""

    layout: Layout | None
    """Of the planes that its frames of 8 bits have; None where they are not YUV with chroma."""
    planar: bool
    """Whether `items` gives planes, not RGB; for whoever reads to set."""


class Sink(Protocol):
    """What frames are written to."""

    def write(self, item: Item) -> None:
        """Write the next one."""

    def close(self) -> None:
        """Write what is still held; what was written can then be played."""


def matrix_of(tagged: int, height: int) -> int:
    """The matrix of YUV frames; by their height where they are not tagged, as players do."""
    untagged = tagged not in (1, 4, 5, 6, 7, 9)
    return (BT709 if height >= HD else BT601) if untagged else tagged
