"""The teacher's pictures, made once: the same as asking it in every step."""

from __future__ import annotations

import signal
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image

from edgesr.data import bands, photos
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.errors import ModelError
from edgesr.losses.total import GeneratorLoss
from edgesr.models import zoo
from edgesr.models.zoo import SRModel
from edgesr.recipe import Recipe, Srgan, stages
from edgesr.signals import Stopped, stoppable
from edgesr.training import teacher_targets as teacher_targets_module
from edgesr.training.duration import STEPS, training_seconds
from edgesr.training.teacher_targets import teacher_targets, worth_making
from edgesr.workspace import cache_dir


@pytest.fixture
def teacher(tmp_path: Path) -> SRModel:
    torch.manual_seed(0)
    zoo.save(zoo.build(Srgan(blocks=1, channels=4)), tmp_path / "t.safetensors", licence="MIT")
    return zoo.load(tmp_path / "t.safetensors")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PatchCache:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "cache"))
    paths = []
    for n, size in enumerate([(64, 80), (96, 48)]):
        pixels = np.random.default_rng(n).integers(0, 256, (*size, 3), np.uint8)
        paths.append(tmp_path / f"{n}.png")
        Image.fromarray(pixels).save(paths[-1])
    return PatchCache.open(paths, patch=48, scale=4)


FABRIC = Fabric(accelerator="cpu", devices=1)


def test_each_crop_is_cut_where_hr_is_cut_and_turned_as_hr_is(cache: PatchCache) -> None:
    hr_again = torch.cat(
        [
            cache.data[start : start + 16 * height * width]
            for (height, width), start in zip(
                cache.sizes.tolist(), cache.offsets[:, 0].tolist(), strict=True
            )
        ]
    )
    draws = PatchSampler(cache, patch=48, batch=16, seed=0, targets=hr_again)
    _, hr, picture = draws.next()
    assert torch.equal(hr, picture)


def test_the_picture_is_the_teachers_rounded_to_8_bits(cache: PatchCache, teacher: SRModel) -> None:
    pixels = teacher_targets(cache, teacher, FABRIC, "fp32")
    at = 0
    for lr in cache.lr_photographs():
        with torch.no_grad():
            expected = teacher.module(lr)[0].clamp(0, 1) * 255
        found = pixels[at : at + expected[0].numel()].view(*expected.shape[1:], 3).permute(2, 0, 1)
        assert (found - expected).abs().max() <= 0.51
        at += expected[0].numel()
    assert at == len(pixels)


def test_it_is_made_once_for_each_teacher_and_precision(
    cache: PatchCache, teacher: SRModel
) -> None:
    teacher_targets(cache, teacher, FABRIC, "fp32")
    asked = watched(teacher)
    teacher_targets(cache, teacher, FABRIC, "fp32")
    assert not asked
    teacher_targets(cache, teacher, FABRIC, "bf16-mixed")
    assert len(asked) == 2


def watched(teacher: SRModel) -> list[Any]:
    """A list that grows by one each time the teacher makes a picture, or a tile of one."""
    asked: list[Any] = []
    teacher.module.head.register_forward_hook(lambda *_: asked.append(1))
    return asked


