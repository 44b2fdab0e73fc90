"""Clips of a second that the tests make: noise that moves, with a tone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

SIZE = (64, 36)
COLOURS = {"colorspace": 6, "color_range": 1}


def pictures(count: int, size: tuple[int, int] = SIZE) -> Iterator[np.ndarray[Any, Any]]:
    """A soft pattern of colours that moves a pixel a frame."""
    width, height = size
    seeds = np.random.default_rng(0).integers(0, 256, (6, 10, 3), dtype=np.uint8)
    large = Image.fromarray(seeds).resize((width + count, height + count), Image.Resampling.BICUBIC)
    pattern = np.asarray(large)
    for at in range(count):
        yield np.ascontiguousarray(pattern[at : at + height, at : at + width])


def make(
    path: Path,
    *,
    count: int = 25,
    size: tuple[int, int] = SIZE,
    pixels: str = "yuv420p",
    stamps: Sequence[int] | None = None,
    colours: dict[str, int] = COLOURS,
    aspect: Fraction = Fraction(1),
    turned: int = 0,
    sound: bool = True,
    titled: bool = False,
    subtitles: bool = False,
    codec: str = "libx264",
) -> Path:
    """A clip at 25 frames a second; with `stamps`, in milliseconds, at other times."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream(codec, rate=25, options={"crf": "10"})
        context = video.codec_context
        context.width, context.height, context.pix_fmt = *size, pixels
        context.time_base = Fraction(1, 1000)
        context.sample_aspect_ratio = aspect
        context.colorspace, context.color_range = colours["colorspace"], colours["color_range"]
        if turned:
            video.set_display_rotation(turned)
        tone: Any = container.add_stream("aac", rate=44100, layout="mono") if sound else None
        words: Any = container.add_mux_stream("subrip") if subtitles else None
        if titled:
            container.metadata["title"] = "A clip"
        for at, picture in enumerate(pictures(count, size)):
            container.mux(video.encode(_frame(picture, stamps[at] if stamps else 40 * at, context)))
        container.mux(video.encode())
        if sound:
            _play(container, tone, count / 25)
        if subtitles:
            _say(container, words)
    return path


def _frame(picture: np.ndarray[Any, Any], stamp: int, context: Any) -> Any:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    made = frame.reformat(
        format=context.pix_fmt,
        dst_colorspace={6: 5}.get(context.colorspace, context.colorspace),
        src_color_range=2,
        dst_color_range=context.color_range,
    )
    made.pts, made.time_base = stamp, context.time_base
    return made


def _play(container: Any, stream: Any, seconds: float) -> None:
    for block in range(int(44100 * seconds / 1024)):
        wave = np.sin(0.05 * (1024 * block + np.arange(1024)))[None].astype(np.float32)
        frame: Any = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 1024 * block
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _say(container: Any, stream: Any) -> None:
    for at, text in enumerate((b"one", b"two")):
        packet: Any = av.Packet(text)
        packet.stream, packet.time_base = stream, Fraction(1, 1000)
        packet.pts = packet.dts = 400 * at
        packet.duration = 300
        container.mux(packet)


def decoded(path: Path) -> list[Any]:
    """The frames of a video file."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def packets(path: Path, kind: str) -> list[bytes]:
    """What the streams of a kind hold."""
    with av.open(str(path)) as container:
        found = [stream for stream in container.streams if stream.type == kind]
        return [bytes(packet) for packet in container.demux(found) if packet.size] if found else []


def damage(path: Path, number: int) -> float:
    """Overwrite a frame's data; returns when it is shown, in seconds."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][number]
        at, size, stamp = packet.pos, packet.size, float(packet.pts * packet.time_base)
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes(size)
    path.write_bytes(data)
    return stamp
