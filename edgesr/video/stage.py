"""The upscale command for videos: from file to file, or through a pipe."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from edgesr.inference.progress import OpenBar, unseen
from edgesr.inference.upscale_files import Chooser
from edgesr.signals import Stopped
from edgesr.video import pixels
from edgesr.video.encoding import WRITTEN, Encoding
from edgesr.video.facts import Damaged, Facts, Video, VideoError
from edgesr.video.frames import Frames
from edgesr.video.pipeline import Flow
from edgesr.video.y4m import Raw, Y4mReader, Y4mWriter
from edgesr.workspace import atomic

log = logging.getLogger(__name__)

STANDARD = Encoding()
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg", ".wmv", ".flv")
"""What is taken to be a video."""


PIPE = Path("-")
"""Stdin as a source, stdout as a target."""


def is_video(path: Path) -> bool:
    """Whether a file's name says that it is a video, or it is a pipe."""
    return path.suffix.lower() in SUFFIXES or is_plain(path)


def is_plain(path: Path) -> bool:
    """Whether a place holds frames as they are, for which PyAV is not needed."""
    return path == PIPE or path.suffix.lower() == ".y4m"


def beside(source: Path) -> Path:
    """Where the result goes where nobody says so: `clip-large.mp4`, in the container of the source
    where that is written.

    Raises:
        VideoError: something is there already.
    """
    if source == PIPE:
        return PIPE
    suffix = source.suffix if source.suffix.lower() in (*WRITTEN, ".y4m") else ".mkv"
    target = source.parent / f"{source.stem}-large{suffix}"
    if target.exists():
        raise VideoError(f"{target} is there already", "Name the result: --output PATH")
    return target


def upscale_video(
    enlarge: Chooser,
    source: Path,
    target: Path,
    *,
    encoding: Encoding = STANDARD,
    damaged: Damaged = "repeat",
    raw: Raw | None = None,
    segment: float | None = None,
    bar: OpenBar = unseen,
) -> int:
    """Enlarge the video `source` into `target`; returns how many frames that has.

    Sound and subtitles are copied; stamps, matrix, range, rotation, shape of pixels, titles and
    chapters are kept. A file is written under another name and gets its own at the end. Where
    somebody asks to stop, what was written until then is kept as `clip.part.mp4`; in segments,
    those that are finished wait in `clip.mp4.segments`, and the same call goes on behind them.

    Args:
        enlarge: an Upscaler, or `Sized` for another size than the model's own.
        source, target: files; `PIPE` is stdin or stdout, which carry y4m, as .y4m files do.
        encoding: codec, quality and pixel format of what is not y4m.
        damaged: what is done about a frame that cannot be decoded.
        raw: what the frames of `source` are, where they have no header; those of `target` then
            have none either.
        segment: seconds of a segment; None for no segments.
        bar: shows how many frames are done.

    Raises:
        VideoError: the source cannot be read, or the target not be written as asked.
        DataError: the size that is asked for cannot be reached.
        ModelError: the model cannot be run.
        OSError: the disk refuses.
        Stopped: somebody asked to stop.
    """
    if target != PIPE and target.exists() and source.exists() and target.samefile(source):
        raise VideoError(f"{target} would overwrite its source", "Give another name.")
    if not is_plain(target):
        _need_av()
        pixels.check_target(target, encoding)
        if raw:
            raise VideoError(f"{target}: raw frames become raw frames", "Pipe y4m, or name -o -.")
    if segment is not None and (is_plain(source) or is_plain(target) or raw):
        raise VideoError("segments are of video files, not of y4m or raw frames")
    with opened(source, damaged, raw) as read:
        if is_plain(target):
            return _to_plain(enlarge, read, target, bar)
        frames, large = _prepared(enlarge, read, target, encoding)
        if segment is None:
            return _to_file(read, frames, large, target, encoding, bar)
        from edgesr.video.reading import Clip
        from edgesr.video.segments import job, upscale_segments

        assert isinstance(read, Clip), "neither y4m nor raw, as was looked at above"
        made_of = job(source, frames, segment, encoding, damaged)
        return upscale_segments(
            read, frames, target, made_of, seconds=segment, large=large, encoding=encoding, bar=bar
        )


