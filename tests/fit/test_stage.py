"""The command from its budget to a bundle that keeps to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from edgesr.cli import app
from edgesr.deploy.stage import write_bundle
from edgesr.errors import EdgesrError, MachineError, RecipeError, VerifyError
from edgesr.fit.budget import parse
from edgesr.fit.stage import fit
from edgesr.models import zoo
from edgesr.recipe import io as recipe_io
from edgesr.verify import stage as verification
from edgesr.workspace import Workspace

# So much for so small a picture that a busy machine keeps to it as well.
GENEROUS = "p95 2000 ms @ 12x8"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and smaller networks."""
    monkeypatch.setattr("edgesr.fit.search.WIDTHS", (4, 8))
    monkeypatch.setattr("edgesr.fit.search.COARSE_DEPTHS", (1, 2))
    monkeypatch.setattr("edgesr.fit.search.MAX_DEPTH", 2)


@pytest.mark.usefixtures("quick")
def test_the_proposed_student_exported_meets_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    requested = ["fit", "--budget", GENEROUS, "--threads", "1", "-o", "phone.toml"]
    done = CliRunner().invoke(app, requested, catch_exceptions=False)
    assert done.exit_code == 0
    untrained = ["gates.min_gain_over_bicubic_db=-99.0"]
    recipe = recipe_io.load(Path("phone.toml"), overrides=untrained)
    assert zoo.describe(recipe.model) == "edge 8x2"
    torch.manual_seed(0)
    zoo.save(zoo.build(recipe.model), Path("random.safetensors"), licence="MIT")
    student = zoo.load(Path("random.safetensors"))
    folder = write_bundle(student, recipe, Workspace(), role="student", teacher=None, extras=[])
    evidence = verification.verify(folder, providers=["cpu"])
    gate = next(row for row in evidence.gates if row.gate == "p95_ms")
    assert (gate.limit, gate.where) == (2000.0, "cpu, fp32, 12x8")
    assert evidence.passed


def test_a_recipe_that_is_there_is_refused_before_anything_is_timed(tmp_path: Path) -> None:
    there = tmp_path / "there.toml"
    there.write_text("")
    with pytest.raises(RecipeError, match="exists already"):
        fit(parse(GENEROUS), output=there)


def test_an_unknown_provider_is_refused_by_name() -> None:
    with pytest.raises(VerifyError, match="--provider gpu: expected one of cpu, cuda"):
        fit(parse(GENEROUS), provider="gpu")


def test_a_budget_in_another_form_ends_the_command_with_its_form() -> None:
    done = CliRunner().invoke(app, ["fit", "--budget", "fast"])
    assert "p95 8 ms @ 320x180" in str(done.exception)


def test_what_cannot_be_done_is_refused_before_anything_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesr.fit.stage.search", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match=r"the recipe cannot be written to .*Not a directory"):
        fit(parse(GENEROUS), output=tmp_path / "file/phone.toml")
    free = type("", (), {"available": 10**9})
    monkeypatch.setattr("edgesr.fit.candidates.psutil.virtual_memory", lambda: free)
    with pytest.raises(MachineError, match=r"timing networks at 4096x4096 takes 15.2 GB"):
        fit(parse("p95 8 ms @ 4096x4096"), output=tmp_path / "phone.toml")
    with pytest.raises(EdgesrError, match="at most 16384 a side"):
        parse("p95 8 ms @ 99999x9")
