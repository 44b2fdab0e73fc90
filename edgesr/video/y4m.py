"""YUV4MPEG2 and raw frames, in and out of files and pipes: what FFmpeg pipes, without PyAV."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from edgesr.errors import MachineError
from edgesr.inference.tiling import Pixels
from edgesr.video import planes
from edgesr.video.facts import Damaged, Facts, Item, Picture, VideoError, matrix_of
from edgesr.video.planes import Layout, Planes

log = logging.getLogger(__name__)

MAGIC = b"YUV4MPEG2"
LONGEST = 1024
"""Bytes of a header at most; the longest that programs write are a fifth of it."""
LAYOUTS = {
    "420jpeg": Layout(2, 2),
    "420mpeg2": Layout(2, 2, left=True),
    "420paldv": Layout(2, 2, left=True),
    "420": Layout(2, 2),
    "422": Layout(2, 1, left=True),
    "444": Layout(1, 1),
    "mono": Layout(0, 0),
}
"""Colour spaces of the header's C."""
RAW = ("rgb24", "yuv420p")
"""Pixel formats of frames without any header."""
UNTAGGED = 2


@dataclass(frozen=True)
class Raw:
    """Frames without a header: their size and pixel format.

    Raises:
        VideoError: a pixel format that is not known here.
    """

    width: int
    height: int
    pixels: str = "rgb24"

    def __post_init__(self) -> None:
        if self.pixels not in RAW:
            raise VideoError(
                f"--pix-fmt {self.pixels}: raw frames are {' or '.join(RAW)}",
                "Of others pipe y4m: ffmpeg ... -f yuv4mpegpipe -",
            )


class Y4mReader:
    """Frames that come from a file or a pipe.

    Args:
        file: at its beginning.
        raw: what the frames are where there is no header.
        damaged: what is done where the last frame is cut short: unless "stop" it is left out.

    Raises:
        VideoError: it begins otherwise than y4m does, or has pixels that are not known here.
    """

    def __init__(
        self, file: BinaryIO, name: str, raw: Raw | None = None, damaged: Damaged = "repeat"
    ) -> None:
        self._file, self._damaged, self._raw = file, damaged, raw
        self.kind = raw.pixels if raw else "420jpeg"
        self.facts = _raw_facts(raw, name) if raw else self._header(name)
        found = None if self.kind == "rgb24" else _layout(self.kind)
        self.layout = found if found and found.across else None
        self.planar = False

    def _header(self, name: str) -> Facts:
        line = self._file.readline(LONGEST)
        words = line.decode("ascii", "replace").split()
        if not line.startswith(MAGIC) or not line.endswith(b"\n"):
            raise VideoError(
                f"{name} is not y4m: it begins with {line[:16]!r}",
                "Pipe it so: ffmpeg -i clip.mp4 -f yuv4mpegpipe - | edgesr upscale edge-s - -o -; "
                "of frames without a header say --size WIDTHxHEIGHT.",
            )
        said = {word[0]: word[1:] for word in words[1:] if word[0] != "X"}
        extra = {word for word in words[1:] if word[0] == "X"}
        try:
            facts = _facts(said, name, "XCOLORRANGE=FULL" in extra)
        except (KeyError, ValueError, ZeroDivisionError):
            raise VideoError(f"{name}: not a header of y4m: {line!r}") from None
        self.kind = said.get("C", "420jpeg")
        if self.kind not in LAYOUTS:
            raise VideoError(
                f"{name}: pixels of {self.kind}, expected one of {', '.join(LAYOUTS)}",
                "Eight bits: ffmpeg ... -pix_fmt yuv420p -f yuv4mpegpipe -",
            )
        if said.get("I", "p") not in "p?":
            log.warning(f"{name}: interlaced frames are enlarged as they are")
        return facts

    def items(self) -> Iterator[Item]:
        """The frames.

        Raises:
            VideoError: a frame begins otherwise than y4m says, or there is none.
        """
        facts, count = self.facts, 0
        length = _length(self.kind, facts.width, facts.height)
        while self._raw or self._begins(count):
            data = self._file.read(length)
            if len(data) < length:
                if data or not self._raw:
                    self._tell_cut(count)
                break
            yield Picture(self._planes(data) if self.planar else self._rgb(data), count)
            count += 1
        if not count:
            raise VideoError(f"{facts.name} holds no frame")

    def _begins(self, count: int) -> bool:
        line = self._file.readline(LONGEST)
        if line and not line.startswith(b"FRAME"):
            raise VideoError(
                f"{self.facts.name}: frame {count} begins with {line[:16]!r}, expected FRAME"
            )
        return bool(line)

    def _tell_cut(self, count: int) -> None:
        told = f"{self.facts.name} ends within frame {count}"
        if self._damaged == "stop":
            raise VideoError(told)
        log.warning(f"{told}, which is left out")

    def _planes(self, data: bytes) -> Planes:
        assert self.layout is not None, "whoever asks for planes has looked"
        facts = self.facts
        return Planes(data, self.layout, (facts.width, facts.height), facts.full)

    def _rgb(self, data: bytes) -> Pixels:
        facts = self.facts
        size = facts.width, facts.height
        if self.kind == "rgb24":
            return np.frombuffer(data, np.uint8).reshape(facts.height, facts.width, 3)
        return planes.to_rgb(data, _layout(self.kind), size, facts.matrix, facts.full)