@contextmanager
def opened(source: Path, damaged: Damaged, raw: Raw | None = None) -> Iterator[Video]:
    """A video file, y4m or raw frames, to read from; see `upscale_video`."""
    if source == PIPE:
        yield Y4mReader(sys.stdin.buffer, "stdin", raw, damaged)
    elif is_plain(source) or raw:
        if not source.is_file():
            raise VideoError(f"{source} is not a file")
        with source.open("rb") as file:
            yield Y4mReader(file, source.name, raw, damaged)
    else:
        _need_av()
        from edgesr.video.reading import Clip

        yield Clip(source, damaged)


def _to_plain(enlarge: Chooser, read: Video, target: Path, bar: OpenBar) -> int:
    """Frames as y4m, or raw where they were."""
    facts = read.facts
    kind = read.kind if isinstance(read, Y4mReader) else "420jpeg"
    frames = Frames(enlarge, facts.width, facts.height, even=kind == "yuv420p")
    read.planar = frames.by_luma and read.layout is not None and isinstance(read, Y4mReader)
    large = replace(facts, width=frames.size[0], height=frames.size[1])
    if target == PIPE:
        with open(1, "wb", closefd=False) as stdout:
            return Flow(read, frames, Y4mWriter(stdout, large, kind), bar=bar).run()
    with atomic(target) as temporary, temporary.open("wb") as file:
        return Flow(read, frames, Y4mWriter(file, large, kind), bar=bar).run()


def _prepared(
    enlarge: Chooser, read: Video, target: Path, encoding: Encoding
) -> tuple[Frames, Facts]:
    """What enlarges the frames of a video file, and the facts of the result. Planes stay planes
    where the model takes Y alone, and the result has the same."""
    facts = read.facts
    upscaler, _ = enlarge.choose(facts.width, facts.height)
    bits = facts.bits if upscaler.takes_16_bits else 8
    kind = pixels.pixel_format(encoding, target, bits)
    frames = Frames(enlarge, facts.width, facts.height, even=pixels.is_subsampled(kind))
    large = replace(facts, width=frames.size[0], height=frames.size[1], bits=bits)
    read.planar = (
        frames.by_luma and read.layout is not None and pixels.layout_of(kind) == read.layout
    )
    _tell(facts, frames.size, kind)
    return frames, large


def _to_file(
    read: Video, frames: Frames, large: Facts, target: Path, encoding: Encoding, bar: OpenBar
) -> int:
    from edgesr.video.reading import Clip
    from edgesr.video.writing import Writer

    with atomic(target) as temporary:
        clip = read if isinstance(read, Clip) else None
        writer = Writer(temporary, target, large, encoding, clip)
        flow = Flow(read, frames, writer, bar=bar)
        try:
            return flow.run()
        except Stopped:
            if flow.written:
                part = target.with_name(f"{target.stem}.part{target.suffix}")
                temporary.replace(part)
                log.warning(f"stopped: what was enlarged until then is in {part}")
            raise
        except BaseException:
            with suppress(Exception):
                writer.abandon()
            raise


def _tell(facts: Facts, size: tuple[int, int], kind: str) -> None:
    """Say what becomes of a video, and what of it is not kept."""
    name, before = facts.name, facts.pixels
    if facts.bits > 8:
        kept = pixels.bits_of(kind) > 8
        log.info(
            f"{name}: {facts.bits} bits are "
            + (f"kept as {kind}" if kept else f"reduced to 8 ({kind})")
        )
    if not pixels.keeps_colours(before, kind):
        log.info(
            f"{name}: colours of {before} become those of {kind} (--pix-fmt {before} keeps them)"
        )
    log.info(
        f"{name}: {facts.width} x {facts.height} at {float(facts.rate):.4g} frames/s to "
        f"{size[0]} x {size[1]}"
    )


def _need_av() -> None:
    try:
        import av  # noqa: F401
    except ImportError:
        raise VideoError(
            "video files are read and written by PyAV, which is not installed",
            "Install it: pip install 'edgesr[video]'; or pipe y4m: ffmpeg -i clip.mp4 -f "
            "yuv4mpegpipe - | edgesr upscale edge-s - -o - | ffmpeg -i - big.mp4",
        ) from None
