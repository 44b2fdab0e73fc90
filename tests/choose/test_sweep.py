"""A list of values behind --set is one run for each."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from edgesr.choose.sweep import named, recipes, variations
from edgesr.errors import RecipeError
from edgesr.recipe import Recipe
from edgesr.recipe import io as recipe_io

ROOT = Path(__file__).parents[2]
BASE = {"name": "a", "model": {"arch": "edge"}}


def load(overrides: list[str]) -> Recipe:
    raw = BASE
    for text in overrides:
        raw = recipe_io.merge(raw, recipe_io.parse_override(text))
    return Recipe.model_validate(raw)


@pytest.mark.parametrize(
    ("overrides", "combinations"),
    [
        ([], [[]]),
        (["training.lr=1e-3"], [["training.lr=1e-3"]]),
        (["training.lr=1e-3,2e-3"], [["training.lr=1e-3"], ["training.lr=2e-3"]]),
        (["a=1,2", "b=3,4"], [["a=1", "b=3"], ["a=1", "b=4"], ["a=2", "b=3"], ["a=2", "b=4"]]),
        (["model.branches=['expand', 'point']"], [["model.branches=['expand', 'point']"]]),
        (
            ["verify.shapes=[],['8x8','9x9']"],
            [["verify.shapes=[]"], ["verify.shapes=['8x8','9x9']"]],
        ),
        (["data.photos=holidays, 2020"], [["data.photos=holidays, 2020"]]),
        (["licence=MIT, with a remark"], [["licence=MIT, with a remark"]]),
        (["no value"], [["no value"]]),
    ],
)
def test_commas_outside_brackets_and_quotes_part_values(
    overrides: list[str], combinations: list[list[str]]
) -> None:
    assert variations(overrides) == combinations


def test_each_run_is_named_by_what_varies_and_trains_what_it_says() -> None:
    found = recipes(load, ["training.lr=1e-3,2e-3", "seed=3"])
    assert [(each.name, each.training.lr, each.seed) for each in found] == [
        ("a-lr-1e-3", 1e-3, 3),
        ("a-lr-2e-3", 2e-3, 3),
    ]
    assert [each.name for each in recipes(load, ["seed=3"])] == ["a"]
    assert [each.name for each in recipes(load, ["model.branches=[],['point']"])] == [
        "a-branches-none",
        "a-branches-point",
    ]
    assert named("a", ["losses.lpips_network='both','vgg16'"], ["losses.lpips_network='both'"]) == (
        "a-lpips_network-both"
    )


def test_a_wrong_value_is_told_before_any_training() -> None:
    with pytest.raises(ValueError, match="lr"):
        recipes(load, ["training.lr=1e-3,-1"])


def test_a_command_of_thousands_of_runs_is_refused() -> None:
    with pytest.raises(RecipeError, match="asks for 100 runs, expected at most 64"):
        variations([f"{key}={','.join(map(str, range(10)))}" for key in "ab"])


def experiments() -> list[str]:
    """The commands of docs/experiments.md that train."""
    text = (ROOT / "docs/experiments.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"^edgesr distill .*", text, re.MULTILINE)


@pytest.mark.parametrize("typed", experiments())
def test_a_sweep_of_the_experiments_changes_the_recipe_once_for_each_value(typed: str) -> None:
    words = shlex.split(typed)
    overrides = [value for word, value in pairwise(words) if word == "--set"]

    def load(changes: list[str]) -> Recipe:
        return recipe_io.load(ROOT / words[2], overrides=changes)

    found = recipes(load, overrides)
    bodies = {each.model_copy(update={"name": "-"}).model_dump_json() for each in found}
    assert len(bodies) == len({each.name for each in found}) == len(variations(overrides))
