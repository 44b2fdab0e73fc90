"""README's table of what ships is the one that `edgesr compare` writes."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.bundle.card import read_card
from edgesr.choose import models, table
from edgesr.recipe import Edge, Srgan, Verify
from edgesr.verify.cost import cost, total

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TITLES, _, *ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in README.partition("## What ships")[2].partition("\n## ")[0].splitlines()
    if line.startswith("|")
]


def command() -> list[str]:
    (typed,) = re.findall(r"^edgesr compare .*", README.replace("\\\n", " "), re.MULTILINE)
    return shlex.split(typed)[2:]


def shipped() -> list[str]:
    words = command()[: command().index("--int8")]
    return [word for word in words if not word.endswith(".onnx")]


def test_its_columns_are_those_that_the_command_beside_it_prints(
    made: Path, tmp_path: Path
) -> None:
    sets = [tmp_path / value for word, value in pairwise(command()) if word == "--data"]
    pixels = np.random.default_rng(0).integers(0, 256, (40, 44, 3), np.uint8)
    for folder in sets:
        folder.mkdir()
        Image.fromarray(pixels).save(folder / "a.png")
    rows = models.compared([made], models.Asked(sets, size=Verify().size))
    assert [title.removesuffix(" / LPIPS") for title in TITLES] == table.cells(rows)[0]


@pytest.mark.parametrize("name", shipped())
def test_a_bundle_has_its_rows_with_what_its_card_says(name: str) -> None:
    found = [
        row for row in ROWS if re.match(rf"(\[{name}\]\(exports/{name}\)|{name})(,|$)", row[0])
    ]
    card = read_card(ROOT / "exports" / name)
    assert len(found) == len({"fp32", "int8"} & set(card.variants))
    assert isinstance(card.spec, Srgan | Edge)
    whole = total(cost(card.spec, "64x64"))
    facts = (card.scale, whole.parameters, round(whole.macs / 64**2))
    for row in found:
        assert row[1:4] == [table.text(each) for each in facts]
