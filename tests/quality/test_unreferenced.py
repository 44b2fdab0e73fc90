"""Pictures without a truth: what was done to them shows, and what was not does not."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from edgesr.data import photos
from edgesr.errors import DataError
from edgesr.quality.unreferenced import Looks, look


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Looks:
    folder = tmp_path_factory.mktemp("pictures")
    pixels = photos.decode(photos.embedded().validation[0])[:256, :256]
    picture = Image.fromarray(pixels)
    picture.save(folder / "clean.png")
    picture.filter(ImageFilter.GaussianBlur(2)).save(folder / "blurred.png")
    grain = np.random.default_rng(0).normal(0, 12, pixels.shape)
    Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8)).save(folder / "noisy.png")
    picture.save(folder / "blocks.jpg", quality=40)
    Image.new("RGB", (8, 8)).save(folder / "small.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return look(folder)


def test_each_fault_shows_where_it_is(looks: Looks) -> None:
    found = {row.image: row for row in looks.rows}
    clean = found["clean.png"]
    assert found["blurred.png"].blur > clean.blur + 0.1
    assert found["noisy.png"].noise > 5  # black has half of it: the rest is clipped
    assert clean.noise < 3
    assert found["blocks.jpg"].jpeg == pytest.approx(40, abs=3)
    assert clean.jpeg is None


def test_what_cannot_be_looked_at_is_left_out(looks: Looks) -> None:
    assert {row.image for row in looks.rows} == {
        "clean.png",
        "blurred.png",
        "noisy.png",
        "blocks.jpg",
    }


def test_files_hold_every_picture(looks: Looks) -> None:
    lines = list(csv.DictReader(io.StringIO(looks.csv())))
    record = looks.as_dict()
    assert [line["image"] for line in lines] == [row["image"] for row in record["pictures"]]
    assert record["mean"]["blur"] == pytest.approx(np.mean([row.blur for row in looks.rows]))


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="image"):
        look(tmp_path)
