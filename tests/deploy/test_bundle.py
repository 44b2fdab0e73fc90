"""Bundles: what is in them, whose teacher is exported, and that nothing shipped is overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgesr import recipe_io
from edgesr.deploy import bundle
from edgesr.errors import ExportError
from edgesr.models import zoo
from edgesr.recipe import Edge, Recipe, Srgan
from edgesr.workspace import Workspace, sha256, write_json, write_text


def make_run(
    workspace: Workspace, name: str, spec: Srgan | Edge, teacher: Path | None = None
) -> Path:
    folder = workspace.run(name)
    folder.mkdir(parents=True)
    raw: dict[str, Any] = {"name": name, "model": spec.model_dump(), "licence": "MIT"}
    raw |= {"teacher": {"path": str(teacher)}} if teacher else {}
    write_text(folder / "recipe.toml", recipe_io.dumps(Recipe.model_validate(raw)))
    zoo.save(zoo.build(spec), folder / "model.safetensors", licence="MIT")
    command = "distill" if teacher else "train"
    write_json(folder / "run.json", {"name": name, "command": command})
    write_text(folder / "log.jsonl", "{}\n")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[Path]]:
    workspace = Workspace(tmp_path_factory.mktemp("work"))
    teacher = make_run(workspace, "big", Srgan(blocks=2, channels=4))
    student = make_run(workspace, "small", Edge(channels=4, depth=1), teacher / "model.safetensors")
    return workspace, bundle.export(student, workspace)


def card(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return content


def test_student_and_teacher_become_bundles_of_their_own(
    exported: tuple[Workspace, list[Path]],
) -> None:
    workspace, folders = exported
    assert folders == [workspace.bundle("small"), workspace.bundle("big")]
    for folder in folders:
        assert sorted(p.name for p in folder.iterdir()) == [
            *("card.json", "log.jsonl", "model.onnx", "recipe.toml", "run.json"),
            "weights.safetensors",
        ]
    assert [p.name for p in workspace.exports.iterdir() if p.name.startswith(".")] == []


def test_the_card_is_the_contract_and_agrees_with_the_onnx_file(
    exported: tuple[Workspace, list[Path]],
) -> None:
    folder = exported[1][0]
    facts = card(folder)
    inside = {e.key: e.value for e in onnx.load(folder / "model.onnx").metadata_props}
    for key in ("name", "architecture", "scale", "halo", "min_size", "opset", "licence"):
        assert inside[f"edgesr.{key}"] == str(facts[key])
    assert inside["edgesr.checkpoint_sha256"] == facts["sha256"]["weights.safetensors"]
    assert inside["edgesr.recipe_sha256"] == facts["sha256"]["recipe.toml"]
    assert facts["halo"] == 3
    assert facts["role"] == "student"
    assert facts["teacher"]["architecture"] == "SRGAN N=2"
    for name, expected in facts["sha256"].items():
        assert sha256(folder / name) == expected


def test_the_teachers_card_says_so(exported: tuple[Workspace, list[Path]]) -> None:
    facts = card(exported[1][1])
    assert facts["role"] == "teacher"
    assert facts["teacher"] is None


def test_a_teachers_bundle_with_the_same_weights_is_left_as_it_is(
    exported: tuple[Workspace, list[Path]],
) -> None:
    workspace, folders = exported
    marker = folders[1] / "marker"
    marker.touch()
    bundle.export(workspace.run("small"), workspace)
    assert marker.exists()


def test_a_teacher_from_a_file_gets_a_bundle_named_after_it(workspace: Workspace) -> None:
    path = workspace.root / "given.safetensors"
    zoo.save(zoo.build(Srgan(blocks=1, channels=4)), path, licence="BSD")
    student = make_run(workspace, "small", Edge(channels=4, depth=1), path)
    folders = bundle.export(student, workspace)
    assert folders[1].name == "given"
    assert card(folders[1])["licence"] == "BSD"


def test_a_run_that_is_not_finished_is_named(workspace: Workspace) -> None:
    with pytest.raises(ExportError, match=r"run\.json cannot be read"):
        bundle.export(workspace.run("none"), workspace)


def test_the_revision_is_a_commit_or_unknown() -> None:
    revision = bundle.git_revision().removesuffix("-dirty")
    assert revision == "unknown" or len(revision) == 40


def test_a_foreign_teacher_is_not_exported_and_that_is_said(
    shared: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    craft = shared / "teachers/craft_x4.pth"
    student = make_run(workspace, "small", Edge(channels=4, depth=1), craft)
    assert bundle.export(student, workspace) == [workspace.bundle("small")]
    assert "CRAFT) is foreign: not exported" in capsys.readouterr().out
    assert card(workspace.bundle("small"))["teacher"]["spec"] is None
