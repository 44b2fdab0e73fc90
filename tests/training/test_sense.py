"""A teacher of another convention, or of none, is told before anything is learned from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.data import photos
from edgesr.data.degrade import bicubic_up
from edgesr.errors import ModelError
from edgesr.models import zoo
from edgesr.recipe import Edge, Srgan
from edgesr.training.sense import check_sense, examine, tell
from edgesr.training.validation import Example, example

CPU = torch.device("cpu")


class Made(nn.Module):
    """A network that is any function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, lr: Tensor) -> Tensor:
        return self.function(lr)


def named(module: nn.Module) -> zoo.SRModel:
    return zoo.SRModel(module, None, "SomeNet", Path("t.pth"), "", "unknown", 4)


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """The astronaut, and one of the training photographs."""
    embedded = photos.embedded()
    return [example(photos.decode(path), 4) for path in (*embedded.validation, embedded.train[1])]


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda lr: bicubic_up(lr, 4)[:, [2, 1, 0]], "channels come as BGR, expected RGB"),
        (lambda lr: bicubic_up(lr, 4)[:, [1, 2, 0]], "channels come as GBR"),
        (lambda lr: 255 * bicubic_up(lr, 4), "another range: 25[0-9] x"),
        (lambda lr: 2 * bicubic_up(lr, 4) - 1, "another range: 1.9[0-9] x"),
        (lambda lr: bicubic_up(lr, 4) / 2, "another range: 0.49"),
        (lambda lr: bicubic_up(lr, 4).roll(1, -2), r"lie \+1\.[0-9] pixels down and [+-]0\.[0-2]"),
        (lambda lr: bicubic_up(lr, 4).roll(-2, -1), r"down and -2\.[0-9] to the right"),
        (lambda lr: bicubic_up(lr, 4).flip(-1), "do not resemble"),
        (lambda lr: bicubic_up(lr, 4).mT, "do not resemble"),
        (lambda lr: 0 * bicubic_up(lr, 4), "do not resemble"),
        (lambda lr: F.interpolate(lr, scale_factor=4.0), "nothing but noise"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_was_found(
    examples: list[Example], function: Callable[[Tensor], Tensor], fault: str
) -> None:
    with pytest.raises(ModelError, match=fault):
        check_sense(named(Made(function)), examples, CPU)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "spec",
    [Srgan(blocks=2, channels=16), Edge(channels=16, depth=4), Edge(branches=["expand", "point"])],
    ids=["srgan", "edge", "edge with branches"],
)
def test_a_network_that_was_never_trained_is_refused(
    examples: list[Example], spec: Srgan | Edge, seed: int
) -> None:
    torch.manual_seed(seed)
    with pytest.raises(ModelError, match=r"do not resemble|nothing but noise"):
        check_sense(named(zoo.build(spec).eval()), examples, CPU)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_picture_that_is_not_finite_is_refused(examples: list[Example], value: float) -> None:
    with pytest.raises(ModelError, match="not finite"):
        check_sense(named(Made(lambda lr: bicubic_up(lr, 4) * value)), examples, CPU)


def test_the_score_is_printed_beside_bicubics_and_below_it_that_is_said(
    examples: list[Example], capsys: pytest.CaptureFixture[str]
) -> None:
    blurred = named(Made(lambda lr: F.avg_pool2d(bicubic_up(lr, 4), 3, 1, 1)))
    tell("teacher t.pth", check_sense(blurred, examples, CPU))
    said = capsys.readouterr()
    assert "teacher t.pth: " in said.out
    assert "(bicubic " in said.out
    assert "below bicubic" in said.err


def test_photographs_without_contrast_tell_nothing_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A misty sky must not get a sensible teacher refused."""
    grey = np.random.default_rng(0).integers(127, 130, (64, 64, 3)).astype(np.uint8)
    model = named(Made(lambda lr: bicubic_up(lr, 4) * 0.5))
    tell("teacher t.pth", check_sense(model, [example(grey, 4)], CPU))
    assert "too flat to tell" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "below"),
    [
        ("real/realesr-general-x4v3", True),
        ("real/realesr-general-wdn-x4v3", True),
        ("real/realesr-animevideov3", True),
        ("real/4xlsdircompactc3", False),
        ("srgan16", False),
    ],
)
def test_trained_teachers_make_sense_those_for_real_photographs_too(
    shared: Path, examples: list[Example], file: str, below: bool
) -> None:
    model = zoo.load(shared / f"teachers/{file}.safetensors")
    found = check_sense(model, examples[:1], CPU)
    assert (found.psnr_db < found.bicubic_psnr_db) == below
    swapped = Made(lambda lr: model.module(lr)[:, [2, 1, 0]])
    assert "BGR" in examine(swapped, examples[:1], CPU).fault()


@pytest.mark.parametrize("name", ["teacher", "n4", "edge-xs", "edge-s-gan"])
def test_what_ships_makes_sense_as_a_teacher(examples: list[Example], name: str) -> None:
    exports = Path(__file__).resolve().parents[2] / "exports"
    check_sense(zoo.load(exports / name / "weights.safetensors"), examples[:1], CPU)
