"""Two videos compared frame by frame."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import Tensor

from edgesr.quality import clips
from edgesr.quality.clips import compare_clips
from edgesr.video.facts import VideoError
from tests.commands import edgesr
from tests.video.clips import make


def test_a_video_is_itself_and_one_of_less_quality_is_less_like_it(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.mkv", codec="ffv1", pixels="yuv444p", count=3, sound=False)
    mean = compare_clips(clip, clip).mean
    assert mean.pop("lpips") in (0, None)
    assert mean == {"psnr_db": 100, "ssim": 1, "psnr_rgb_db": 100}
    worse = make(tmp_path / "b.mkv", count=3, sound=False)
    mean = compare_clips(worse, clip).mean
    assert mean["psnr_db"] is not None
    assert 25 < mean["psnr_db"] < 60
    assert mean["ssim"] is not None
    assert 0.8 < mean["ssim"] < 1


def test_lpips_of_a_video_is_the_mean_of_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the network, whose weights a clone has not."""

    def mean_difference(a: Tensor, b: Tensor, *, normalize: bool) -> Tensor:
        assert normalize
        return (a - b).abs().mean()

    monkeypatch.setattr(clips, "find_lpips", lambda _: mean_difference)
    clip = make(tmp_path / "a.mkv", codec="ffv1", pixels="yuv444p", count=3, sound=False)
    found = compare_clips(make(tmp_path / "b.mkv", count=3, sound=False), clip)
    each = [frame.lpips for frame in found.frames]
    assert all(value is not None and 0 < value < 0.1 for value in each)
    assert found.mean["lpips"] == pytest.approx(sum(v for v in each if v is not None) / 3)
    assert found.csv().splitlines()[0].endswith(",lpips")


def test_videos_of_other_sizes_and_lengths_are_refused(tmp_path: Path) -> None:
    clip = make(tmp_path / "a.mkv", count=3, sound=False)
    with pytest.raises(VideoError, match=r"frames of 64 x 36 and 48 x 36"):
        compare_clips(clip, make(tmp_path / "b.mkv", count=3, size=(48, 36), sound=False))
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
