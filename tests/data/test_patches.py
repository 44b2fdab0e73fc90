"""The patch cache and what is sampled from it."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from edgesr.data import cached, crops, decoding, photos
from edgesr.data.degrade import bicubic_down, pair, quantise, to_tensor
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.errors import DataError
from edgesr.recipe import Real


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "cache"))


def noise(path: Path, height: int, width: int, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Photographs of which none is a multiple of 4 wide and high."""
    sizes = [(67, 81), (50, 130), (99, 49)]
    return [noise(tmp_path / f"{n}.png", *size, seed=n) for n, size in enumerate(sizes)]


def sampler(paths: list[Path], **options: Any) -> PatchSampler:
    settings = {"patch": 16, "batch": 8, "seed": 1} | options
    return PatchSampler(PatchCache.open(paths, patch=settings["patch"], scale=4), **settings)


def as_tensor(path: Path) -> Tensor:
    pixels = photos.decode(path)
    height, width = pixels.shape[0] // 4 * 4, pixels.shape[1] // 4 * 4
    return torch.from_numpy(pixels[:height, :width]).permute(2, 0, 1)[None].float() / 255


def turns(image: Tensor) -> list[Tensor]:
    """The eight flips and turns of (..., H, W)."""
    quarter = [torch.rot90(image, k, (-2, -1)) for k in range(4)]
    return quarter + [turned.flip(-1) for turned in quarter]


def test_patches_have_the_promised_shapes_range_and_layout(three: list[Path]) -> None:
    lr, hr = sampler(three).next()
    assert lr.shape == (8, 3, 4, 4)
    assert hr.shape == (8, 3, 16, 16)
    assert lr.dtype == hr.dtype == torch.float32
    assert lr.is_contiguous()
    assert hr.is_contiguous()
    assert torch.equal(hr, quantise(hr))
    assert hr.max() > 0.9
    assert hr.min() < 0.1


def test_a_patch_of_the_whole_photograph_is_it_and_its_reduction_in_all_eight_ways(
    tmp_path: Path,
) -> None:
    path = noise(tmp_path / "square.png", 32, 32)
    draws = sampler([path], patch=32, batch=64)
    lr, hr = draws.next()
    whole = as_tensor(path)
    seen = set()
    for hr_way, lr_way in zip(turns(whole), turns(quantise(bicubic_down(whole, 4))), strict=True):
        same = [n for n in range(64) if torch.equal(hr[n], hr_way[0])]
        assert all(torch.equal(lr[n], lr_way[0]) for n in same)
        assert same, "each of the eight ways occurs among 64 patches"
        seen.update(same)
    assert seen == set(range(64))


def test_crops_are_found_in_the_photograph_on_the_grid_of_four(three: list[Path]) -> None:
    draws = sampler(three, batch=24)
    lr, hr = draws.next()
    for n, name in enumerate(draws.files()):
        big = as_tensor(Path(name))
        small = quantise(bicubic_down(big, 4))
        windows = small.unfold(2, 4, 1).unfold(3, 4, 1)[0]  # (3, rows, columns, 4, 4)
        places = [
            (way, int(row), int(column))
            for way, turned in enumerate(turns(lr[n]))
            for row, column in (windows == turned[:, None, None]).all(0).all(-1).all(-1).nonzero()
        ]
        assert any(
            torch.equal(
                turns(hr[n])[way],
                big[0, :, 4 * row : 4 * row + 16, 4 * column : 4 * column + 16],
            )
            for way, row, column in places
        )


def test_one_gather_cuts_what_copies_do_in_all_eight_ways() -> None:
    generator = torch.Generator().manual_seed(0)
    data = torch.randint(256, (2 * 20 * 30, 3), dtype=torch.uint8, generator=generator)
    at, width = torch.tensor([0, 600] * 8), torch.tensor([30, 24] * 8)
    corner = torch.stack([torch.arange(16) % 9, torch.arange(16)], 1)
    way = torch.arange(16) % 8
    which = (data, at, width, corner, 8, way)
    assert torch.equal(crops.gathered(*which), crops.copied(*which))


