"""Frames of YUV by a network of Y: planes stay planes, and colours stay where they are."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edgesr.inference.sized import Sized, TargetSize
from edgesr.inference.upscaler import Upscaler
from edgesr.video import planes
from edgesr.video.encoding import Encoding
from edgesr.video.facts import BT601, Picture
from edgesr.video.frames import Frames
from edgesr.video.pipeline import _groups
from edgesr.video.reading import Clip
from edgesr.video.stage import upscale_video
from edgesr.video.y4m import LAYOUTS, Y4mReader
from tests.video.clips import SIZE, decoded, make

SCALE = 4


@pytest.fixture(scope="module")
def upscaler(luma: Path) -> Upscaler:
    return Upscaler(luma, threads=1, provider="cpu")


def bicubic(y: planes.Pixels) -> planes.Pixels:
    size = SCALE * y.shape[1], SCALE * y.shape[0]
    return np.asarray(Image.fromarray(y).resize(size, Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", [(32, 24), (31, 23)])
@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("kind", ["420jpeg", "420mpeg2", "422", "444"])
def test_colours_stay_in_their_place(kind: str, full: bool, size: tuple[int, int]) -> None:
    # A sample of chroma lies beside others of luma in each layout; off by one at LR, a slope of
    # colours moves by four pixels.
    ramp = np.linspace(60, 190, size[0])[None, :, None] * np.array([1.0, 0.6, 0.2])
    lr = np.repeat(ramp, size[1], 0).astype(np.uint8)
    layout, large = LAYOUTS[kind], (SCALE * size[0], SCALE * size[1])
    frame = planes.Planes(planes.to_planes(lr, layout, BT601, full), layout, size, full)
    sr = planes.enlarged(frame, large, bicubic)
    assert (sr.size, sr.full, len(sr.data)) == (large, full, layout.length(*large))
    found = planes.to_rgb(sr.data, layout, large, BT601, full).astype(int)
    wanted = np.asarray(Image.fromarray(lr).resize(large, Image.Resampling.BICUBIC)).astype(int)
    inside = (slice(8, -8), slice(8, -12))
    assert np.abs(found - wanted)[inside].max() <= 4
    assert np.abs((found - wanted)[inside].mean()) <= 0.6


def test_y_of_a_file_is_what_the_network_makes_of_y(tmp_path: Path, upscaler: Upscaler) -> None:
    lossless = Encoding("ffv1", pixels="yuv420p")
    source, target = make(tmp_path / "clip.mkv", sound=False), tmp_path / "big.mkv"
    assert upscale_video(upscaler, source, target, encoding=lossless) == 25
    clip = Clip(source)
    clip.planar = True
    for before, after in zip(clip.items(), decoded(target), strict=True):
        assert isinstance(before, Picture)
        assert isinstance(before.pixels, planes.Planes)
        frames = Frames(upscaler, *SIZE, even=True)
        wanted = frames(before.pixels)
        assert isinstance(wanted, planes.Planes)
        found = after.to_ndarray(format="yuv420p").tobytes()
        assert found == wanted.data


def test_planes_become_others_where_the_encoder_is_asked_for_them(
    tmp_path: Path, upscaler: Upscaler
) -> None:
    source, target = make(tmp_path / "clip.mkv", sound=False), tmp_path / "big.mkv"
    upscale_video(upscaler, source, target, encoding=Encoding("ffv1", pixels="yuv444p"))
    assert {frame.format.name for frame in decoded(target)} == {"yuv444p"}


def test_segments_have_the_frames_of_the_whole(tmp_path: Path, upscaler: Upscaler) -> None:
    lossless = Encoding("ffv1", pixels="yuv420p")
    source = make(tmp_path / "clip.mkv", sound=False)
    whole, parts = tmp_path / "whole.mkv", tmp_path / "parts.mkv"
    upscale_video(upscaler, source, whole, encoding=lossless)
    upscale_video(upscaler, source, parts, encoding=lossless, segment=0.4)
    one, other = ([f.to_ndarray().tobytes() for f in decoded(p)] for p in (whole, parts))
    assert one == other


def test_y4m_goes_through_as_planes(tmp_path: Path, upscaler: Upscaler) -> None:
    lr = planes.to_planes(
        np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8),
        LAYOUTS["420jpeg"],
        BT601,
        False,
    )
    source, target = tmp_path / "clip.y4m", tmp_path / "big.y4m"
    source.write_bytes(b"YUV4MPEG2 W9 H6 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + lr)
    assert upscale_video(upscaler, source, target) == 1
    read = Y4mReader(io.BytesIO(target.read_bytes()), "pipe")
    read.planar = True
    (frame,) = read.items()
    assert isinstance(frame, Picture)
    frame_of = planes.Planes(lr, LAYOUTS["420jpeg"], (9, 6), False)
    assert frame.pixels == Frames(upscaler, 9, 6, even=False)(frame_of)


@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("height", [None, 100])
def test_frames_in_batches_are_those_one_by_one(
    tmp_path: Path, upscaler: Upscaler, planar: bool, height: int | None
) -> None:
    # On a GPU several go through the network at once.
    clip = Clip(make(tmp_path / "clip.mkv", sound=False))
    clip.planar = planar
    seen = [item.pixels for item in clip.items() if isinstance(item, Picture)][:5]
    pixels = [each for each in seen if each is not None]
    size = TargetSize(height=height) if height else None
    enlarge = Sized({SCALE: upscaler.file}, size, lambda _: upscaler) if size else upscaler
    frames = Frames(enlarge, *SIZE, even=True)
    for one, together in zip(map(frames, pixels), frames.batch(pixels), strict=True):
        same = one == together if planar else np.array_equal(one, together)  # type: ignore[arg-type]
        assert same


def test_frames_and_sound_keep_their_order_in_groups() -> None:
    picture = Picture(np.zeros((2, 2, 3), np.uint8), 0)
    again, packet = Picture(None, 1), SimpleNamespace(stream=None)
    items = [packet, picture, again, packet, picture, packet]
    groups = list(_groups(iter(items), 2))
    assert [item for group in groups for item in group] == items
    assert list(map(len, groups)) == [5, 1]
