"""What is held out and measures nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

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


def test_where_all_that_is_held_out_is_flat_that_is_said_before_training(flat: Path) -> None:
    with pytest.raises(DataError, match="held out are flat"):
        Validation([flat], 4, CPU)
