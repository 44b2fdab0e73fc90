"""Bundles: what is in them, whose teacher is exported, and that nothing shipped is overwritten."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto

from edgesr.bundle.card import bundles, read_card
from edgesr.bundle.check import Row, check
from edgesr.deploy import stage, variants
from edgesr.errors import EdgesrError, ExportError
from edgesr.folders import NEW
from edgesr.models import zoo
from edgesr.recipe import Edge, Recipe, Srgan
from edgesr.recipe import io as recipe_io
from edgesr.workspace import Workspace, sha256, write_json, write_text
from tests.runs import write_run


def make_run(
    workspace: Workspace, name: str, spec: Edge | Srgan, teacher: Path | None = None
) -> Path:
    raw: dict[str, Any] = {"name": name, "model": spec.model_dump()}
    raw |= {"teacher": {"path": str(teacher)}} if teacher else {}
    return write_run(workspace, raw)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[Path]]:
    workspace = Workspace(tmp_path_factory.mktemp("work"))
    teacher = make_run(workspace, "big", Srgan(blocks=2, channels=4))
    student = make_run(workspace, "small", Edge(channels=4, depth=1), teacher / "model.safetensors")
    return workspace, stage.export(student, workspace)


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
            *("README.md", "SHA256SUMS", "card.json", "card.schema.json", "golden"),
            *("log.jsonl", "model.onnx", "recipe.toml", "run.json", "weights.safetensors"),
        ]
    assert [p.name for p in workspace.exports.iterdir() if p.name.startswith(NEW)] == []


def test_the_card_is_the_contract_and_agrees_with_the_onnx_file(
    exported: tuple[Workspace, list[Path]],
) -> None:
    folder = exported[1][0]
    facts = card(folder)
    inside = {e.key: e.value for e in onnx.load(folder / "model.onnx").metadata_props}
    for key in ("format", "name", "architecture", "scale", "halo", "min_size", "opset", "licence"):
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
    marker = folders[1] / "verify.json"
    marker.touch()
    stage.export(workspace.run("small"), workspace)
    assert marker.exists()


def damage(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"x")


def make_older(folder: Path) -> None:
    write_json(folder / "card.json", card(folder) | {"format": 1})


@pytest.mark.parametrize("change", [damage, make_older])
def test_a_teachers_bundle_that_verify_would_refuse_is_made_again(
    workspace: Workspace, change: Callable[[Path], None]
) -> None:
    path = make_run(workspace, "big", Edge(channels=4, depth=1)) / "model.safetensors"
    student = make_run(workspace, "small", Edge(channels=2, depth=1), path)
    teacher = stage.export(student, workspace)[1]
    change(teacher)
    stage.export(student, workspace)
    assert read_card(teacher).name == "big"


def test_a_bundle_that_fails_its_own_golden_vectors_does_not_replace_the_last_one(
    exported: tuple[Workspace, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, folders = exported
    before = card(folders[0])
    row = Row("fp32", "noise", 0.5, 1e-4, "")
    monkeypatch.setattr("edgesr.deploy.bundle.check", lambda _: [row])
    with pytest.raises(ExportError, match=r"small falls short .*: fp32 noise 0\.5 0\.0001 FAILS"):
        stage.export(workspace.run("small"), workspace)
    assert card(folders[0]) == before
    assert [p.name for p in workspace.exports.iterdir() if p.name.startswith(NEW)] == []


def test_a_teacher_from_a_file_gets_a_bundle_named_after_it(workspace: Workspace) -> None:
    path = workspace.root / "given.safetensors"
    zoo.save(zoo.build(Srgan(blocks=1, channels=4)), path, licence="BSD")
    student = make_run(workspace, "small", Edge(channels=4, depth=1), path)
    folders = stage.export(student, workspace)
    assert folders[1].name == "given"
    assert card(folders[1])["licence"] == "BSD"


def test_a_run_that_is_not_finished_is_named(workspace: Workspace) -> None:
    with pytest.raises(EdgesrError, match=r"run\.json cannot be read"):
        stage.export(workspace.run("none"), workspace)


def test_every_variant_is_in_the_card_with_its_contract_and_in_its_file(made: Path) -> None:
    facts = card(made)
    assert list(facts["variants"]) == ["fp32", "fp16", "int8", "uint8-io"]
    for name, variant in facts["variants"].items():
        path = made / variant["file"]
        assert variant["bytes"] == path.stat().st_size
        assert sha256(path) == facts["sha256"][path.name]
        model = onnx.load(path)
        inside = {entry.key: entry.value for entry in model.metadata_props}
        assert inside["edgesr.ir_version"] == str(model.ir_version) == "8"
        assert inside["edgesr.variant"] == name
        assert inside["edgesr.layout"] == variant["input"]["layout"]
        assert inside["edgesr.dtype"] == variant["input"]["dtype"] == variant["output"]["dtype"]
        assert inside["edgesr.range"] == "{}..{}".format(*variant["input"]["range"])
        assert inside["edgesr.checkpoint_sha256"] == facts["sha256"]["weights.safetensors"]
        taken = model.graph.input[0].type.tensor_type
        kind = {TensorProto.FLOAT: "float32", TensorProto.UINT8: "uint8"}[taken.elem_type]
        dims = [dim.dim_param or dim.dim_value for dim in taken.shape.dim]
        assert (kind, dims) == (variant["input"]["dtype"], variant["input"]["shape"])
    assert facts["variants"]["int8"]["layers"] == 3
    assert facts["variants"]["uint8-io"]["output"]["clipped"] is True
    assert facts["variants"]["fp32"]["output"]["clipped"] is False


def test_float16_ends_are_in_the_card_the_file_its_page_and_hold_their_golden_vectors(
    half: Path,
) -> None:
    variant = card(half)["variants"]["fp16"]
    model = onnx.load(half / variant["file"])
    inside = {entry.key: entry.value for entry in model.metadata_props}
    assert inside["edgesr.dtype"] == variant["input"]["dtype"] == "float16"
    assert variant["output"]["dtype"] == "float16"
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT16
    page = (half / "README.md").read_text()
    assert "**`model.fp16.onnx`**\n\n- Input `lr`: float16, (batch, 3" in page
    assert "**`model.onnx`**\n\n- Input `lr`: float32, (batch, 3" in page
    assert [row.variant for row in check(half) if row.passed] == ["fp32"] * 3 + ["fp16"] * 3


def test_a_variant_that_does_not_exist_is_named_with_those_that_do(workspace: Workspace) -> None:
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    with pytest.raises(ExportError, match="variant int4: expected fp32, fp16, int8, s8s8, a16w8"):
        stage.export(run, workspace, variants=("int4",))
    assert not workspace.bundle("small").exists()


def test_a_teacher_whose_file_is_gone_is_named_by_the_runs_record(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    # A shipped run is exported where the teacher's file never was.
    teacher = make_run(workspace, "big", Srgan(blocks=2, channels=4)) / "model.safetensors"
    student = make_run(workspace, "small", Edge(channels=4, depth=1), teacher)
    record = json.loads((student / "run.json").read_text())
    record["teacher"] = zoo.facts(zoo.load(teacher)).as_dict()
    (student / "run.json").write_text(json.dumps(record))
    teacher.unlink()
    assert [folder.name for folder in stage.export(student, workspace)] == ["small"]
    assert "is not there" in capsys.readouterr().err
    named = card(workspace.bundle("small"))["teacher"]
    assert named["name"] == "big"
    assert named["spec"]["blocks"] == 2


def test_a_foreign_teacher_is_not_exported_and_that_is_said(
    shared: Path, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    craft = shared / "teachers/craft_x4.pth"
    student = make_run(workspace, "small", Edge(channels=4, depth=1), craft)
    assert stage.export(student, workspace) == [workspace.bundle("small")]
    assert "CRAFT) is foreign: not exported" in capsys.readouterr().out
    assert card(workspace.bundle("small"))["teacher"]["spec"] is None


def test_a_bundle_whose_run_is_gone_is_written_anew(workspace: Workspace) -> None:
    # What ships can follow edgesr's rewrites without what trained it.
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    (folder,) = stage.export(run, workspace)
    before = {file: (folder / file).read_bytes() for file in ("run.json", "weights.safetensors")}
    shutil.rmtree(run)
    assert workspace.find_run("small") == folder
    off = ["export.rewrites.low_resolution_anchor=false"]
    assert stage.export(folder, workspace, overrides=off) == [folder]
    assert before == {file: (folder / file).read_bytes() for file in before}
    kinds = [node.op_type for node in onnx.load(folder / "model.onnx").graph.node]
    assert "Resize" in kinds


def test_no_path_of_this_machine_stands_in_a_fresh_bundle(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Card, run and recipe told where things lay on the machine that made them."""
    teacher = make_run(workspace, "big", Srgan(blocks=2, channels=4)) / "model.safetensors"
    student = make_run(workspace, "small", Edge(channels=4, depth=1), teacher)
    recipe = recipe_io.load(student / "recipe.toml").model_dump(exclude_none=True)
    recipe["data"]["photos"] = recipe["weights"]["folder"] = str(tmp_path / "my own")
    recipe["training"]["init"] = str(tmp_path / "exports/edge-s/weights.safetensors")
    write_text(student / "recipe.toml", recipe_io.dumps(Recipe.model_validate(recipe)))
    record = json.loads((student / "run.json").read_text())
    record["teacher"] = zoo.facts(zoo.load(teacher)).as_dict()
    write_json(student / "run.json", record)
    for folder in stage.export(student, workspace):
        for path in (path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            assert str(tmp_path).encode() not in content, path
            assert str(Path(stage.__file__).parent).encode() not in content, path
    shipped = recipe_io.load(workspace.bundle("small") / "recipe.toml")
    assert (shipped.data.photos, shipped.training.init) == ("my own", "edge-s")


def test_export_may_change_what_training_has_not_used(workspace: Workspace) -> None:
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    folder = stage.export(run, workspace, overrides=["export.rewrites.clip=true"])[0]
    assert card(folder)["variants"]["fp32"]["output"]["clipped"] is True
    assert recipe_io.load(folder / "recipe.toml").export.rewrites.clip
    assert not recipe_io.load(run / "recipe.toml").export.rewrites.clip


def test_export_cannot_change_what_the_run_was_trained_with(workspace: Workspace) -> None:
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    with pytest.raises(
        ExportError, match=r"--set training.lr=1: .* export, verify, gates, data.photos"
    ):
        stage.export(run, workspace, overrides=["training.lr=1"])


def names(workspace: Workspace) -> list[str]:
    return [folder.name for folder in bundles(workspace.exports)]


def test_a_teachers_file_never_takes_the_place_of_an_unrelated_bundle(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # exports/n4 is one network, a teacher called n4.safetensors another.
    (other,) = stage.export(make_run(workspace, "n4", Edge(channels=4, depth=1)), workspace)
    before = sha256(other / "SHA256SUMS")
    file = tmp_path / "n4.safetensors"
    zoo.save(zoo.build(Srgan(blocks=1, channels=4)), file, licence="MIT")
    student = make_run(workspace, "small", Edge(channels=2, depth=1), file)
    assert stage.export(student, workspace) == [workspace.bundle("small")]
    assert "exports/n4 holds another network" in capsys.readouterr().out
    assert sha256(other / "SHA256SUMS") == before


def test_a_student_that_is_called_as_its_teacher_is_not_replaced_by_it(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (teacher,) = stage.export(make_run(workspace, "xs", Edge(channels=4, depth=1)), workspace)
    shutil.rmtree(workspace.run("xs"))
    weights = teacher / "weights.safetensors"
    student = make_run(workspace, "xs", Edge(channels=2, depth=1), weights)
    assert stage.export(student, workspace, force=True) == [workspace.bundle("xs")]
    assert card(workspace.bundle("xs"))["architecture"] == "edge 2x1"
    assert "not exported" in capsys.readouterr().out


def test_a_teacher_file_may_be_called_anything(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "my teacher (v2).safetensors"
    zoo.save(zoo.build(Edge(channels=4, depth=1)), file, licence="MIT")
    stage.export(make_run(workspace, "small", Edge(channels=2, depth=1), file), workspace)
    assert names(workspace) == ["my-teacher-v2", "small"]


def test_a_received_bundle_does_not_replace_the_one_of_its_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    elsewhere = Workspace(tmp_path / "received")
    (received,) = stage.export(make_run(elsewhere, "n4", Edge(channels=4, depth=1)), elsewhere)
    stage.export(make_run(workspace, "n4", Edge(channels=2, depth=1)), workspace)
    with pytest.raises(ExportError, match="exports/n4 holds another network"):
        stage.export(received, workspace)
    assert card(workspace.bundle("n4"))["architecture"] == "edge 2x1"
    stage.export(received, workspace, force=True)
    assert card(workspace.bundle("n4"))["architecture"] == "edge 4x1"


def test_files_that_were_not_asked_for_are_not_lost(workspace: Workspace) -> None:
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    (folder,) = stage.export(run, workspace, ("uint8-io",))
    with pytest.raises(ExportError, match=r"also has model\.uint8-io\.onnx") as raised:
        stage.export(run, workspace)
    assert "edgesr export small --again" in raised.value.remedy
    assert (folder / "model.uint8-io.onnx").is_file()
    stage.export(run, workspace, force=True)
    assert not (folder / "model.uint8-io.onnx").exists()


def test_where_no_file_is_named_the_earlier_bundles_files_are_made_again(
    workspace: Workspace,
) -> None:
    # The chain as the README prints it: a trial of a recipe whose bundle ships with more files.
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    stage.export(run, workspace, ("uint8-io",))
    (folder,) = stage.export(run, workspace, None)
    assert list(card(folder)["variants"]) == ["fp32", "uint8-io"]


def test_so_are_those_of_one_size_and_no_others(workspace: Workspace) -> None:
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    files = ["fp32", "uint8-io", "uint8-io-40x24"]
    stage.export(run, workspace, (), ["export.fixed=['uint8-io-40x24']"])
    (folder,) = stage.export(run, workspace, None)
    assert list(card(folder)["variants"]) == files
    stage.again(folder, workspace)
    assert list(card(folder)["variants"]) == files


def test_a_bundle_is_made_again_with_the_files_that_it_has(workspace: Workspace) -> None:
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    (folder,) = stage.export(run, workspace, ("uint8-io",))
    shutil.rmtree(run)
    before = sha256(folder / "weights.safetensors")
    assert stage.again(folder, workspace) == folder
    assert list(card(folder)["variants"]) == ["fp32", "uint8-io"]
    assert sha256(folder / "weights.safetensors") == before


def test_int8_stays_as_it_is_where_that_is_asked_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Files that are made of it can be added where its photographs are not.
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    few = ["export.int8={images=2,min_channels=1}"]
    (folder,) = stage.export(run, workspace, ("int8",), few)
    graph, told = onnx.load(folder / "model.int8.onnx").graph, card(folder)["variants"]["int8"]
    monkeypatch.setattr(variants, "to_int8", None)
    stage.export(run, workspace, ("int8", "int8-uint8-io"), few, keep_int8=True)
    assert onnx.load(folder / "model.int8.onnx").graph == graph
    found = card(folder)["variants"]
    assert list(found) == ["fp32", "int8", "int8-uint8-io"]
    measured = {"bytes", "bytes_per_pixel"}
    same = [{k: v for k, v in each.items() if k not in measured} for each in (told, found["int8"])]
    assert same[0] == same[1]
    stage.again(folder, workspace, variants=("s8s8",), keep_int8=True)
    assert onnx.load(folder / "model.int8.onnx").graph == graph
    assert list(card(folder)["variants"]) == ["fp32", "int8", "int8-uint8-io", "s8s8"]


def test_int8_of_other_weights_or_of_none_is_not_kept(workspace: Workspace) -> None:
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    few = ["export.int8={images=2,min_channels=1}"]
    (_folder,) = stage.export(run, workspace, (), few)
    with pytest.raises(ExportError, match=r"has no model\.int8\.onnx to be kept"):
        stage.export(run, workspace, ("int8",), few, keep_int8=True)
    stage.export(run, workspace, ("int8",), few)
    shutil.rmtree(run)
    torch.manual_seed(1)
    other = make_run(workspace, "small", Edge(channels=4, depth=1))
    with pytest.raises(ExportError, match="of other weights"):
        stage.export(other, workspace, ("int8",), few, keep_int8=True, force=True)


def test_a_bundle_with_somebodys_file_in_it_is_not_replaced(workspace: Workspace) -> None:
    run = make_run(workspace, "small", Edge(channels=4, depth=1))
    (folder,) = stage.export(run, workspace)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(EdgesrError, match=r"did not write: thesis\.txt"):
        stage.export(run, workspace)
    assert (folder / "thesis.txt").exists()


def test_a_teacher_that_is_another_file_by_now_is_not_exported_as_the_one_that_taught(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = make_run(workspace, "big", Edge(channels=4, depth=1)) / "model.safetensors"
    student = make_run(workspace, "small", Edge(channels=2, depth=1), teacher)
    record = json.loads((student / "run.json").read_text())
    write_json(student / "run.json", record | {"teacher": zoo.facts(zoo.load(teacher)).as_dict()})
    zoo.save(zoo.build(Edge(channels=4, depth=2)), teacher, licence="MIT")
    assert stage.export(student, workspace) == [workspace.bundle("small")]
    assert "not the file that taught" in capsys.readouterr().out
    assert card(workspace.bundle("small"))["teacher"]["architecture"] == "edge 4x1"
