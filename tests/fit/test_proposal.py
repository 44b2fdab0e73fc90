"""The recipe that is written is the proposal, and one that `edgesr distill` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesr.errors import RecipeError
from edgesr.fit.budget import Budget, Latency
from edgesr.fit.candidates import Candidate
from edgesr.fit.proposal import check_target, path_for, small, table, write
from edgesr.recipe import Recipe, VariantGates
from edgesr.recipe import io as recipe_io

CHOSEN, LATENCY = Candidate(48, 6), Latency(7.125, 7.5)


def written(path: Path, budget: str = "p95", provider: str = "cpu") -> Path:
    limit = Budget(budget, 8.0, "320x180")
    write(path, CHOSEN, limit, latency=LATENCY, provider=provider, threads=3)
    return path


def test_the_recipe_is_the_proposed_network_with_the_budget_as_its_gate(tmp_path: Path) -> None:
    recipe = recipe_io.load(written(tmp_path / "phone.toml"))
    assert recipe.name == "phone"
    assert recipe.model == CHOSEN.spec
    assert recipe.gates.cpu == {"fp32": VariantGates(p95_ms=8.0, size="320x180")}
    assert (recipe.verify.size, recipe.verify.threads) == ("320x180", 3)
    assert recipe.teacher is not None
    assert recipe.losses.teacher_l1 > 0


def test_a_budget_of_the_median_on_cuda_is_gated_as_such(tmp_path: Path) -> None:
    recipe = recipe_io.load(written(tmp_path / "a.toml", "p50", "cuda"))
    assert recipe.gates.cuda == {"fp32": VariantGates(p50_ms=8.0, size="320x180")}
    assert not recipe.gates.cpu


def test_it_has_a_trial_for_a_small_machine(tmp_path: Path) -> None:
    recipe = recipe_io.load(written(tmp_path / "a.toml"), small=True)
    assert recipe.data.photos == "embedded"
    assert recipe.training.steps < 1000


def test_its_head_says_what_was_measured_where_and_that_macs_are_a_proxy(tmp_path: Path) -> None:
    lines = written(tmp_path / "a.toml").read_text().splitlines()
    head = "\n".join(line for line in lines if line.startswith("#"))
    for fact in ("edge 48x6", '"p95 8 ms @ 320x180"', "p95 7.50 ms", "CPU threads: 3", "proxy"):
        assert fact in head
    assert "ONNX Runtime" in head


def test_a_recipe_that_is_there_is_kept_unless_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.toml")
    with pytest.raises(RecipeError, match=r"a\.toml exists already\n.*--overwrite"):
        check_target(path, overwrite=False)
    check_target(path, overwrite=True)


@pytest.mark.parametrize("name", ["a b.toml", "phone.txt", "phone", ".toml"])
def test_a_file_whose_stem_names_no_run_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=r"expected FILE\.toml"):
        check_target(tmp_path / name, overwrite=False)


def test_the_default_file_names_the_network() -> None:
    assert path_for(CHOSEN) == Path("recipes/fit-48x6.toml")


@pytest.mark.parametrize("scale", [2, 3])
def test_a_student_of_another_scale_is_named_so_and_its_patches_fit(scale: int) -> None:
    candidate = Candidate(16, 2, scale)  # type: ignore[arg-type]
    raw = table("a", candidate, Budget("p95", 8.0, "64x64"), provider="cpu", threads=1)
    for training in (raw["training"], small(candidate)["training"]):
        assert training["patch"] % scale == 0
    assert Recipe.model_validate(raw).model.scale == scale
    assert path_for(candidate).name == f"fit-16x2-x{scale}.toml"