def test_lr_is_the_reduction_of_hr_away_from_the_border(shared: Path) -> None:
    paths = sorted((shared / "data/train/cid22").glob("*.webp"))[:2]
    lr, hr = sampler(paths, patch=64).next()
    assert (bicubic_down(hr, 4) - lr)[..., 2:-2, 2:-2].abs().max() <= 0.5 / 255 + 1e-5


def test_crops_reach_every_corner(tmp_path: Path) -> None:
    path = noise(tmp_path / "a.png", 24, 20)
    draws = sampler([path], batch=200)
    _, hr = draws.next()
    big = as_tensor(path)[0]
    for top in (0, 4, 8):
        for left in (0, 4):
            crop = big[:, top : top + 16, left : left + 16]
            assert any(torch.equal(patch, way) for way in turns(crop) for patch in hr)


def test_photographs_are_drawn_by_their_area(tmp_path: Path) -> None:
    small, large = noise(tmp_path / "a.png", 16, 16), noise(tmp_path / "b.png", 48, 16)
    draws = sampler([small, large], batch=1000)
    draws.next()
    assert draws.files().count(str(large)) == pytest.approx(750, abs=50)


def test_the_same_seed_gives_the_same_patches_and_another_seed_others(three: list[Path]) -> None:
    a, b, other = sampler(three), sampler(three), sampler(three, seed=2)
    for _ in range(3):
        first, second = a.next(), b.next()
        assert torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])
        assert a.files() == b.files()
    assert not torch.equal(first[1], other.next()[1])


def test_a_restored_state_goes_on_bit_for_bit_through_a_file(
    three: list[Path], tmp_path: Path
) -> None:
    original = sampler(three)
    original.next()
    torch.save(original.state_dict(), tmp_path / "state.pt")
    expected = [original.next() for _ in range(3)]
    resumed = sampler(three, seed=99)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for lr, hr in expected:
        again = resumed.next()
        assert torch.equal(again[0], lr)
        assert torch.equal(again[1], hr)


def test_a_state_taken_with_other_photographs_is_restored_with_a_warning(
    three: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    state = sampler(three).state_dict()
    sampler(three[:2]).load_state_dict(state)
    assert "photographs have changed" in capsys.readouterr().err


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_the_batch_that_one_process_would_see(three: list[Path], world: int) -> None:
    alone = sampler(three)
    ranks = [sampler(three, rank=rank, world=world) for rank in range(world)]
    for _ in range(2):
        lr, hr = alone.next()
        shares = [rank.next() for rank in ranks]
        assert torch.equal(torch.cat([share[0] for share in shares]), lr)
        assert torch.equal(torch.cat([share[1] for share in shares]), hr)
        assert [name for rank in ranks for name in rank.files()] == alone.files()


def written(folder: Path) -> dict[str, int]:
    """When each cache below `folder` was written, by its name."""
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cache/patches").iterdir()}


def test_the_cache_is_reused_for_the_same_content_by_another_name_and_patch(
    three: list[Path], tmp_path: Path
) -> None:
    first = PatchCache.open(three, patch=16, scale=4)
    before = written(tmp_path)
    moved = [path.rename(path.with_stem(f"moved{path.stem}")) for path in three]
    second = PatchCache.open(moved, patch=32, scale=4)
    assert written(tmp_path) == before
    assert second.key == first.key
    assert second.files == moved
    assert torch.equal(second.data, first.data)


def test_changed_content_by_the_same_name_makes_a_new_cache(
    three: list[Path], tmp_path: Path
) -> None:
    first = PatchCache.open(three, patch=16, scale=4)
    before = written(tmp_path)
    noise(three[1], 50, 130, seed=7)
    second = PatchCache.open(three, patch=16, scale=4)
    assert second.key != first.key
    assert not torch.equal(second.data, first.data)
    assert len(written(tmp_path).keys() - before.keys()) == 1


@pytest.mark.parametrize("at", [1000, -60, -35, -1, None], ids=str)
def test_a_damaged_cache_is_told_and_decoded_anew(
    three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], at: int | None
) -> None:
    """A flipped bit of pixels, sizes, their length or the sum; a file that was cut short."""
    whole = PatchCache.open(three, patch=16, scale=4).data.clone()
    (file,) = (tmp_path / "cache/patches").iterdir()
    content = bytearray(file.read_bytes())
    if at is not None:
        content[at] ^= 1
    file.write_bytes(content if at is not None else content[:20])
    again = PatchCache.open(three, patch=16, scale=4)
    assert torch.equal(again.data, whole)
    assert f"the cache {file} is damaged" in capsys.readouterr().err
    assert PatchCache.open(three, patch=16, scale=4).files == three
    assert capsys.readouterr().err == ""


