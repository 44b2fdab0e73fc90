"""Finished runs of networks that were never trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesr.bundle.records.run import Hardware, Run
from edgesr.models import zoo
from edgesr.models.zoo import Student
from edgesr.recipe import Recipe
from edgesr.recipe import io as recipe_io
from edgesr.workspace import Workspace, sha256, write_text


def write_run(
    workspace: Workspace, raw: dict[str, Any], network: Student | None = None, **facts: Any
) -> Path:
    """What training leaves of the recipe `raw`: recipe, weights, run.json, log.jsonl.

    Args:
        network: what was trained; the recipe's with random weights unless given.
        facts: what else run.json says.
    """
    recipe = Recipe.model_validate({"licence": "MIT"} | raw)
    folder = workspace.run(recipe.name)
    zoo.save(
        network or zoo.build(recipe.model), folder / "model.safetensors", licence=recipe.licence
    )
    write_text(folder / "recipe.toml", recipe_io.dumps(recipe))
    Run(
        **{
            "name": recipe.name,
            "command": "distill" if recipe.teacher else "train",
            "architecture": "edge 4x1",
            "teacher": None,
            "sha256": sha256(folder / "model.safetensors"),
            "steps": 1,
            "seconds": 1.0,
            "hardware": Hardware(device="cpu", cpu="a processor", cores=1, system="Linux"),
            "validation": None,
            "versions": {},
        }
        | facts
    ).write(folder / "run.json")
    write_text(folder / "log.jsonl", "{}\n")
    return folder
