"""Segments of a video: together they are the whole, and what is finished is not made again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

from edgesr.inference.progress import Bar, Unseen
from edgesr.inference.upscaler import Upscaler
from edgesr.video.encoding import Encoding
from edgesr.video.facts import VideoError
from edgesr.video.segments import RECORD, folder_of
from edgesr.video.stage import upscale_video
from tests.commands import Command, edgesr
from tests.video.clips import SIZE, decoded, make, packets

EXPORTS = Path(__file__).parents[2] / "exports"


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return Upscaler(EXPORTS / "edge-xs-x2", threads=1, provider="cpu")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("stamps", ["even", "uneven"])
def test_segments_hold_the_frames_the_times_and_the_sound_of_the_whole(
    tmp_path: Path, upscaler: Upscaler, suffix: str, stamps: str
) -> None:
    times = [40 * n + (n * n % 7) + 900 * (n > 14) for n in range(25)]
    clip = make(tmp_path / f"clip{suffix}", stamps=None if stamps == "even" else times)
    whole, joined = tmp_path / f"whole{suffix}", tmp_path / f"joined{suffix}"
    fine = Encoding(crf=1)
    upscale_video(upscaler, clip, whole, encoding=fine)
    assert upscale_video(upscaler, clip, joined, encoding=fine, segment=0.3) == 25
    ours, expected = decoded(joined), decoded(whole)
    assert [f.pts * f.time_base for f in ours] == [f.pts * f.time_base for f in expected]
    for one, other in zip(ours, expected, strict=True):
        a, b = (frame.to_ndarray(format="rgb24").astype(float) for frame in (one, other))
        assert np.abs(a - b).mean() < 1.5
    assert packets(joined, "audio") == packets(clip, "audio")
    with av.open(str(joined)) as file:
        video = file.streams.video[0]
        assert (video.width, video.height) == (2 * SIZE[0], 2 * SIZE[1])
        assert video.codec_context.colorspace == 6
    assert not folder_of(joined).exists()


def test_a_killed_run_goes_on_behind_the_segments_that_are_there(tmp_path: Path) -> None:
    make(tmp_path / "clip.mp4", count=1500)
    words = ("upscale", str(EXPORTS / "edge-xs-x2"), "clip.mp4", "-o", "big.mp4", "--segment", "2")
    running = Command(tmp_path, *words, "--threads", "1")
    kept = tmp_path / "big.mp4.segments"
    _wait_for(kept / RECORD)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = len(json.loads((kept / RECORD).read_text())["done"])
    first = kept / "00000.mp4"
    written = first.stat().st_mtime_ns, first.stat().st_ino
    running = Command(tmp_path, *words, "--threads", "1")
    _wait_for(kept / f"{done:05}.mp4")
    os.kill(running.pid, signal.SIGINT)
    ended = running.wait()
    assert ended.code == 128 + signal.SIGINT, ended.said
    assert f"{done} segments are there" in ended.said
    assert "the same command goes on" in ended.said
    assert (first.stat().st_mtime_ns, first.stat().st_ino) == written
    said = edgesr(tmp_path, *words, "--threads", "1")
    assert "big.mp4: 1500 frames" in said
    assert len(decoded(tmp_path / "big.mp4")) == 1500
    assert not kept.exists()


def _wait_for(path: Path) -> None:
    until = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < until, f"no {path.name} was written"
        time.sleep(0.02)


class PowerFailure(BaseException):
    """What no code is asked about."""


def _left(folder: Path, upscaler: Upscaler) -> Path:
    """A target of which the first segment is made."""
    shown: list[str] = []

    @contextmanager
    def bar(title: str, total: int, *, unit: str = "") -> Iterator[Bar]:  # noqa: ARG001
        shown.append(title)
        if len(shown) == 2:
            raise PowerFailure
        yield Unseen()

    clip, target = make(folder / "clip.mp4"), folder / "big.mp4"
    with pytest.raises(PowerFailure):
        upscale_video(upscaler, clip, target, segment=0.5, bar=bar)
    assert shown == ["clip.mp4, segment 1", "clip.mp4, segment 2"]
    return target


def test_segments_of_another_job_are_not_mixed_in(tmp_path: Path, upscaler: Upscaler) -> None:
    target = _left(tmp_path, upscaler)
    with pytest.raises(VideoError, match=r"big\.mp4\.segments holds segments of another encoding"):
        upscale_video(
            upscaler, tmp_path / "clip.mp4", target, segment=0.5, encoding=Encoding(crf=30)
        )
    with pytest.raises(VideoError, match="another segment"):
        upscale_video(upscaler, tmp_path / "clip.mp4", target, segment=0.4)
    (folder_of(target) / "00000.mp4").unlink()
    with pytest.raises(VideoError, match=r"lacks 00000\.mp4"):
        upscale_video(upscaler, tmp_path / "clip.mp4", target, segment=0.5)
    (folder_of(target) / RECORD).write_text("[]")
    with pytest.raises(VideoError, match="cannot be read"):
        upscale_video(upscaler, tmp_path / "clip.mp4", target, segment=0.5)
    assert not target.exists()


def test_pipes_and_y4m_have_no_segments(tmp_path: Path, upscaler: Upscaler) -> None:
    clip = make(tmp_path / "clip.mp4")
    with pytest.raises(VideoError, match="not of y4m"):
        upscale_video(upscaler, clip, tmp_path / "big.y4m", segment=5)