def test_two_that_make_the_same_cache_at_once_leave_a_whole_one(
    three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, decode = threading.Barrier(2, timeout=20), photos.decode

    def decoded(path: Path, *, smallest: int = 1) -> photos.Pixels:
        together.wait()
        return decode(path, smallest=smallest)

    monkeypatch.setattr(photos, "decode", decoded)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: PatchCache.open(three, patch=16, scale=4), range(2)))
    (file,) = (tmp_path / "cache/patches").iterdir()
    assert cached.read(file) is not None
    assert torch.equal(both[0].data, both[1].data)


def test_a_disk_without_room_is_told_before_anything_is_decoded(
    three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in three:
        path.write_bytes(path.read_bytes()[:60])  # whoever decodes one leaves it out
    needed = 3 * sum(h * w * 17 // 16 for h, w in [(67, 81), (50, 130), (99, 49)])
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**6, 0, needed - 100))
    with pytest.raises(
        DataError, match=r"the decoded photographs take 0\.00 GB(.|\n)*EDGESR_CACHE"
    ):
        PatchCache.open(three, patch=16, scale=4)


def test_an_interrupted_build_leaves_nothing(
    three: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = photos.decode

    def interrupted(path: Path, *, smallest: int = 1) -> photos.Pixels:
        if path == three[1]:
            raise KeyboardInterrupt
        return decode(path, smallest=smallest)

    with monkeypatch.context() as patched:
        patched.setattr(photos, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            PatchCache.open(three, patch=16, scale=4)
    assert list((tmp_path / "cache/patches").iterdir()) == []
    assert len(PatchCache.open(three, patch=16, scale=4).files) == 3


def test_writing_to_the_pixels_does_not_reach_the_file(three: list[Path]) -> None:
    cache = PatchCache.open(three, patch=16, scale=4)
    before = cache.data.clone()
    cache.data.zero_()
    assert torch.equal(PatchCache.open(three, patch=16, scale=4).data, before)


def test_bad_and_small_files_are_left_out_with_a_warning_each_time(
    three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, tiny, small = (tmp_path / name for name in ("text.png", "tiny.png", "small.png"))
    text.write_text("no image")
    noise(tiny, 3, 3)
    noise(small, 19, 40)
    gone = tmp_path / "gone.png"
    for _ in range(2):
        cache = PatchCache.open([text, three[0], tiny, small, gone, three[1]], patch=20, scale=4)
        assert cache.files == three[:2]
        warnings = capsys.readouterr().err
        assert f"left out {text}: cannot be read: not an image" in warnings
        assert f"left out {tiny}: 3 x 3 pixels" in warnings
        assert f"left out {small}: 40 x 16 pixels, at least 20 x 20 are needed" in warnings
        assert f"left out {gone}: does not exist" in warnings
    _, hr = PatchSampler(cache, patch=20, batch=4, seed=0).next()
    assert hr.shape == (4, 3, 20, 20)


def test_a_folder_with_nothing_usable_is_an_error(tmp_path: Path) -> None:
    small = noise(tmp_path / "small.png", 12, 40)
    text = tmp_path / "text.png"
    text.write_text("no image")
    for paths in ([small, text], [text]):
        with pytest.raises(DataError, match="none of the photographs"):
            PatchCache.open(paths, patch=16, scale=4)


def test_a_patch_larger_than_the_cache_was_opened_for_is_refused(three: list[Path]) -> None:
    cache = PatchCache.open(three, patch=16, scale=4)
    with pytest.raises(DataError, match="48 pixels, fewer than the patch's 52"):
        PatchSampler(cache, patch=52, batch=1, seed=0)


def test_the_format_is_part_of_the_key(three: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = PatchCache.open(three, patch=16, scale=4).key
    monkeypatch.setattr(decoding, "FORMAT", decoding.FORMAT + 1)
    assert PatchCache.open(three, patch=16, scale=4).key != first


def real(**changes: Any) -> Real:
    return Real.model_validate({"variants": 3, "region": 64, "drawn": 0.0} | changes)


def test_a_degraded_patch_is_the_variant_of_its_photograph_and_lies_inside_one_region(
    tmp_path: Path,
) -> None:
    path = noise(tmp_path / "a.png", 128, 192)
    cache = PatchCache.open([path], patch=48, scale=4, degradation=real(), seed=5)
    whole = [
        to_tensor(pair(photos.decode(path), 4, real(), [5, 0, n])[1])[0].permute(1, 2, 0)
        for n in range(3)
    ]
    draws = PatchSampler(cache, patch=48, batch=96, seed=1)
    lr, _ = draws.next()
    assert len({tuple(each.flatten().tolist()) for each in lr}) > 60
    found = set()
    for small in lr:
        for way in turns(small):
            for variant, picture in enumerate(whole):
                for top, left in np.ndindex(32 - 11, 48 - 11):
                    crop = picture[top : top + 12, left : left + 12].permute(2, 0, 1)
                    if crop[0, 0, 0] == way[0, 0, 0] and torch.equal(crop, way):
                        assert top // 16 == (top + 11) // 16
                        assert left // 16 == (left + 11) // 16
                        found.add((variant, top // 16, left // 16))
    assert found == {(v, row, column) for v in range(3) for row in range(2) for column in range(3)}


def test_the_teachers_crop_is_of_the_variant_that_the_patch_is_of(tmp_path: Path) -> None:
    """Here a teacher's picture is its LR, each pixel four times four."""
    paths = [noise(tmp_path / f"{n}.png", 96, 128, seed=n) for n in range(2)]
    cache = PatchCache.open(paths, patch=48, scale=4, degradation=real())
    large = [
        (lr[0].permute(1, 2, 0) * 255).round().to(torch.uint8).repeat_interleave(4, 0)
        for lr in cache.lr_photographs()
    ]
    targets = torch.cat([each.repeat_interleave(4, 1).reshape(-1, 3) for each in large])
    lr, _, picture = PatchSampler(cache, patch=48, batch=32, seed=0, targets=targets).next()
    assert torch.equal(picture[..., ::4, ::4], lr)


def test_a_degraded_cache_is_made_again_alike_and_anew_for_another_seed_or_range(
    tmp_path: Path,
) -> None:
    path = noise(tmp_path / "a.png", 96, 96)

    def opened(degradation: Real, seed: int = 0) -> PatchCache:
        return PatchCache.open([path], patch=48, scale=4, degradation=degradation, seed=seed)

    first = opened(real())
    shutil.rmtree(tmp_path / "cache")
    assert torch.equal(opened(real()).data, first.data)
    assert opened(real()).key == first.key
    for other in (opened(real(), seed=1), opened(real(jpeg_quality=[10, 20]))):
        assert other.key != first.key
        assert not torch.equal(other.data, first.data)


def test_a_tenth_of_the_patches_is_from_drawn_pages(tmp_path: Path) -> None:
    path = noise(tmp_path / "a.png", 1536, 1536)
    cache = PatchCache.open([path], patch=48, scale=4, degradation=real(drawn=0.1, variants=1))
    assert [str(file) for file in cache.files] == [str(path), "drawn page 0"]
    draws = PatchSampler(cache, patch=48, batch=1000, seed=0)
    draws.next()
    assert draws.files().count("drawn page 0") == pytest.approx(100, abs=30)


def test_ranks_cut_their_shares_of_one_degraded_batch(tmp_path: Path) -> None:
    path = noise(tmp_path / "a.png", 128, 128)
    cache = PatchCache.open([path], patch=48, scale=4, degradation=real())
    alone = PatchSampler(cache, patch=48, batch=4, seed=3).next()[0]
    shares = [
        PatchSampler(cache, patch=48, batch=4, seed=3, rank=rank, world=2).next()[0]
        for rank in range(2)
    ]
    assert torch.equal(torch.cat(shares), alone)