def test_damaged_pictures_are_told_and_made_anew(
    cache: PatchCache, teacher: SRModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = teacher_targets(cache, teacher, FABRIC, "fp32").clone()
    (file,) = (tmp_path / "cache/teacher-targets").glob("*.bin")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 8
    file.write_bytes(content)
    assert torch.equal(teacher_targets(cache, teacher, FABRIC, "fp32"), whole)
    assert f"the cache {file} is damaged" in capsys.readouterr().err


def test_pictures_that_are_not_finite_are_refused_and_not_kept(
    cache: PatchCache, teacher: SRModel, tmp_path: Path
) -> None:
    """Clipped to 8 bits they are black, or white, and a student would learn them."""
    with torch.no_grad():
        next(teacher.module.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match=r"makes of .*0\.png is not finite"):
        teacher_targets(cache, teacher, FABRIC, "fp32")
    assert made(tmp_path / "cache/teacher-targets") == []


def stopping_at(teacher: SRModel, picture: int) -> Any:
    """Have the process asked to stop while the teacher makes that picture, counted from 1."""
    asked = watched(teacher)

    def stop(*_: Any) -> None:
        if len(asked) == picture:
            signal.raise_signal(signal.SIGTERM)

    return teacher.module.head.register_forward_hook(stop)


def test_a_stop_in_the_first_picture_leaves_nothing(cache: PatchCache, teacher: SRModel) -> None:
    stopping_at(teacher, 1)
    before = made(cache_dir())
    with pytest.raises(Stopped), stoppable():
        teacher_targets(cache, teacher, FABRIC, "fp32")
    assert made(cache_dir()) == before


def test_what_was_done_before_a_stop_is_not_made_again(
    cache: PatchCache, teacher: SRModel, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = teacher_targets(cache, teacher, FABRIC, "fp32").clone()
    (file,) = (cache_dir() / "teacher-targets").glob("*.bin")
    content = file.read_bytes()
    file.unlink()
    hook = stopping_at(teacher, 2)
    with pytest.raises(Stopped), stoppable():
        teacher_targets(cache, teacher, FABRIC, "fp32")
    hook.remove()
    asked = watched(teacher)
    assert torch.equal(teacher_targets(cache, teacher, FABRIC, "fp32"), expected)
    assert len(asked) == 1
    assert "1 of 2 pictures were done before" in capsys.readouterr().out
    assert file.read_bytes() == content
    assert [path.suffix for path in made(cache_dir() / "teacher-targets")] == [".bin"]


@pytest.mark.parametrize("damage", ["flipped", "cut", "journal"])
def test_of_what_was_done_before_a_crash_only_what_is_whole_counts(
    cache: PatchCache, teacher: SRModel, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = teacher_targets(cache, teacher, FABRIC, "fp32").clone()
    (file,) = (cache_dir() / "teacher-targets").glob("*.bin")
    file.unlink()
    hook = stopping_at(teacher, 2)
    with pytest.raises(Stopped), stoppable():
        teacher_targets(cache, teacher, FABRIC, "fp32")
    hook.remove()
    partial, journal = file.with_suffix(".partial"), file.with_suffix(".parts")
    content = bytearray(partial.read_bytes())
    if damage == "flipped":
        content[100] ^= 1
    partial.write_bytes(content[:50] if damage == "cut" else content)
    if damage == "journal":
        journal.write_text("12 what\n")
    assert torch.equal(teacher_targets(cache, teacher, FABRIC, "fp32"), expected)
    assert "1 parts of" in capsys.readouterr().err


def in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have photographs of 16 x 20 LR pixels be large ones."""
    monkeypatch.setattr(bands, "WHOLE", 100)
    monkeypatch.setattr(bands, "SIDE", 16)
    monkeypatch.setattr(bands, "OVERLAP", 4)


def test_that_the_tiles_of_a_stranger_may_show_is_said_once(
    cache: PatchCache,
    teacher: SRModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Stranger(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = teacher.module

        def forward(self, lr: torch.Tensor) -> Any:
            return self.head(lr)

    stranger = replace(teacher, module=Stranger())
    teacher_targets(cache, stranger, FABRIC, "fp32")
    assert "is not known" not in capsys.readouterr().err
    in_tiles(monkeypatch)
    asked = watched(stranger)
    teacher_targets(cache, stranger, FABRIC, "fp32")
    assert len(asked) > 2
    assert capsys.readouterr().err.count("is not known") == 1


@pytest.mark.parametrize(("steps", "worth"), [(2, False), (3, True)])
def test_a_teacher_does_not_make_far_more_than_the_steps_look_at(
    cache: PatchCache, steps: int, worth: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The photographs have 9728 pixels, a patch 400."""
    recipe = Recipe.model_validate(
        {
            "name": "few",
            "model": {"arch": "edge", "channels": 4, "depth": 1},
            "teacher": {"path": "teacher", "once": True},
            "losses": {"teacher_l1": 1.0},
            "training": {"steps": steps, "batch": 1, "patch": 20},
        }
    )
    assert worth_making(cache, recipe) == worth
    assert ("it is asked in every step instead" in capsys.readouterr().err) != worth


def test_a_teacher_that_nothing_learns_from_is_not_said_to_be_asked(
    cache: PatchCache, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recipe may take its layers alone: `training.init = "teacher"`."""
    recipe = Recipe.model_validate(
        {
            "name": "layers",
            "model": {"arch": "edge", "channels": 4, "depth": 1},
            "teacher": {"path": "teacher", "once": True},
        }
    )
    assert not worth_making(cache, recipe)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("training", "said"), [(0.0, True), (3600.0, False)])
def test_a_teacher_that_takes_longer_than_the_training_it_serves_is_told(
    cache: PatchCache,
    teacher: SRModel,
    training: float,
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(teacher_targets_module, "JUDGED_AFTER", 0.0)
    teacher_targets(cache, teacher, FABRIC, "fp32", lambda: training)
    assert ("the training that it serves about 0 s" in capsys.readouterr().err) == said


@pytest.mark.parametrize("judge", ["srgan", "unet"])
def test_the_time_of_a_training_counts_both_stages(
    judge: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = {
        "name": "both",
        "model": {"arch": "edge", "channels": 4, "depth": 1},
        "training": {"steps": 10, "batch": 1, "patch": 32},
        "losses": {"frequency": 0.1, "frequency_against": "hr"},
        "gan": {"steps": 20, "discriminator": judge, "losses": {"vgg": 0.0, "lpips": 0.0}},
    }
    recipe = Recipe.model_validate(raw)
    losses = {name: GeneratorLoss(each) for name, _, each in stages(recipe)}
    seconds = count(step=STEPS)  # a clock that goes on by a second a step
    monkeypatch.setattr("edgesr.training.duration.time.perf_counter", lambda: next(seconds))
    assert training_seconds(recipe, losses, FABRIC) == 30


@pytest.mark.usefixtures("cache")
def test_a_stop_while_photographs_are_decoded_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGHUP)

    before = made(cache_dir())
    monkeypatch.setattr(photos, "decode", stopped)
    with pytest.raises(Stopped), stoppable():
        PatchCache.open([tmp_path / "1.png"], patch=48, scale=4)
    assert made(cache_dir()) == before


def made(folder: Path) -> list[Path]:
    """The files in `folder` but for locks, which stay."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
