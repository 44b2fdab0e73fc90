"""The teacher's pictures, made once: the same as asking it in every step."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image

from edgesr.data import photos
from edgesr.data.patches import PatchCache, PatchSampler
from edgesr.errors import ModelError
from edgesr.models import zoo
from edgesr.models.zoo import SRModel
from edgesr.recipe import Srgan
from edgesr.signals import Stopped, stoppable
from edgesr.training.teacher_targets import teacher_targets
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
    cache: PatchCache, teacher: SRModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[Any] = []
    real = PatchCache.lr_photographs

    def counted(self: PatchCache) -> Any:
        requested.append(self)
        return real(self)

    monkeypatch.setattr(PatchCache, "lr_photographs", counted)
    teacher_targets(cache, teacher, FABRIC, "fp32")
    teacher_targets(cache, teacher, FABRIC, "fp32")
    assert len(requested) == 1
    teacher_targets(cache, teacher, FABRIC, "bf16-mixed")
    assert len(requested) == 2


def test_damaged_pictures_are_told_and_made_anew(
    cache: PatchCache, teacher: SRModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = teacher_targets(cache, teacher, FABRIC, "fp32").clone()
    (file,) = (tmp_path / "cache/teacher-targets").iterdir()
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
    assert list((tmp_path / "cache/teacher-targets").iterdir()) == []


def test_a_stop_while_it_is_made_leaves_nothing(cache: PatchCache, teacher: SRModel) -> None:
    def stopped(*_: Any) -> None:
        signal.raise_signal(signal.SIGTERM)

    teacher.module.head.register_forward_hook(stopped)
    before = files(cache_dir())
    with pytest.raises(Stopped), stoppable():
        teacher_targets(cache, teacher, FABRIC, "fp32")
    assert files(cache_dir()) == before


@pytest.mark.usefixtures("cache")
def test_a_stop_while_photographs_are_decoded_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGHUP)

    before = files(cache_dir())
    monkeypatch.setattr(photos, "decode", stopped)
    with pytest.raises(Stopped), stoppable():
        PatchCache.open([tmp_path / "1.png"], patch=48, scale=4)
    assert files(cache_dir()) == before


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
