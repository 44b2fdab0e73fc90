"""Video files out, by PyAV: frames encoded, sound and subtitles copied beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation

from edgesr.video import scheduling
from edgesr.video.encoding import Encoding
from edgesr.video.facts import Facts, Item, Picture, VideoError
from edgesr.video.pixels import pixel_format
from edgesr.video.planes import Planes
from edgesr.video.reading import Clip

log = logging.getLogger(__name__)

AREA = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND
QUICK = (".mp4", ".m4v", ".mov")
"""Containers whose index is put at their beginning, so that they play while they are loaded."""
SWSCALES = {6: 5}
"""Numbers of matrices in ITU-T H.273 that swscale knows by another one."""


@dataclass
class Writer:
    """A video file that frames go to.

    Args:
        path: where it is written now.
        target: the name that it will have, whose suffix chooses the codec.
        facts: of the frames, enlarged.
        clip: what sound, subtitles, chapters and titles are copied from; None for none.
        alone: whether of `clip` the colours alone are taken, for a file that is joined with others.

    Raises:
        VideoError: the encoder does not take such frames.
    """

    path: Path
    target: Path
    facts: Facts
    encoding: Encoding
    clip: Clip | None = None
    alone: bool = False
    _copies: dict[Any, Any] = field(default_factory=dict)
    _last: Any = None

    def __post_init__(self) -> None:
        self._container = _created(self.path, self.target)
        self._format = pixel_format(self.encoding, self.target, self.facts.bits)
        self._video = self._video_stream()
        if self.clip is not None:
            context = self._video.codec_context
            context.color_primaries, context.color_trc = self.clip.colours
            if not self.alone:
                self._copies = _copy_from(self.clip, self._container, self._video, self.target)
        try:
            with scheduling.kept():
                self._container.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self.encoding.codec_for(self.target)} cannot write {self.facts.width} x "
                f"{self.facts.height} pixels as {self._format} into {self.target}: {error}",
                "Try another --codec, --pix-fmt or container (.mkv takes nearly all).",
            ) from None

    def _video_stream(self) -> Any:
        codec, facts = self.encoding.codec_for(self.target), self.facts
        try:
            stream: Any = self._container.add_stream(
                codec, rate=facts.rate, options=self.encoding.options(codec)
            )
        except ValueError as error:
            raise VideoError(f"{self.target}: {error}", "Name another --codec, or .mkv.") from None
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = facts.width, facts.height, self._format
        context.time_base = facts.time_base
        context.thread_count = self.encoding.threads
        context.sample_aspect_ratio = facts.aspect or Fraction(1)
        if not self._format.startswith(("rgb", "bgr", "gbr")):
            context.colorspace = self.facts.matrix
            context.color_range = ColorRange.JPEG if facts.full else ColorRange.MPEG
        return stream

    def write(self, item: Item) -> None:
        """Encode a frame, or copy what is copied.

        Raises:
            OSError: the file cannot be written.
        """
        if isinstance(item, Picture):
            self._container.mux(self._video.encode(self._frame(item)))
        elif item.stream in self._copies:
            item.stream = self._copies[item.stream]
            self._container.mux(cast(Any, item))

    def _frame(self, picture: Picture) -> Any:
        if picture.pixels is not None:
            planar = isinstance(picture.pixels, Planes)
            self._last = (self._laid if planar else self._encodable)(picture.pixels)
        frame = self._last
        frame.pts, frame.time_base = picture.stamp, self.facts.time_base
        return frame

    def _laid(self, frame: Any) -> Any:
        """Planes as a frame of the encoder's format, which has the same."""
        width, height = frame.size
        made: Any = av.VideoFrame(width, height, self._format)
        for plane, pixels in zip(made.planes, frame.split(), strict=True):
            rows = np.zeros((plane.height, plane.line_size), np.uint8)
            rows[:, : plane.width] = pixels
            plane.update(rows)
        return self._coloured(made)

    def _encodable(self, pixels: Any) -> Any:
        kind = "rgb48le" if pixels.dtype == np.uint16 else "rgb24"
        frame = av.VideoFrame.from_ndarray(pixels, format=kind)
        made = frame.reformat(
            format=self._format,
            interpolation=AREA,
            dst_colorspace=SWSCALES.get(self.facts.matrix, self.facts.matrix),
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if self.facts.full else ColorRange.MPEG,
            threads=1,
        )
        return self._coloured(made)

    def _coloured(self, frame: Any) -> Any:
        if self.clip is not None:
            frame.color_primaries, frame.color_trc = self.clip.colours
        frame.colorspace = self.facts.matrix
        frame.color_range = ColorRange.JPEG if self.facts.full else ColorRange.MPEG
        return frame

    def close(self) -> None:
        """Encode what the encoder still holds, and end the file."""
        self._container.mux(self._video.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Close the file, whatever is in it."""
        self._container.close()


def _created(path: Path, target: Path) -> Any:
    quick = target.suffix.lower() in QUICK
    return av.open(str(path), "w", options={"movflags": "+faststart"} if quick else {})


def _copy_from(clip: Clip, container: Any, video: Any, target: Path) -> dict[Any, Any]:
    """Give `container` what `clip` has beside its frames; returns the streams to copy, and where
    each goes."""
    if clip.shown is not None:
        video.set_display_matrix(clip.shown)
    container.metadata.update(clip.container.metadata)
    copies = {}
    for stream in clip.copied:
        try:
            copy = container.add_stream_from_template(stream)
        except ValueError as error:
            log.warning(f"{target}: stream {stream.index} ({stream.type}) is left out: {error}")
            continue
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        copies[stream] = copy
    if chapters := clip.container.chapters():
        container.set_chapters(chapters)
    return copies


def join(parts: Sequence[tuple[Path, int]], path: Path, target: Path, clip: Clip) -> None:
    """Put video files one behind the other, their packets as they are, and what `clip` has beside
    its frames.

    Args:
        parts: files of one encoder, and when the first frame of each is shown, in steps of the time
            base of `clip`.
        path, target: see `Writer`.
    """
    with _created(path, target) as container, av.open(str(parts[0][0])) as first:
        video: Any = container.add_stream_from_template(first.streams.video[0])
        copies = _copy_from(clip, container, video, target)
        container.start_encoding()
        frames = _joined(parts, clip.facts.time_base, video)
        others = ((p, copies[p.stream]) for p in clip.copies() if p.stream in copies)
        for packet, stream in merge(frames, others, key=lambda pair: _seconds(pair[0])):
            packet.stream = stream
            container.mux(packet)


def _seconds(packet: Any) -> float:
    return float(packet.dts * packet.time_base)


def _joined(
    parts: Sequence[tuple[Path, int]], time_base: Fraction, video: Any
) -> Iterator[tuple[Any, Any]]:
    """The packets of `parts` with the times that they have behind each other."""
    last: Fraction | None = None
    for path, begins in parts:
        with av.open(str(path)) as part:
            source: Any = part.streams.video[0]
            later = round(begins * time_base / source.time_base) - (source.start_time or 0)
            for packet in _dated(part.demux(source)):
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                if last is not None and packet.dts * packet.time_base <= last:
                    # A part begins to decode before it shows, as the one before it ended.
                    packet.dts = int(last / packet.time_base) + 1
                last = packet.dts * packet.time_base
                yield packet, video


def _dated(packets: Iterator[Any]) -> Iterator[Any]:
    """`packets` that all say when they are decoded: Matroska leaves it out of the first ones."""
    undated: list[Any] = []
    for packet in packets:
        if packet.dts is None and packet.size:
            undated.append(packet)
            continue
        before = packet.dts if packet.dts is not None else min((p.pts for p in undated), default=0)
        for at, each in enumerate(undated):
            each.dts = before - len(undated) + at
        yield from undated
        undated = []
        if packet.size:
            yield packet
