"""Quality per variant and runtime: the same photographs, the loss against fp32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.bundle.card import read_card
from edgesr.bundle.likeness import IDENTICAL_DB
from edgesr.inference.upscaler import Upscaler
from edgesr.verify import quality as module
from edgesr.verify.jobs import plan
from edgesr.verify.quality import PictureSet, picture_sets, quality


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
    jobs, _ = plan(with_variants, card.variants, ["cpu"], 1)
    sets = picture_sets(photographs)
    first = quality(jobs[0], card, sets)
    others = [row for job in jobs[1:] for row in quality(job, card, sets, plain=first)]
    plain, half, pixels = rows = [*first, *others]
    assert plain.loss_db == 0
    assert half.loss_db == pytest.approx(plain.psnr_db - half.psnr_db)
    assert pixels.psnr_db == plain.psnr_db  # the same bytes
    assert {(row.data, row.images) for row in rows} == {("photographs", 1)}


def test_tiles_make_what_the_upscaler_makes(
    with_variants: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TILE", 8)
    card = read_card(with_variants)
    job = plan(with_variants, card.variants, ["cpu"], 1)[0][0]
    lr = np.random.default_rng(0).integers(0, 256, (29, 23, 3), dtype=np.uint8)
    with job.opened() as (run, _):
        assert np.array_equal(module._upscaler(run, card)(lr), Upscaler(with_variants)(lr))


def test_what_ships_to_measure_on_is_photographs_and_graphics() -> None:
    found = picture_sets(None)
    assert [(each.kind, len(each.pictures)) for each in found] == [
        ("photographs", 7),
        ("graphics", 3),
    ]
    sizes = {pixels.shape for each in found for _, pixels in each.pictures}
    assert sizes == {(512, 512, 3), (192, 192, 3)}
    names = [name for each in found for name, _ in each.pictures]
    assert len(set(names)) == len(names)


def test_a_picture_without_any_error_leaves_the_means_finite(with_variants: Path) -> None:
    """A flat picture is rebuilt exactly by bicubic: its PSNR is infinite, which JSON has not."""
    card = read_card(with_variants)
    jobs, _ = plan(with_variants, card.variants, ["cpu"], 1)
    flat = [PictureSet("flat", "photographs", [("flat", np.full((64, 64, 3), 90, np.uint8))])]
    rows = quality(jobs[0], card, flat)
    assert rows[0].bicubic_psnr_db == rows[0].bicubic_psnr_rgb_db == IDENTICAL_DB
