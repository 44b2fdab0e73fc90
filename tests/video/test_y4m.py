"""Frames through pipes: y4m and raw, without PyAV, which here is what they are compared with."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from edgesr.inference.upscaler import Upscaler
from edgesr.video import planes
from edgesr.video.decoded import FINE
from edgesr.video.facts import Picture, VideoError
from edgesr.video.frames import Frames
from edgesr.video.pipeline import Flow
from edgesr.video.stage import upscale_video
from edgesr.video.y4m import LAYOUTS, Raw, Y4mReader, Y4mWriter
from tests.video.clips import decoded, make, pictures

EXPORTS = Path(__file__).parents[2] / "exports"
CENTRE, LEFT = 2, 1
FORMATS = {"420jpeg": "yuv420p", "420mpeg2": "yuv420p", "422": "yuv422p", "444": "yuv444p"}


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(EXPORTS / "edge-xs-x2", threads=1, provider="cpu")


def y4m(*frames: bytes, head: str = "W8 H4 F30000:1001 Ip A1:1 C420jpeg") -> bytes:
    return f"YUV4MPEG2 {head}\n".encode() + b"".join(b"FRAME\n" + frame for frame in frames)


def read(data: bytes, **how: Any) -> list[Picture]:
    items = Y4mReader(io.BytesIO(data), "pipe", **how).items()
    return [item for item in items if isinstance(item, Picture)]


def filled(frame: Any, data: bytes) -> Any:
    """A frame of PyAV's with these planes."""
    at = 0
    for plane in frame.planes:
        rows = np.frombuffer(data, np.uint8, plane.width * plane.height, at)
        padded = np.zeros((plane.height, plane.line_size), np.uint8)
        padded[:, : plane.width] = rows.reshape(plane.height, plane.width)
        plane.update(padded.tobytes())
        at += rows.size
    return frame


