"""Pictures side by side, and the page of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from edgesr.report.sheet import GAP, LABEL, sheet

DOCS = Path(__file__).parents[2] / "docs"


def flat(level: int) -> np.ndarray:
    return np.full((20, 30, 3), level, np.uint8)


@pytest.mark.parametrize(("columns", "rows"), [(1, 3), (2, 2), (3, 1)])
def test_every_picture_has_its_place_and_pixels_stay_as_they_are(columns: int, rows: int) -> None:
    levels = {"a": 10, "b": 90, "c": 200}
    whole = sheet({n: flat(v) for n, v in levels.items()}, columns=columns, zoom=2)
    assert whole.size == (columns * (60 + GAP) - GAP, rows * (40 + LABEL))
    pixels = np.asarray(whole)
    for number, level in enumerate(levels.values()):
        top, left = number // columns * (40 + LABEL), number % columns * (60 + GAP)
        assert (pixels[top : top + 40, left : left + 60] == level).all()


def test_the_name_stands_below_its_picture() -> None:
    below = np.asarray(sheet({"a name": flat(0)}, columns=1))[20:]
    assert below.min() < 100 < below.max()


def test_the_page_of_pictures_shows_twelve_crops_in_less_than_3_mb() -> None:
    shown = re.findall(r"\(images/pictures/(.*?)\)", (DOCS / "pictures.md").read_text())
    there = {path.name: path.stat().st_size for path in (DOCS / "images/pictures").iterdir()}
    assert len(shown) == 12
    assert set(shown) == there.keys()
    assert sum(there.values()) < 3_000_000
