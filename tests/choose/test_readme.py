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
from edgesr.data.named import parse_all
from edgesr.recipe import Edge, Srgan, Verify
from edgesr.verify.cost import cost, total

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = README.partition("## What ships")[2].partition("\n## ")[0].split("\n### ")
"""A table each, and the command that writes it."""


def cells(section: str) -> list[list[str]]:
    """Of its table, titles first."""
    titles, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    return [titles, *rows]


def command(section: str) -> list[str]:
    (typed,) = re.findall(r"^edgesr compare .*", section.replace("\\\n", " "), re.MULTILINE)
    return shlex.split(typed)[2:]


def shipped(section: str) -> list[str]:
    words = command(section)[: command(section).index("--int8")]
    return [word for word in words if not word.endswith((".onnx", ".safetensors"))]


def named(section: str, option: str) -> list[str]:
    return [value for word, value in pairwise(command(section)) if word == option]


@pytest.mark.parametrize("section", SECTIONS)
def test_its_columns_are_those_that_the_command_beside_it_prints(
    section: str, made: Path, tmp_path: Path
) -> None:
    sets = [tmp_path / value for value in named(section, "--data")]
    pixels = np.random.default_rng(0).integers(0, 256, (40, 44, 3), np.uint8)
    for folder in sets:
        folder.mkdir()
        Image.fromarray(pixels).save(folder / "a.png")
    kinds = [each for value in named(section, "--degradation") for each in parse_all(value)]
    size = None if "--quick" in command(section) else Verify().size
    rows = models.compared([made], models.Asked(sets, kinds or [None], size=size))
    titles = [title.removesuffix(" / LPIPS") for title in cells(section)[0]]
    assert titles == table.cells(rows)[0]


@pytest.mark.parametrize(
    ("section", "name"), [(section, name) for section in SECTIONS for name in shipped(section)]
)
def test_a_bundle_has_its_rows_with_what_its_card_says(section: str, name: str) -> None:
    rows = cells(section)[1:]
    found = [
        row for row in rows if re.match(rf"(\[{name}\]\(exports/{name}\)|{name})(,|$)", row[0])
    ]
    card = read_card(ROOT / "exports" / name)
    assert len(found) == len({"fp32", "int8"} & set(card.variants))
    assert isinstance(card.spec, Srgan | Edge)
    whole = total(cost(card.spec, "64x64"))
    facts = (card.scale, whole.parameters, round(whole.macs / 64**2))
    for row in found:
        assert row[1:4] == [table.text(each) for each in facts]
