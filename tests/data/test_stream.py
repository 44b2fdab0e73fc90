"""Patches of what is streamed: cut, shuffled, drawn again from wherever a checkpoint was taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edgesr.data import shards
from edgesr.data.degrade import bicubic_down
from edgesr.data.stream import StreamSampler
from edgesr.errors import DataError
from edgesr.recipe import Data
from tests.streams import picture, write_shard, write_shards

pytest.importorskip("webdataset", reason="needs WebDataset (edgesr[stream])")

STREAM = {"crops": 3, "photographs": 4, "workers": 0}


def sampler(pattern: str, data: dict[str, Any] | None = None, **options: Any) -> StreamSampler:
    raw = {"photos": pattern, "stream": STREAM, "validation": 1} | (data or {})
    recipe = Data.model_validate(raw)
    settings: dict[str, Any] = {"scale": 4, "patch": 16, "batch": 5, "seed": 1} | options
    return StreamSampler(shards.find(recipe), recipe, **settings)


def batches(made: StreamSampler, count: int) -> list[tuple[Tensor, ...]]:
    return [made.next() for _ in range(count)]


def same(ours: list[tuple[Tensor, ...]], theirs: list[tuple[Tensor, ...]]) -> bool:
    pairs = zip(ours, theirs, strict=True)
    return all(torch.equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))


def stems(made: StreamSampler) -> list[str]:
    return [Path(name).stem for name in made.files()]


@pytest.fixture
def pattern(tmp_path: Path) -> str:
    return write_shards(tmp_path / "shards", [5, 4, 3])


def test_patches_have_the_promised_shapes_range_and_layout(pattern: str) -> None:
    lr, hr = sampler(pattern).next()
    assert lr.shape == (5, 3, 4, 4)
    assert hr.shape == (5, 3, 16, 16)
    assert lr.dtype == hr.dtype == torch.float32
    assert lr.is_contiguous()
    assert hr.is_contiguous()
    assert 0 <= hr.min() < 0.2
    assert 0.8 < hr.max() <= 1


def test_lr_is_the_reduction_of_hr_away_from_the_border(pattern: str) -> None:
    lr, hr = sampler(pattern, patch=32).next()
    assert (bicubic_down(hr, 4).clamp(0, 1) - lr)[..., 2:-2, 2:-2].abs().max() <= 0.5 / 255 + 1e-5


def test_each_photograph_of_a_pool_gives_as_many_patches(pattern: str) -> None:
    made = sampler(pattern, batch=12)  # of a pool of 4 photographs, 3 patches each
    for _ in range(3):
        made.next()
        found = stems(made)
        assert len(found) == 12
        assert all(found.count(name) % 3 == 0 for name in found)


def test_a_whole_photograph_is_used(tmp_path: Path) -> None:
    pattern = write_shards(tmp_path, [2])
    _, hr = sampler(pattern, {"stream": STREAM | {"crops": 200}}, patch=36, batch=400).next()
    assert len(hr.unique(dim=0)) == 2 * 4 * 8, "of 40 x 48: 2 rows, 4 columns, eight ways"


@pytest.mark.parametrize("done", [0, 1, 2, 5, 12, 13])
def test_resumed_equals_uninterrupted_wherever_in_a_pool(pattern: str, done: int) -> None:
    whole = batches(sampler(pattern), 20)
    first = sampler(pattern)
    batches(first, done)
    state = first.state_dict()
    second = sampler(pattern)
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert same(batches(second, 20 - done), whole[done:])


def test_resumed_in_degraded_photographs_and_drawn_pages_is_uninterrupted(pattern: str) -> None:
    real = {"degradation": {"kind": "real", "region": 64, "drawn": 0.5}}
    whole = batches(sampler(pattern, real), 6)
    first = sampler(pattern, real)
    batches(first, 3)
    assert any("drawn page" in name for n in range(3) for name in first.files(n))
    second = sampler(pattern, real)
    second.load_state_dict(first.state_dict())
    assert same(batches(second, 3), whole[3:])


def test_patches_do_not_depend_on_the_workers(pattern: str) -> None:
    alone = batches(sampler(pattern), 8)
    together = sampler(pattern, {"stream": STREAM | {"workers": 2}})
    assert same(batches(together, 8), alone)


def test_another_seed_gives_other_patches(pattern: str) -> None:
    assert not same(batches(sampler(pattern), 1), batches(sampler(pattern, seed=2), 1))


def test_no_two_processes_train_on_the_same_photograph_before_all_were_seen(pattern: str) -> None:
    """12 less the one that is held out: 5 pools of 2 photographs for each of 2 processes."""
    data = {"stream": STREAM | {"photographs": 2, "crops": 1}, "validation": 2}
    ranks = [sampler(pattern, data, batch=4, rank=rank, world=2) for rank in (0, 1)]
    seen: list[str] = []
    for _ in range(2):
        for made in ranks:
            made.next()
            seen += stems(made)
    assert len(seen) == len(set(seen)) == 8


def test_processes_have_the_same_state_that_the_first_one_saves(
    pattern: str, tmp_path: Path
) -> None:
    """Also where one of them alone meets a photograph that is damaged."""
    samples = {f"{n}": {"png": b"damaged" if n == 3 else picture(n)} for n in range(9)}
    pattern = str(write_shard(tmp_path / "a.tar", samples))
    ranks = [sampler(pattern, batch=4, rank=rank, world=2) for rank in (0, 1)]
    for _ in range(9):
        for made in ranks:
            made.next()
        assert ranks[0].state_dict() == ranks[1].state_dict()


def test_a_damaged_photograph_is_told_once_and_others_stand_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = {f"{n}": {"png": b"damaged" if n == 3 else picture(n)} for n in range(6)}
    shard = write_shard(tmp_path / "a.tar", samples)
    made = sampler(str(shard), batch=12)
    for _ in range(5):
        made.next()
        assert "3" not in stems(made)
    said = f"left out {shard}/3.png: cannot be read: not an image, or damaged at its beginning"
    assert capsys.readouterr().err.count(said) == 1


def test_photographs_smaller_than_a_patch_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = {f"{n}": {"png": picture(n, 8 if n == 3 else 40)} for n in range(6)}
    sampler(str(write_shard(tmp_path / "a.tar", samples)), batch=24).next()
    assert "3.png: 48 x 8 pixels, at least 16 x 16 are needed" in capsys.readouterr().err


def test_too_many_damaged_photographs_are_an_error(tmp_path: Path) -> None:
    samples = {f"{n}": {"png": b"damaged" if n > 1 else picture(n)} for n in range(6)}
    shard = write_shard(tmp_path / "a.tar", samples)
    with pytest.raises(DataError, match=r"3 of 4 photographs in a row cannot be used: .*a\.tar/2"):
        sampler(str(shard)).next()


def test_other_shards_than_those_of_the_checkpoint_are_read_from_the_first(
    pattern: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = sampler(pattern)
    batches(first, 3)
    other = sampler(write_shards(tmp_path / "others", [3]))
    other.load_state_dict(first.state_dict())
    assert "the shards have changed since the checkpoint" in capsys.readouterr().err
    assert other.next()[0].shape == (5, 3, 4, 4)
