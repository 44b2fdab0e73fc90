"""Any size: which factor of a family is taken, and what becomes of the picture."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from edgesr.bundle.family import family
from edgesr.cli import app
from edgesr.errors import DataError
from edgesr.inference.sized import Sized, TargetSize, reduced
from edgesr.inference.upscaler import Upscaler

EXPORTS = Path(__file__).parents[2] / "exports"


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        (TargetSize(scale=2.5), (250, 100)),
        (TargetSize(width=300), (300, 120)),
        (TargetSize(height=60), (150, 60)),
        (TargetSize(width=300, height=60), (150, 60)),
        (TargetSize(max_side=200), (200, 80)),
    ],
)
def test_the_aspect_is_kept_inside_every_limit(asked: TargetSize, size: tuple[int, int]) -> None:
    assert asked.of(100, 40) == size


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({}, "no size is asked for"),
        ({"scale": 2, "width": 100}, "asked for twice"),
        ({"scale": 0.5}, r"scale = 0\.5: expected 1\.\.16"),
        ({"max_side": 0}, "max-side = 0: expected"),
    ],
)
def test_a_size_that_makes_no_sense_is_refused(asked: dict[str, float], fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        TargetSize(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(("scale", "taken"), [(1.5, 2), (2, 2), (2.01, 4), (4, 4)])
def test_the_smallest_factor_that_reaches_the_size_is_taken(scale: float, taken: int) -> None:
    opened: list[Path] = []
    found = {4: Path("four"), 2: Path("two")}
    sized = Sized(found, TargetSize(scale=scale), opened.append)  # type: ignore[arg-type]
    sized.choose(100, 50)
    assert opened == [found[taken]]


def test_a_size_beyond_every_factor_names_both() -> None:
    sized = Sized({4: Path("four")}, TargetSize(width=500), partial(Upscaler, provider="cpu"))
    with pytest.raises(DataError, match="is 5 times, the model enlarges 4 times"):
        sized.choose(100, 50)


def test_a_tiers_other_scales_are_found_beside_it(tmp_path: Path) -> None:
    shutil.copytree(EXPORTS / "edge-xs", tmp_path / "edge-xs")
    assert family(tmp_path / "edge-xs") == {4: tmp_path / "edge-xs"}
    assert family(tmp_path / "edge-xs/model.onnx") == {4: tmp_path / "edge-xs/model.onnx"}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(), (3,), (4,)])
def test_bands_of_any_kind_are_reduced_as_a_whole(dtype: type, shape: tuple[int, ...]) -> None:
    most = np.iinfo(dtype).max
    flat = np.full((40, 60, *shape), most // 2, dtype)
    small = reduced([flat[:13], flat[13:]], (30, 20))
    assert small.shape == (20, 30, *shape)
    assert small.dtype == dtype
    assert np.abs(small.astype(int) - most // 2).max() <= 1


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / "a.png")
    command = ["upscale", str(EXPORTS / "edge-xs"), str(tmp_path / "a.png"), "--max-side", "75"]
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "b.png")])
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "b.png") as image:
        assert image.size == (75, 50)
    assert "x4, then reduced to 75 x 50" in done.output.replace("\n", "")
