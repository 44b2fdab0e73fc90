"""What encoders take: their pixel formats, asked of PyAV before any work is done.

PyAV is imported where it is asked: pipes do without.
"""

from __future__ import annotations

from pathlib import Path

from edgesr.video.encoding import CODECS, WRITTEN, Encoding
from edgesr.video.facts import VideoError
from edgesr.video.planes import Layout

PLANAR = {
    "yuv420p": Layout(2, 2, left=True),
    "yuv422p": Layout(2, 1, left=True),
    "yuv444p": Layout(1, 1),
}
"""By FFmpeg's name."""


def check_target(path: Path, encoding: Encoding) -> None:
    """Refuse, before any work is done, what cannot be written.

    Raises:
        VideoError: an unknown suffix, codec or pixel format, or a quality out of range.
    """
    if path.suffix.lower() not in WRITTEN:
        raise VideoError(
            f"{path}: '{path.suffix}' is not a video that is written, expected one of "
            f"{', '.join(WRITTEN)}, or .y4m"
        )
    if path.is_dir():
        raise VideoError(f"{path} is a folder, expected a file")
    if encoding.crf is not None and not 0 <= encoding.crf <= 63:
        raise VideoError(f"--crf {encoding.crf}: expected 0 (lossless) to 51, of VP9 and AV1 to 63")
    codec = encoding.codec_for(path)
    formats = _formats(codec)
    encoding.options(codec)
    if encoding.pixels and encoding.pixels not in formats:
        raise VideoError(
            f"--pix-fmt {encoding.pixels}: {codec} takes {', '.join(formats) or 'any'}"
        )


def pixel_format(encoding: Encoding, path: Path, bits: int) -> str:
    """In which frames of `bits` a channel are encoded; see `Encoding`."""
    if encoding.pixels:
        return encoding.pixels
    formats = _formats(encoding.codec_for(path))
    wanted = ["yuv420p10le"] if bits > 8 else []
    wanted.append("yuv420p")
    return next((each for each in wanted if each in formats), formats[0] if formats else "yuv420p")


def bits_of(pixels: str) -> int:
    import av

    return max(component.bits for component in av.VideoFormat(pixels).components)


def layout_of(pixels: str) -> Layout | None:
    """How the planes of frames of 8 bits lie, chroma where MPEG-2 has it; None of other formats."""
    return PLANAR.get(pixels.replace("yuvj", "yuv"))


def is_subsampled(pixels: str) -> bool:
    """Whether colours are held at a part of the resolution, which odd sides do not divide into."""
    import av

    layout = av.VideoFormat(pixels)
    return bool(layout.chroma_width(2) == 1 or layout.chroma_height(2) == 1)


def keeps_colours(before: str, after: str) -> bool:
    """Whether colours are held at the resolution that they had."""
    import av

    old, new = av.VideoFormat(before), av.VideoFormat(after)
    return bool(
        new.chroma_width(64) >= old.chroma_width(64)
        and new.chroma_height(64) >= old.chroma_height(64)
    )


def _formats(codec: str) -> list[str]:
    import av

    try:
        found = av.Codec(codec, "w")
    except ValueError:
        raise VideoError(
            f"--codec {codec}: FFmpeg has no such encoder here",
            f"Well known here: {', '.join(CODECS)}.",
        ) from None
    if found.type != "video":
        raise VideoError(f"--codec {codec} encodes {found.type}, expected a video encoder")
    return [each.name for each in found.video_formats or []]