class Y4mWriter:
    """Frames to a file or a pipe, with y4m's header unless `kind` is one of `RAW`.

    Args:
        facts: of the frames, enlarged.
        kind: the header's C, or a raw pixel format.
    """

    def __init__(self, file: BinaryIO, facts: Facts, kind: str) -> None:
        self._file, self._facts, self._kind = file, facts, kind
        self._last = b""
        if kind not in RAW:
            self._put(_written_header(facts, kind))

    def write(self, item: Item) -> None:
        """Write a frame; what is copied beside frames has no place here.

        Raises:
            MachineError: whoever reads the pipe has ended.
            OSError: the disk refuses.
        """
        if not isinstance(item, Picture):
            return
        if item.pixels is not None:
            self._last = self._data(item.pixels)
        self._put(self._last if self._kind in RAW else b"FRAME\n" + self._last)

    def _data(self, pixels: Pixels | Planes) -> bytes:
        if isinstance(pixels, Planes):
            return pixels.data
        if pixels.dtype == np.uint16:
            pixels = (pixels >> 8).astype(np.uint8)
        if self._kind == "rgb24":
            return pixels.tobytes()
        facts = self._facts
        return planes.to_planes(pixels, _layout(self._kind), facts.matrix, facts.full)

    def _put(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except BrokenPipeError:
            raise MachineError("the program that reads the result has ended") from None

    def close(self) -> None:
        """Write what is still held; the file stays open."""
        self._file.flush()

    def abandon(self) -> None:
        """Nothing to do: the file is its owner's."""


def _layout(kind: str) -> Layout:
    return LAYOUTS["420jpeg" if kind == "yuv420p" else kind]


def _length(kind: str, width: int, height: int) -> int:
    return 3 * width * height if kind == "rgb24" else _layout(kind).length(width, height)


def _facts(said: dict[str, str], name: str, full: bool) -> Facts:
    width, height = int(said["W"]), int(said["H"])
    rate, aspect = _ratio(said, "F"), _ratio(said, "A")
    if min(width, height) < 1 or max(width, height) > 1 << 15:
        raise ValueError(said)
    rate = rate or Fraction(25)
    return Facts(name, width, height, rate, 1 / rate, 0, matrix_of(UNTAGGED, height), full, aspect)


def _ratio(said: dict[str, str], key: str) -> Fraction:
    """One of the header's ratios; 0 where it is not stated, or as 0:0."""
    above, below = map(int, said.get(key, "0:0").split(":"))
    return Fraction(above, below) if above else Fraction(0)


def _raw_facts(raw: Raw, name: str) -> Facts:
    rate = Fraction(25)
    return Facts(
        name, raw.width, raw.height, rate, 1 / rate, matrix=matrix_of(UNTAGGED, raw.height)
    )


def _written_header(facts: Facts, kind: str) -> bytes:
    rate, aspect = facts.rate, facts.aspect
    words = [
        f"W{facts.width} H{facts.height} F{rate.numerator}:{rate.denominator} Ip",
        f"A{aspect.numerator}:{aspect.denominator if aspect else 0} C{kind}",
        f"XCOLORRANGE={'FULL' if facts.full else 'LIMITED'}",
    ]
    return MAGIC + f" {' '.join(words)}\n".encode()
