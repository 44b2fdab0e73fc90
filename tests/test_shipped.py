"""What comes along is found from any folder; what is in that folder comes first."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

import edgesr
from edgesr import shipped

ROOT = shipped.PACKAGE.parent
INITS = {
    tomllib.loads(path.read_text())["training"].get("init") for path in ROOT.glob("recipes/*.toml")
}
PACKAGED = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"][
    "build"
]["targets"]["wheel"]["force-include"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_model_that_comes_along_opens_by_its_name() -> None:
    assert edgesr.Upscaler("edge-xs")(np.zeros((4, 5, 3), np.uint8)).shape == (16, 20, 3)


def test_a_bundle_in_exports_comes_first() -> None:
    mine = Path("exports/edge-xs")
    mine.mkdir(parents=True)
    assert shipped.find(Path("edge-xs")) == mine


def test_a_name_that_nothing_has_stays_for_the_error_to_name() -> None:
    assert shipped.find(Path("edge-zz")) == Path("edge-zz")
    assert shipped.recipe(Path("edge-zz")) == Path("edge-zz")


def test_a_recipe_is_found() -> None:
    assert shipped.recipe(Path("n4-psnr")).is_file()


@pytest.mark.parametrize("start", sorted(init for init in INITS if init and "/" in init))
def test_the_weights_that_recipes_start_from_are_found_and_come_along(start: str) -> None:
    assert shipped.start(Path(start)).is_file()
    assert any(start.startswith(path) for path in PACKAGED)


def test_every_edge_bundle_of_the_checkout_is_in_the_wheel() -> None:
    assert all(f"exports/{name}" in PACKAGED for name in shipped.bundles())


def test_the_text_of_edgesrs_own_licence_comes_along_and_no_other() -> None:
    text = shipped.licence("Apache-2.0")
    assert text is not None
    assert "Apache License" in text.read_text(encoding="utf-8")
    assert shipped.licence("MIT") is None
