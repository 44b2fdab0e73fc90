"""What is held out and measures nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr.data import bands
from edgesr.errors import DataError
from edgesr.models import zoo
from edgesr.recipe import Edge
from edgesr.training.validation import Validation

CPU = torch.device("cpu")


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    return save(tmp_path / "flat.png", np.full((64, 64, 3), 90))


def test_a_flat_photograph_is_left_out_with_a_word_and_the_score_is_finite(
    tmp_path: Path, flat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its PSNR is infinite: JSON refused it when the run was written, at its very end."""
    noise = save(tmp_path / "noise.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    score = Validation([flat, noise], 4, CPU)(
        zoo.build(Edge(channels=4, depth=1)), tmp_path / "sample.png"
    )
    assert 0 < score.psnr_db < 60
    assert 0 < score.bicubic_psnr_db < 60
    assert f"left out {flat}: it is flat" in capsys.readouterr().err


def test_a_large_photograph_is_scored_in_tiles_as_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    large = Image.fromarray(noise).resize((400, 320), Image.Resampling.BICUBIC)
    validation = Validation([save(tmp_path / "large.png", np.array(large))], 4, CPU)
    network = zoo.build(Edge(channels=4, depth=1)).eval()
    whole = validation(network, tmp_path / "whole.png")
    monkeypatch.setattr(bands, "WHOLE", 1000)
    monkeypatch.setattr(bands, "SIDE", 32)
    sizes: list[tuple[int, ...]] = []
    network.register_forward_hook(lambda _, lrs, __: sizes.append(tuple(lrs[0].shape)))
    tiled = validation(network, tmp_path / "tiled.png")
    assert max(sizes) == (1, 3, 32, 32)
    assert tiled.psnr_db == pytest.approx(whole.psnr_db, abs=1e-4)
    assert tiled.bicubic_psnr_db == whole.bicubic_psnr_db


def test_where_all_that_is_held_out_is_flat_that_is_said_before_training(flat: Path) -> None:
    with pytest.raises(DataError, match="held out are flat"):
        Validation([flat], 4, CPU)
