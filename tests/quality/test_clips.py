"""Two videos compared frame by frame."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesr.quality.clips import compare_clips
from edgesr.video.facts import VideoError
from tests.commands import edgesr
from tests.video.clips import make


def test_a_video_is_itself_and_one_of_less_quality_is_less_like_it(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.mkv", codec="ffv1", pixels="yuv444p", count=3, sound=False)
    assert compare_clips(clip, clip).mean == {"psnr_db": 100, "ssim": 1, "psnr_rgb_db": 100}
    worse = make(tmp_path / "b.mkv", count=3, sound=False)
    mean = compare_clips(worse, clip).mean
    assert 25 < mean["psnr_db"] < 60
    assert 0.8 < mean["ssim"] < 1


def test_videos_of_other_sizes_and_lengths_are_refused(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.mkv", count=3, sound=False)
    with pytest.raises(VideoError, match=r"frames of 64 x 36 and 32 x 24"):
        compare_clips(clip, make(tmp_path / "b.mkv", count=3, size=(32, 24), sound=False))
    with pytest.raises(VideoError, match="different numbers of frames"):
        compare_clips(clip, make(tmp_path / "c.mkv", count=4, sound=False))


def test_the_command_takes_two_videos_and_writes_a_line_a_frame(tmp_path: Path) -> None:
    make(tmp_path / "a.mkv", count=3, sound=False)
    said = edgesr(tmp_path, "evaluate", "a.mkv", "--data", "a.mkv", "--output", "scores.json")
    assert "mean of 3" in said
    found = json.loads((tmp_path / "scores.json").read_text())
    assert [frame["number"] for frame in found["frames"]] == [0, 1, 2]
    edgesr(tmp_path, "evaluate", "a.mkv", "--data", "a.mkv", "--output", "scores.csv")
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 4


def test_a_video_and_a_folder_are_no_pair(tmp_path: Path) -> None:
    make(tmp_path / "a.mkv", count=3, sound=False)
    said = edgesr(tmp_path, "evaluate", "a.mkv", "--data", ".", code=2)
    assert "expected a second video" in said
