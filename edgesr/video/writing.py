"""Video files out, by PyAV: frames encoded, sound and subtitles copied beside them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation

from edgesr.video.encoding import Encoding
from edgesr.video.facts import Facts, Item, Picture, VideoError
from edgesr.video.pixels import pixel_format
from edgesr.video.reading import Clip

log = logging.getLogger(__name__)

AREA = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND
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

    Raises:
        VideoError: the encoder does not take such frames.
    """

    path: Path
    target: Path
    facts: Facts
    encoding: Encoding
    clip: Clip | None = None
    _copies: dict[Any, Any] = field(default_factory=dict)
    _last: Any = None

    def __post_init__(self) -> None:
        quick = self.target.suffix.lower() in (".mp4", ".m4v", ".mov")
        options = {"movflags": "+faststart"} if quick else {}
        self._container = av.open(str(self.path), "w", options=options)
        self._format = pixel_format(self.encoding, self.target, self.facts.bits)
        self._video = self._video_stream()
        if self.clip is not None:
            self._copy_from(self.clip)
        try:
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

    def _copy_from(self, clip: Clip) -> None:
        context = self._video.codec_context
        context.color_primaries, context.color_trc = clip.colours
        if clip.shown is not None:
            self._video.set_display_matrix(clip.shown)
        self._container.metadata.update(clip.container.metadata)
        for stream in clip.copied:
            try:
                copy = self._container.add_stream_from_template(stream)
            except ValueError as error:
                log.warning(
                    f"{self.target}: stream {stream.index} ({stream.type}) is left out: {error}"
                )
                continue
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
            self._copies[stream] = copy
        if chapters := clip.container.chapters():
            self._container.set_chapters(chapters)

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
            self._last = self._encodable(picture.pixels)
        frame = self._last
        frame.pts, frame.time_base = picture.stamp, self.facts.time_base
        return frame

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
        if self.clip is not None:
            made.color_primaries, made.color_trc = self.clip.colours
        made.colorspace = self.facts.matrix
        return made

    def close(self) -> None:
        """Encode what the encoder still holds, and end the file."""
        self._container.mux(self._video.encode(None))
        self._container.close()

    def abandon(self) -> None:
        """Close the file, whatever is in it."""
        self._container.close()
