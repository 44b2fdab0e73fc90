"""Video files in, by PyAV: frames as RGB, everything else as it is; damage is named."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from edgesr.video.decoded import is_full, matrix, to_planes, to_rgb
from edgesr.video.facts import Damaged, Facts, Item, Picture, VideoError
from edgesr.video.pixels import layout_of

log = logging.getLogger(__name__)

COPIED = ("audio", "subtitle")
HDR = {16: "PQ", 18: "HLG"}
"""Transfer curves, by their number in ITU-T H.273, that no network here was trained on."""
SLACK = 0.25
"""Seconds by which a video may be shorter than its file says: sound often lasts longer."""


@dataclass(frozen=True)
class _Decoded:
    """A frame as the decoder gives it, and when it is shown."""

    frame: Any
    stamp: int


class Clip:
    """The first video stream of a file, and what else is in it.

    Args:
        damaged: what is done about a frame that cannot be decoded.

    Attributes:
        facts: see `Facts`.
        container: the open file.
        copied: its audio and subtitle streams.
        begins: the stamp of its first frame.
        layout, planar: see `Source`.
        shown: how players turn the frames, as a display matrix; None where they do not.
        colours: primaries and transfer curve, by their numbers in ITU-T H.273.

    Raises:
        VideoError: no video file, without video stream or frames, or one that is damaged at its
            beginning.
    """

    def __init__(self, path: Path, damaged: Damaged = "repeat") -> None:
        if not path.is_file():
            raise VideoError(f"{path} {'is not a file' if path.exists() else 'does not exist'}")
        self._path, self._damaged = path, damaged
        self.container = _opened(path)
        self._video = _video_stream(self.container, path)
        self.copied = _copied(self.container, self._video, path)
        self._lost: list[int] = []
        self._next = 0
        self._last: int | None = None
        self._from: int | None = None
        self._size_told = self._times_told = False
        self._items = self._decoded()
        self._before = deque[Item | _Decoded]()
        self.facts, self.colours, self.shown = self._first()
        self.begins = next(i.stamp for i in self._before if isinstance(i, Picture | _Decoded))
        self.layout = layout_of(self.facts.pixels)
        self.planar = False

    def _first(self) -> tuple[Facts, tuple[int, int], list[int] | None]:
        """What the first frame says; the items up to it wait for `items`."""
        self._frame: Any = None
        for item in self._items:
            self._before.append(item)
            if self._frame is not None:
                break
        if self._frame is None:
            raise VideoError(f"{self._path}: no frame of its video can be decoded")
        facts = self._facts(self._frame)
        _tell(self._frame, self._path)
        return facts, (self._frame.color_primaries, self._frame.color_trc), _turned(self._frame)

    def _facts(self, frame: Any) -> Facts:
        stream = self._video
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        return Facts(
            name=self._path.name,
            width=frame.width,
            height=frame.height,
            rate=rate,
            time_base=stream.time_base,
            total=stream.frames or round(_seconds(self.container, stream) * rate),
            matrix=matrix(frame),
            full=is_full(frame),
            aspect=stream.sample_aspect_ratio or Fraction(0),
            bits=max(component.bits for component in frame.format.components),
            pixels=frame.format.name,
        )

    def items(self) -> Iterator[Item]:
        """The frames in the order in which they are shown, and the packets that are copied."""
        while self._before:
            yield self._item(self._before.popleft())
        yield from map(self._item, self._items)

    def _item(self, item: Item | _Decoded) -> Item:
        if not isinstance(item, _Decoded):
            return item
        width, height = self.facts.width, self.facts.height
        if self.planar and self.layout is not None:
            planes = to_planes(item.frame, self.layout, width, height, self.facts)
            return Picture(planes, item.stamp)
        return Picture(to_rgb(item.frame, width, height), item.stamp)

    def seek(self, stamp: int) -> None:
        """Have `items` begin at the key frame before `stamp`, or at it."""
        self.container.seek(stamp, stream=self._video)
        self._before.clear()
        self._lost.clear()
        self._last, self._from, self._items = None, stamp, self._decoded()

    def copies(self) -> Iterator[Any]:
        """The packets of sound and subtitles alone, from the beginning."""
        if not self.copied:
            return
        self.container.seek(0)
        yield from (p for p in self.container.demux(self.copied) if p.dts is not None)

    def _decoded(self) -> Iterator[Item | _Decoded]:
        for packet in self._packets():
            if packet.stream is not self._video:
                if packet.dts is not None:
                    yield packet
                continue
            for frame in self._frames(packet):
                stamp = self._stamp(frame)
                yield from self._repeated(before=stamp)
                yield self._told(frame, stamp)
        yield from self._repeated(before=None)
        self._tell_if_short()

    def _tell_if_short(self) -> None:
        """Say where a file ends long before what its head promises."""
        length = _seconds(self.container, self._video)
        start = self._video.start_time or 0
        shown = float((self._next - start) * self._video.time_base)
        if self._frame is not None and length - shown > max(SLACK, 0.05 * length):
            self._tell_damage(f"it ends after {shown:.2f} s of {length:.2f} s: it was cut short")

    def _packets(self) -> Iterator[Any]:
        """What the file holds, up to where it can be read."""
        packets = self.container.demux([self._video, *self.copied])
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                self._tell_damage(f"it cannot be read on: {error}")
                return
            yield packet

    def _frames(self, packet: Any) -> list[Any]:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            stamp = packet.pts if packet.pts is not None else packet.dts
            self._lose(stamp if stamp is not None else self._next)
            return []
        broken = [frame for frame in frames if frame.is_corrupt]
        for frame in broken:
            self._lose(frame.pts if frame.pts is not None else self._next)
        return [frame for frame in frames if not frame.is_corrupt]

    def _lose(self, stamp: int) -> None:
        if self._from is not None and stamp < self._from:
            return  # what leads to a key frame in mid-stream cannot be decoded, nor is it asked for
        done = {"repeat": "the one before it is repeated", "skip": "it is left out"}
        at = float(stamp * self._video.time_base)
        self._tell_damage(
            f"the frame at {at:.3f} s is damaged, {done.get(self._damaged, '')}".rstrip(", ")
        )
        if self._damaged == "repeat":
            self._lost.append(stamp)

    def _tell_damage(self, what: str) -> None:
        if self._damaged == "stop":
            raise VideoError(
                f"{self._path}: {what}", "To go on all the same: --damaged repeat, or skip."
            )
        log.warning(f"{self._path}: {what}")

    def _repeated(self, before: int | None) -> Iterator[Picture]:
        """Stand-ins for the lost frames that are shown `before` the next one."""
        due = sorted(stamp for stamp in self._lost if before is None or stamp < before)
        self._lost = [stamp for stamp in self._lost if stamp not in due]
        for stamp in due:
            if self._last is not None and stamp > self._last:  # there is one before it
                self._last = stamp
                yield Picture(None, stamp)

    def _stamp(self, frame: Any) -> int:
        """When a frame is shown, later than the one before it: encoders take nothing else."""
        stamp: int = frame.pts if frame.pts is not None else self._next
        if self._last is not None and stamp <= self._last:
            if not self._times_told:
                log.warning(
                    f"{self._path}: frames at times that do not rise are set one step later"
                )
            self._times_told = True
            stamp = self._last + 1
        return stamp

    def _told(self, frame: Any, stamp: int) -> _Decoded:
        self._frame, self._last = self._frame or frame, stamp
        first = self._frame
        if (frame.width, frame.height) != (first.width, first.height) and not self._size_told:
            self._size_told = True
            log.warning(
                f"{self._path}: frames of {frame.width} x {frame.height} follow those of "
                f"{first.width} x {first.height}, and are brought to that size"
            )
        step = 1 / (self._video.average_rate or 25) / self._video.time_base
        self._next = stamp + max(1, round(step))
        return _Decoded(frame, stamp)


def _opened(path: Path) -> Any:
    try:
        return av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"{path} is not a video that can be read: {error}",
            "An MP4 that was cut short before its end lacks its index and cannot be read.",
        ) from None


def _video_stream(container: Any, path: Path) -> Any:
    videos = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not videos:
        found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise VideoError(f"{path} has no video stream: {found}")
    if videos[0].codec_context is None:
        raise VideoError(f"{path}: nothing here decodes its video")
    # Threads for whole frames would name a damaged one too late; and it would be patched unsaid.
    videos[0].thread_type = "SLICE"
    videos[0].codec_context.options = {"err_detect": "explode"}
    return videos[0]


def _seconds(container: Any, video: Any) -> float:
    """How long the video lasts, as its file says; 0 where it does not."""
    if video.duration:
        return float(video.duration * video.time_base)
    return float(container.duration or 0) / av.time_base


def _copied(container: Any, video: Any, path: Path) -> list[Any]:
    kept = [stream for stream in container.streams if stream.type in COPIED]
    for stream in container.streams:
        if stream is not video and stream not in kept:
            log.warning(f"{path}: stream {stream.index} ({stream.type}) is left out")
    return kept


def _turned(frame: Any) -> list[int] | None:
    if frame.rotation == 0:
        return None
    data = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), np.int32).tolist()


def _tell(frame: Any, path: Path) -> None:
    """Say what of the frames is lost, or not what the networks know."""
    if frame.interlaced_frame:
        log.warning(f"{path}: interlaced frames are enlarged as they are: deinterlace them first")
    if curve := HDR.get(int(frame.color_trc)):
        log.warning(f"{path}: HDR ({curve}); the networks were trained on SDR, and its values stay")
    if any(component.is_alpha for component in frame.format.components):
        log.warning(f"{path}: its transparency is left out")
