"""Videos from file to file: what is kept, what is named, what is refused."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from edgesr.errors import EdgesrError
from edgesr.inference.sized import Sized, TargetSize
from edgesr.inference.tiling import Pixels
from edgesr.inference.upscaler import Upscaler
from edgesr.video import stage
from edgesr.video.decoded import to_rgb
from edgesr.video.encoding import Encoding
from edgesr.video.facts import Picture, VideoError
from edgesr.video.reading import Clip
from edgesr.video.stage import upscale_video
from tests.commands import Command, edgesr
from tests.video.clips import SIZE, damage, decoded, make, packets

EXPORTS = Path(__file__).parents[2] / "exports"
LARGE = (2 * SIZE[0], 2 * SIZE[1])
Said = Callable[[], str]


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(EXPORTS / "edge-xs-x2", threads=1, provider="cpu")


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return lambda: "".join(capsys.readouterr())


def colour(frame: Any) -> Pixels:
    rgb = frame.reformat(format="rgb24", src_colorspace=frame.colorspace, dst_color_range=2)
    mean: Pixels = rgb.to_ndarray().reshape(-1, 3).mean(axis=0)
    return mean


def test_every_frame_keeps_its_time_and_the_sound_is_the_same(
    tmp_path: Path, upscaler: Upscaler
) -> None:
    source, target = make(tmp_path / "clip.mp4"), tmp_path / "big.mp4"
    assert upscale_video(upscaler, source, target) == 25
    before, after = decoded(source), decoded(target)
    assert {(frame.width, frame.height) for frame in after} == {LARGE}
    assert [frame.time for frame in after] == [frame.time for frame in before]
    assert packets(target, "audio") == packets(source, "audio") != []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.mp4", "clip.mp4"]


def test_frames_are_enlarged_one_by_one_as_pictures_are(tmp_path: Path, upscaler: Upscaler) -> None:
    source, target = make(tmp_path / "clip.mkv", sound=False), tmp_path / "big.mkv"
    upscale_video(upscaler, source, target, encoding=Encoding("ffv1", pixels="yuv444p"))
    for before, after in zip(Clip(source).items(), decoded(target), strict=True):
        assert isinstance(before, Picture)
        wanted = upscaler(before.pixels)
        found = to_rgb(after, *LARGE)
        assert np.abs(wanted.astype(int) - found).max() <= 3


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_frames_at_uneven_times_keep_them(tmp_path: Path, upscaler: Upscaler, suffix: str) -> None:
    stamps = [40 * at + 13 * (at % 3) for at in range(25)]
    source = make(tmp_path / "clip.mkv", stamps=stamps, sound=False)
    target = tmp_path / f"big{suffix}"
    upscale_video(upscaler, source, target)
    assert [frame.time for frame in decoded(target)] == pytest.approx(
        [stamp / 1000 for stamp in stamps], abs=0.0011
    )


def test_frames_at_the_same_time_are_told_of_and_set_apart(
    tmp_path: Path, upscaler: Upscaler, said: Said
) -> None:
    source = at_the_same_time(make(tmp_path / "clip.mkv", count=6, codec="ffv1", sound=False))
    assert upscale_video(upscaler, source, tmp_path / "big.mkv") == 6
    assert "frames at times that do not rise are set one step later" in said()
    times = [1000 * frame.time for frame in decoded(tmp_path / "big.mkv")]
    assert times == pytest.approx([0, 1, 80, 81, 160, 161])


def at_the_same_time(path: Path) -> Path:
    """The same frames, of which each second one comes at the time of the one before it."""
    target = path.with_name(f"paired{path.suffix}")
    with av.open(str(path)) as before, av.open(str(target), "w") as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        packets = [packet for packet in before.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            packet.stream = stream
            packet.pts = packet.dts = 80 * (number // 2)
            after.mux(packet)
    return target


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("limits", [1, 2], ids=["limited", "full"])
def test_matrix_range_and_colours_are_kept(
    tmp_path: Path, upscaler: Upscaler, matrix: int, limits: int
) -> None:
    colours = {"colorspace": matrix, "color_range": limits}
    source = make(tmp_path / "clip.mkv", colours=colours, sound=False)
    target = tmp_path / "big.mp4"
    upscale_video(upscaler, source, target)
    before, after = decoded(source)[3], decoded(target)[3]
    assert (after.colorspace, after.color_range) == (matrix, limits)
    assert colour(after) == pytest.approx(colour(before), abs=2)


def test_a_small_untagged_clip_is_tagged_once_it_is_large(
    tmp_path: Path, upscaler: Upscaler
) -> None:
    """Players take it to be BT.601 before, and would take it to be BT.709 after."""
    untagged = {"colorspace": 2, "color_range": 0}
    source = make(tmp_path / "clip.mkv", colours=untagged, sound=False)
    upscale_video(upscaler, source, tmp_path / "big.mkv")
    assert decoded(tmp_path / "big.mkv")[0].colorspace == 6


def test_aspect_rotation_title_and_chapters_are_kept(tmp_path: Path, upscaler: Upscaler) -> None:
    source = make(tmp_path / "clip.mp4", aspect=Fraction(4, 3), turned=90, titled=True, sound=False)
    target = tmp_path / "big.mp4"
    upscale_video(upscaler, source, target)
    with av.open(str(target)) as big:
        assert big.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        assert big.metadata["title"] == "A clip"
        assert next(big.decode(video=0)).rotation == decoded(source)[0].rotation == 90


def test_ten_bits_are_kept_by_a_model_of_floats(
    tmp_path: Path, upscaler: Upscaler, said: Said
) -> None:
    source, target = make(tmp_path / "clip.mp4", pixels="yuv420p10le"), tmp_path / "big.mp4"
    upscale_video(upscaler, source, target)
    assert decoded(target)[0].format.name == "yuv420p10le"
    assert "10 bits are kept as yuv420p10le" in said()


def test_ten_bits_are_reduced_where_the_model_takes_bytes_and_it_is_said(
    tmp_path: Path, said: Said
) -> None:
    bytes_alone = Upscaler(EXPORTS / "edge-xs-x2", variant="uint8-io", threads=1, provider="cpu")
    source, target = make(tmp_path / "clip.mp4", pixels="yuv420p10le"), tmp_path / "big.mp4"
    upscale_video(bytes_alone, source, target)
    assert decoded(target)[0].format.name == "yuv420p"
    assert "10 bits are reduced to 8" in said()


def test_colours_at_more_than_a_quarter_are_kept_if_asked_for_and_else_it_is_said(
    tmp_path: Path, upscaler: Upscaler, said: Said
) -> None:
    source, target = make(tmp_path / "clip.mkv", pixels="yuv422p"), tmp_path / "big.mkv"
    upscale_video(upscaler, source, target)
    assert "colours of yuv422p become those of yuv420p (--pix-fmt yuv422p keeps them)" in said()
    upscale_video(upscaler, source, target, encoding=Encoding(pixels="yuv422p"))
    assert decoded(target)[0].format.name == "yuv422p"
    assert "--pix-fmt" not in said()


def test_subtitles_are_copied_or_it_is_said_that_the_container_does_not_take_them(
    tmp_path: Path, upscaler: Upscaler, said: Said
) -> None:
    source = make(tmp_path / "clip.mkv", subtitles=True)
    upscale_video(upscaler, source, tmp_path / "big.mkv")
    assert packets(tmp_path / "big.mkv", "subtitle") == [b"one", b"two"]
    upscale_video(upscaler, source, tmp_path / "big.mp4")
    assert "stream 2 (subtitle) is left out" in said()
    assert len(decoded(tmp_path / "big.mp4")) == 25


@pytest.mark.parametrize(("damaged", "frames"), [("repeat", 25), ("skip", 24)])
def test_a_damaged_frame_is_named_and_the_rest_goes_on(
    tmp_path: Path, upscaler: Upscaler, said: Said, damaged: Any, frames: int
) -> None:
    source = make(tmp_path / "clip.mp4", sound=False)
    at = damage(source, 12)
    target = tmp_path / "big.mp4"
    assert upscale_video(upscaler, source, target, damaged=damaged) == frames
    assert f"the frame at {at:.3f} s is damaged" in said()
    times = [frame.time for frame in decoded(target)]
    assert len(times) == frames
    assert (pytest.approx(at) in times) == (damaged == "repeat")


def test_a_damaged_frame_stops_where_that_is_asked_for(tmp_path: Path, upscaler: Upscaler) -> None:
    source = make(tmp_path / "clip.mp4", sound=False)
    damage(source, 12)
    with pytest.raises(VideoError, match="is damaged"):
        upscale_video(upscaler, source, tmp_path / "big.mp4", damaged="stop")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_a_file_that_was_cut_short_is_enlarged_as_far_as_it_goes_and_it_is_said(
    tmp_path: Path, upscaler: Upscaler, said: Said
) -> None:
    source = make(tmp_path / "clip.mkv", sound=False)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    frames = upscale_video(upscaler, source, tmp_path / "big.mkv")
    assert 0 < frames < 25
    assert "it was cut short" in said()


def no_video(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100, layout="mono")
        frame: Any = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def no_frames(path: Path) -> None:
    make(path, count=2, sound=False)
    with av.open(str(path)) as container:
        found = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for at, size in found:
        data[at : at + size] = bytes(size)
    path.write_bytes(data)


def cut(path: Path) -> None:
    make(path)
    path.write_bytes(path.read_bytes()[:4000])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_video, "has no video stream: audio"),
        (no_frames, "no frame of its video can be decoded"),
        (cut, "is not a video that can be read"),
        (lambda path: path.write_bytes(b""), "is not a video that can be read"),
        (lambda path: path.write_text("text " * 1000), "is not a video that can be read"),
        (lambda _: None, "does not exist"),
        (lambda path: path.mkdir(), "is not a file"),
    ],
    ids=["no video", "no frames", "cut short", "empty", "text", "missing", "folder"],
)
def test_what_is_not_a_video_is_refused_and_nothing_is_written(
    tmp_path: Path, upscaler: Upscaler, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(tmp_path / "clip.mp4")
    with pytest.raises(VideoError, match=reason):
        upscale_video(upscaler, tmp_path / "clip.mp4", tmp_path / "big.mp4")
    assert not (tmp_path / "big.mp4").exists()


@pytest.mark.parametrize(
    ("target", "encoding", "reason"),
    [
        ("big.gif", Encoding(), "is not a video that is written"),
        ("big.mp4", Encoding("libx999"), "no such encoder"),
        ("big.mp4", Encoding("aac"), "expected a video encoder"),
        ("big.mp4", Encoding(pixels="yuv999"), "libx264 takes yuv420p"),
        ("big.mp4", Encoding(crf=99), "--crf 99: expected 0"),
        ("big.mp4", Encoding("mpeg4", crf=5), "--crf 5: of mpeg4 it is not known"),
        ("big.webm", Encoding("libx264"), "does not support"),
        ("clip.mp4", Encoding(), "would overwrite its source"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    tmp_path: Path, upscaler: Upscaler, target: str, encoding: Encoding, reason: str
) -> None:
    source = make(tmp_path / "clip.mp4", sound=False)
    before = source.read_bytes()
    with pytest.raises(VideoError, match=reason):
        upscale_video(upscaler, source, tmp_path / target, encoding=encoding)
    assert source.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("size", [(64, 36), (45, 27)])
def test_any_size_can_be_asked_for_and_odd_sides_become_even(
    tmp_path: Path, upscaler: Upscaler, size: tuple[int, int]
) -> None:
    source = make(tmp_path / "clip.mkv", size=size, pixels="yuv444p", sound=False)
    sized = Sized({2: EXPORTS / "edge-xs-x2"}, TargetSize(width=83), lambda _: upscaler)
    upscale_video(sized, source, tmp_path / "big.mkv")
    frame = decoded(tmp_path / "big.mkv")[0]
    assert (frame.width, frame.height) == (82, round(83 / size[0] * size[1]) // 2 * 2)


def test_a_model_that_fails_leaves_nothing_behind(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "clip.mp4")

    def fail(*_: object) -> None:
        raise EdgesrError("the model failed")

    monkeypatch.setattr(stage.Frames, "__call__", fail)
    with pytest.raises(EdgesrError, match="the model failed"):
        upscale_video(upscaler, source, tmp_path / "big.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_without_pyav_it_is_said_how_to_get_it(
    tmp_path: Path, upscaler: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(VideoError, match=r"pip install 'edgesr\[video\]'"):
        upscale_video(upscaler, tmp_path / "clip.mp4", tmp_path / "big.mp4")


def test_without_a_model_and_a_name_the_command_takes_what_suits_and_says_so(
    tmp_path: Path,
) -> None:
    make(tmp_path / "clip.mp4", count=3)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports/edge-s").symlink_to(EXPORTS / "edge-s")
    said = edgesr(tmp_path, "upscale", "clip.mp4", "--threads", "1", "--crf", "30")
    assert "enlarged by edge-s (--model names another)" in said
    assert len(decoded(tmp_path / "clip-large.mp4")) == 3
    again = edgesr(tmp_path, "upscale", "clip.mp4", code=2)
    assert "clip-large.mp4 is there already" in again


def test_a_request_to_stop_leaves_what_was_done_as_a_part_that_plays(tmp_path: Path) -> None:
    make(tmp_path / "clip.mp4", count=1500)
    (tmp_path / "big.mp4").write_bytes(b"an earlier result")
    words = ("--model", str(EXPORTS / "edge-xs-x2"), "clip.mp4", "-o", "big.mp4", "--threads", "1")
    running = Command(tmp_path, "upscale", *words)
    _wait_for_frames(tmp_path)
    os.kill(running.pid, signal.SIGINT)
    ended = running.wait()
    assert ended.code == 128 + signal.SIGINT, ended.said
    assert "what was enlarged until then is in big.part.mp4" in ended.said
    assert 0 < len(decoded(tmp_path / "big.part.mp4")) < 1500
    assert (tmp_path / "big.mp4").read_bytes() == b"an earlier result"
    assert len(list(tmp_path.iterdir())) == 3


def _wait_for_frames(folder: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if any(path.stat().st_size > 2000 for path in folder.glob(".edgesr-*.mp4")):
            return
        time.sleep(0.02)
    raise AssertionError("no frame was written")
