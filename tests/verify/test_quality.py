"""Quality per variant and runtime: the same photographs, the loss against fp32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.deploy.card import read_card
from edgesr.upscale import Upscaler
from edgesr.verify import quality as module
from edgesr.verify.jobs import plan
from edgesr.verify.quality import quality


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((160, 120), Image.Resampling.BICUBIC)
    (tmp_path / "photographs").mkdir()
    picture.save(tmp_path / "photographs/one.png")
    return tmp_path / "photographs"


def test_the_loss_is_against_fp32_on_the_same_photographs(
    with_variants: Path, photographs: Path
) -> None:
    card = read_card(with_variants)
    jobs, _ = plan(with_variants, card["variants"], ["cpu"], 1)
    rows = quality(jobs, card, photographs)
    plain, half, pixels = rows
    assert plain["loss_db"] == 0
    assert half["loss_db"] == pytest.approx(plain["psnr_db"] - half["psnr_db"])
    assert pixels["psnr_db"] == plain["psnr_db"]  # the same bytes
    assert {(row["data"], row["images"]) for row in rows} == {(str(photographs), 1)}


def test_tiles_make_what_the_upscaler_makes(
    with_variants: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TILE", 8)
    card = read_card(with_variants)
    job = plan(with_variants, card["variants"], ["cpu"], 1)[0][0]
    lr = np.random.default_rng(0).integers(0, 256, (29, 23, 3), dtype=np.uint8)
    with job.opened() as (run, _):
        assert np.array_equal(module._upscaler(run, card)(lr), Upscaler(with_variants)(lr))