def soft(width: int, height: int) -> Any:
    """A picture whose colours change slowly."""
    seeds = np.random.default_rng(0).integers(40, 216, (3, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(seeds).resize((width, height), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("matrix", [1, 5])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("kind", ["420jpeg", "422", "444"])
def test_planes_become_rgb_as_by_ffmpeg(kind: str, full: bool, matrix: int) -> None:
    layout = planes.Layout(LAYOUTS[kind].across, LAYOUTS[kind].down)
    data = planes.to_planes(soft(64, 36), layout, matrix, full)
    found = planes.to_rgb(data, layout, (64, 36), matrix, full)
    frame = filled(av.VideoFrame(64, 36, FORMATS[kind]), data)
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    theirs = frame.reformat(format="rgb24", interpolation=FINE, dst_color_range=2).to_ndarray()
    assert np.abs(found[:, 1:-1].astype(int) - theirs[:, 1:-1]).mean() < 1


@pytest.mark.parametrize("matrix", [1, 5])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("kind", ["420jpeg", "420mpeg2", "422", "444"])
def test_a_colour_comes_back_up_to_odd_edges(kind: str, full: bool, matrix: int) -> None:
    layout, flat = LAYOUTS[kind], np.full((27, 45, 3), (200, 40, 90), np.uint8)
    data = planes.to_planes(flat, layout, matrix, full)
    assert len(data) == layout.length(45, 27)
    back = planes.to_rgb(data, layout, (45, 27), matrix, full)
    assert np.abs(back.astype(int) - flat).max() <= 2


@pytest.mark.parametrize("kind", ["420jpeg", "420mpeg2", "422", "444"])
def test_colours_stay_in_their_place_wherever_chroma_lies(kind: str) -> None:
    """A ramp of colour, there and back: half a pixel of chroma would shift it by 4 levels."""
    ramp = np.repeat(np.linspace(40, 215, 32)[None], 16, axis=0)
    rgb = np.dstack([ramp, np.full_like(ramp, 128), 255 - ramp]).astype(np.uint8)
    layout = LAYOUTS[kind]
    data = planes.to_planes(rgb, layout, 6, True)
    back = planes.to_rgb(data, layout, (32, 16), 6, True).astype(int)
    assert np.abs(back[:, 4:-4] - rgb[:, 4:-4]).max() <= 2
    small = layout.chroma(32, 16)
    blue = np.frombuffer(data, np.uint8, small[0] * small[1], 32 * 16).reshape(small[::-1])
    position = np.arange(small[0]) * layout.across
    position = position + (0 if layout.left else (layout.across - 1) / 2)
    exact = 128 + (np.interp(position, np.arange(32), rgb[0, :, 2] - rgb_luma(rgb))) / 1.772
    assert np.abs(blue[0] - exact)[1:-1].max() <= 1


def rgb_luma(rgb: Any) -> Any:
    return rgb[0] @ [0.299, 0.587, 0.114]


def test_frames_come_out_enlarged_with_the_head_that_they_came_with(upscaler: Upscaler) -> None:
    rgb = list(pictures(3, (16, 12)))
    frames = [planes.to_planes(each, LAYOUTS["444"], 6, False) for each in rgb]
    head = "W16 H12 F30000:1001 Ip A4:3 C444 XYSCSS=444"
    source, out = Y4mReader(io.BytesIO(y4m(*frames, head=head)), "pipe"), io.BytesIO()
    large = source.facts.__class__(**vars(source.facts) | {"width": 32, "height": 24})
    flow = Flow(source, Frames(upscaler, 16, 12, even=False), Y4mWriter(out, large, source.kind))
    assert flow.run() == 3
    begins = b"YUV4MPEG2 W32 H24 F30000:1001 Ip A4:3 C444 XCOLORRANGE=LIMITED\n"
    assert out.getvalue().startswith(begins)
    found = read(out.getvalue())
    for frame, before in zip(found, frames, strict=True):
        pixels = planes.to_rgb(before, LAYOUTS["444"], (16, 12), 6, False)
        assert np.abs(frame.pixels.astype(int) - upscaler(pixels)).max() <= 3


def test_grey_frames_and_full_range_are_read() -> None:
    (picture,) = read(y4m(bytes(range(32)), head="W8 H4 F25:1 Cmono XCOLORRANGE=FULL"))
    assert picture.pixels[..., 0].tobytes() == picture.pixels[..., 2].tobytes() == bytes(range(32))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not y4m"),
        (b"RIFF....AVI LIST", "is not y4m: it begins with b'RIFF"),
        (y4m(head="W8 H4 F25:1 C420p10"), "pixels of 420p10, expected one of 420jpeg"),
        (y4m(head="W8 F25:1"), "not a header of y4m"),
        (y4m(head="W8 H0 F25:1"), "not a header of y4m"),
        (y4m(head="W8 H4 F25:0"), "not a header of y4m"),
        (y4m(), "holds no frame"),
        (y4m(bytes(48)) + b"FRIDGE\n", "frame 1 begins with b'FRIDGE"),
    ],
)
def test_what_is_not_y4m_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(VideoError, match=reason):
        read(data)


def test_a_last_frame_that_is_cut_short_is_left_out_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = y4m(bytes(48), bytes(20))
    assert len(read(data)) == 1
    assert "pipe ends within frame 1, which is left out" in capsys.readouterr().err
    with pytest.raises(VideoError, match="ends within frame 1"):
        read(data, damaged="stop")


def test_raw_frames_need_a_size_and_a_known_format() -> None:
    rgb = next(pictures(1, (8, 4)))
    (found,) = read(rgb.tobytes(), raw=Raw(8, 4))
    assert (found.pixels == rgb).all()
    with pytest.raises(VideoError, match="raw frames are rgb24 or yuv420p"):
        Raw(8, 4, "nv12")


def test_a_video_becomes_y4m_and_y4m_a_video(tmp_path: Path, upscaler: Upscaler) -> None:
    source = make(tmp_path / "clip.mp4", count=5)
    assert upscale_video(upscaler, source, tmp_path / "big.y4m") == 5
    assert upscale_video(upscaler, tmp_path / "big.y4m", tmp_path / "huge.mkv") == 5
    frames = decoded(tmp_path / "huge.mkv")
    assert (frames[0].width, frames[0].height, len(frames)) == (256, 144, 5)
    assert [frame.time for frame in frames] == pytest.approx([0.04 * at for at in range(5)])


@pytest.mark.parametrize("words", [(), ("--size", "8x4", "--pix-fmt", "yuv420p")])
def test_a_pipe_carries_frames_alone_and_everything_is_said_on_stderr(words: Any) -> None:
    frame = planes.to_planes(next(pictures(1, (8, 4))), LAYOUTS["420"], 6, False)
    code = "import sys; sys.modules['av'] = None; from edgesr.cli import main; main()"
    model = str(EXPORTS / "edge-xs-x2")
    done = subprocess.run(
        [sys.executable, "-c", code, "upscale", model, "-", "-o", "-", *words],
        input=frame * 2 if words else y4m(frame, frame),
        capture_output=True,
        check=True,
    )
    length = 16 * 8 * 3 // 2
    head = b"" if words else b"YUV4MPEG2 W16 H8 F30000:1001 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n"
    assert done.stdout.startswith(head)
    assert len(done.stdout) == len(head) + 2 * (length + (0 if words else 6))
    assert b"stdout: 2 frames" in done.stderr
