"""The bundle's README: its code runs, and it speaks of the files that are there only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesr import Upscaler
from edgesr.bundle.checksums import digest
from edgesr.bundle.readme import readme
from edgesr.bundle.records.card import Card


def card(folder: Path, **changed: Any) -> Card:
    facts: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return Card.model_validate(facts | changed)


def plain_alone(folder: Path, *, clipped: bool = False) -> Card:
    """The card of a bundle that has model.onnx alone."""
    fp32 = card(folder).as_dict()["variants"]["fp32"]
    return card(folder, variants={"fp32": fp32 | {"output": fp32["output"] | {"clipped": clipped}}})


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
    for variant in card(made).variants.values():
        assert f"| `{variant.file}` | {variant.bytes / 1e6:.2f} MB |" in page


def test_files_that_are_not_there_are_not_spoken_of(made: Path) -> None:
    page = readme(plain_alone(made), invents=False)
    for word in ("fp16", "`int8", "uint8-io", "max_levels", "Which file"):
        assert word not in page
    assert "An app needs `model.onnx`" in page


def test_a_graph_that_clips_is_not_said_to_need_clipping(made: Path) -> None:
    assert "**not clipped**" in readme(card(made), invents=False)
    assert "not clipped" not in readme(plain_alone(made, clipped=True), invents=False)


def test_the_contract_the_halo_and_the_licence_are_the_cards(made: Path) -> None:
    page, facts = (made / "README.md").read_text(), card(made)
    assert f"{facts.halo} pixels around a pixel" in page
    assert f"at least {facts.min_size} pixel a side" in page
    assert "licence of the weights: MIT" in page
    assert facts.git_revision in page


def test_the_page_says_what_eight_bits_need_of_a_processor(made: Path) -> None:
    page, int8 = (made / "README.md").read_text(), card(made).variants["int8"]
    assert f"What `model.int8.onnx` needs of a processor: {int8.needs}." in page


def test_evidence_is_said_to_lie_apart_and_to_name_the_bundles_digest(made: Path) -> None:
    page = " ".join((made / "README.md").read_text().split())
    assert "its `bundle_sha256` is the SHA-256 of `SHA256SUMS`" in page
    out = subprocess.run(["sha256sum", "SHA256SUMS"], cwd=made, capture_output=True, check=True)
    assert out.stdout.split()[0].decode() == digest(made)


def test_a_bundle_with_float_files_alone_has_a_page(half: Path) -> None:
    assert "needs of a processor" not in (half / "README.md").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "\\<img src=x onerror=alert(1)\\>"),
        ("[MIT](javascript:alert(1))", "\\[MIT\\](javascript:alert(1))"),
        ("a | b\n\n# Heading", "a \\| b # Heading"),
        ("**bold** `code` &lt; \x1b[31m", r"\*\*bold\*\* \`code\` \&lt; \\x1b\[31m"),
    ],
)
def test_what_others_wrote_is_shown_and_not_obeyed(made: Path, text: str, shown: str) -> None:
    """A bundle's README carried raw HTML from licence and teacher."""
    teacher = {"name": "t", "architecture": text, "spec": None}
    facts = card(made, licence=text, architecture=text, git_revision=text, teacher=teacher)
    page = readme(facts, invents=False)
    assert page.count(shown) == 4
    assert "\n# Heading" not in page
    assert text not in page


def test_the_page_says_which_pictures_the_network_is_for(made: Path) -> None:
    pages = [readme(card(made), invents=invents) for invents in (False, True)]
    assert all("**For clean pictures.**" in page for page in pages)
    assert ["invent plausible detail" in page for page in pages] == [False, True]
    real = readme(card(made), invents=False, kind="real")
    assert "**For pictures as people have them.**" in real
    assert "**For clean pictures.**" not in real
    pairs = readme(card(made), invents=False, kind="pairs")
    assert "**For pictures like those it was trained on.**" in pairs
