"""The bundle's README: its code runs, and it speaks of the files that are there only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgesr import Upscaler
from edgesr.deploy.readme import readme
from edgesr.records.card import Card


def card(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return facts


def test_the_python_on_the_page_runs_and_gives_the_upscalers_pixels(folder: Path) -> None:
    small = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(small).save(folder / "photo.png")
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    expected = Upscaler(folder / "model.onnx", threads=1)(small).astype(int)
    for code in (blocks[0], "".join(blocks)):
        (folder / "big.png").unlink(missing_ok=True)
        subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, check=True)
        with Image.open(folder / "big.png") as big:
            assert np.abs(np.asarray(big).astype(int) - expected).max() <= 1


def test_every_model_file_is_named_with_its_size(made: Path) -> None:
    page = (made / "README.md").read_text()
    for variant in card(made)["variants"].values():
        assert f"| `{variant['file']}` | {variant['bytes'] / 1e6:.2f} MB |" in page


def test_files_that_are_not_there_are_not_spoken_of(made: Path) -> None:
    facts = card(made)
    facts["variants"] = {"fp32": facts["variants"]["fp32"]}
    page = readme(Card.model_validate(facts), invents=False)
    for word in ("fp16", "`int8", "uint8-io", "max_levels", "Which file"):
        assert word not in page
    assert "An app needs `model.onnx`" in page


def test_a_graph_that_clips_is_not_said_to_need_clipping(made: Path) -> None:
    facts = card(made)
    assert "**not clipped**" in readme(Card.model_validate(facts), invents=False)
    facts["variants"] = {"fp32": facts["variants"]["fp32"]}
    facts["variants"]["fp32"]["output"]["clipped"] = True
    assert "not clipped" not in readme(Card.model_validate(facts), invents=False)


def test_the_contract_the_halo_and_the_licence_are_the_cards(made: Path) -> None:
    page, facts = (made / "README.md").read_text(), card(made)
    assert f"{facts['halo']} pixels around a pixel" in page
    assert f"at least {facts['min_size']} pixel a side" in page
    assert "licence of the weights: MIT" in page
    assert facts["git_revision"] in page


def test_the_page_says_which_pictures_the_network_is_for(made: Path) -> None:
    pages = [readme(Card.model_validate(card(made)), invents=invents) for invents in (False, True)]
    assert all("**For clean pictures.**" in page for page in pages)
    assert ["invent plausible detail" in page for page in pages] == [False, True]
