"""The upscale command for videos: from file to file, or through a pipe."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from edgesr import console
from edgesr.inference.upscale_files import Chooser
from edgesr.signals import Stopped
from edgesr.video.encoding import WRITTEN, Encoding
from edgesr.video.facts import Damaged, Facts, VideoError
from edgesr.video.frames import Frames
from edgesr.video.pipeline import Flow
from edgesr.workspace import atomic

STANDARD = Encoding()
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg", ".wmv", ".flv")
"""What is taken to be a video."""


def is_video(path: Path) -> bool:
    """Whether a file's name says that it is a video."""
    return path.suffix.lower() in SUFFIXES


def beside(source: Path) -> Path:
    """Where the result goes where nobody says so: `clip-large.mp4`, in the container of the source
    where that is written.

    Raises:
        VideoError: something is there already.
    """
    suffix = source.suffix if source.suffix.lower() in WRITTEN else ".mkv"
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
) -> int:
    """Enlarge the video file `source` into `target`; returns how many frames that has.

    Sound and subtitles are copied; stamps, matrix, range, rotation, shape of pixels, titles and
    chapters are kept. The file is written under another name and gets its own at the end. Where
    somebody asks to stop, what was written until then is kept as `clip.part.mp4`.

    Args:
        enlarge: an Upscaler, or `Sized` for another size than the model's own.
        encoding: codec, quality and pixel format.
        damaged: what takes the place of a frame that cannot be decoded, see `Clip`.

    Raises:
        VideoError: the source cannot be read, or the target not be written as asked.
        DataError: the size that is asked for cannot be reached.
        ModelError: the model cannot be run.
        OSError: the disk refuses.
        Stopped: somebody asked to stop.
    """
    _need_av()
    from edgesr.video.pixels import check_target, is_subsampled, pixel_format
    from edgesr.video.reading import Clip
    from edgesr.video.writing import Writer

    check_target(target, encoding)
    if target.exists() and source.exists() and target.samefile(source):
        raise VideoError(f"{target} would overwrite its source", "Give another name.")
    clip = Clip(source, damaged)
    facts = clip.facts
    upscaler, _ = enlarge.choose(facts.width, facts.height)
    bits = facts.bits if upscaler.takes_16_bits else 8
    pixels = pixel_format(encoding, target, bits)
    frames = Frames(enlarge, facts.width, facts.height, even=is_subsampled(pixels))
    large = replace(facts, width=frames.size[0], height=frames.size[1], bits=bits)
    _tell(facts, frames.size, pixels)
    with atomic(target) as temporary:
        writer = Writer(temporary, target, large, encoding, clip)
        try:
            return Flow(clip, frames, writer).run()
        except Stopped:
            part = target.with_name(f"{target.stem}.part{target.suffix}")
            temporary.replace(part)
            console.warn(f"stopped: what was enlarged until then is in {part}")
            raise
        except BaseException:
            with suppress(Exception):
                writer.abandon()
            raise


def _tell(facts: Facts, size: tuple[int, int], pixels: str) -> None:
    """Say what becomes of a video, and what of it is not kept."""
    from edgesr.video.pixels import bits_of, keeps_colours

    name, before = facts.name, facts.pixels
    if facts.bits > 8:
        kept = bits_of(pixels) > 8
        console.say(
            f"{name}: {facts.bits} bits are "
            + (f"kept as {pixels}" if kept else f"reduced to 8 ({pixels})")
        )
    if not keeps_colours(before, pixels):
        console.say(
            f"{name}: colours of {before} become those of {pixels} (--pix-fmt {before} keeps them)"
        )
    console.say(
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
