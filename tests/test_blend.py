"""Blends: what lies between two networks, and that it is a run like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
from torch import nn

from edgesr.blend import blend, interpolate
from edgesr.bundle.records.run import TaughtBy
from edgesr.deploy.stage import export
from edgesr.errors import EdgesrError, ModelError
from edgesr.folders import NEW
from edgesr.models import zoo
from edgesr.models.edge import EdgeStudent
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import Student
from edgesr.recipe import Edge, Recipe, Rewrites, Srgan
from edgesr.recipe import io as recipe_io
from edgesr.verify.stage import verify
from edgesr.workspace import Workspace, sha256
from tests.runs import write_run

EDGE = Edge(channels=4, depth=2, branches=["expand", "point", "identity"])
SRGAN = Srgan(blocks=1, channels=4)


def network(spec: Edge | Srgan, seed: int) -> Student:
    """Random everywhere, the running statistics of batch normalisation too."""
    torch.manual_seed(seed)
    module = zoo.build(spec)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
            layer.num_batches_tracked.fill_(seed)
    return module.eval()


def make_run(workspace: Workspace, name: str, seed: int = 0, **changes: Any) -> Path:
    raw: dict[str, Any] = {"name": name, "model": EDGE.model_dump(), "licence": "MIT"} | changes
    spec = Recipe.model_validate(raw).model
    taught_by = TaughtBy(name="big", architecture="edge 4x2", sha256=64 * "0")
    teacher = taught_by if "teacher" in raw else None
    return write_run(workspace, raw, network(spec, seed), command="distill", teacher=teacher)


def facts_of(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return facts


@pytest.mark.parametrize("spec", [EDGE, SRGAN])
def test_the_ends_are_the_two_networks_themselves(spec: Edge | Srgan) -> None:
    one, other = network(spec, 1), network(spec, 2)
    lr = torch.rand(1, 3, 7, 9)
    shipped = one.collapsed() if isinstance(one, EdgeStudent) else one
    with torch.no_grad():
        assert torch.equal(interpolate(one, other, 0.0)(lr), shipped(lr))
        torch.testing.assert_close(shipped(lr), one(lr))
        torch.testing.assert_close(interpolate(one, other, 1.0)(lr), other(lr))


def test_every_tensor_lies_between_but_the_counters_are_those_of_a() -> None:
    one, other = network(SRGAN, 1), network(SRGAN, 2)
    found = interpolate(one, other, 0.25).state_dict()
    theirs = other.state_dict()
    assert any("running_var" in key for key in found)
    for key, value in one.state_dict().items():
        if value.is_floating_point():
            expected = (0.75 * value.double() + 0.25 * theirs[key].double()).float()
            assert torch.equal(found[key], expected), key
        else:
            assert found[key] == 1


def test_of_branches_the_deployed_kernels_lie_between() -> None:
    one, other = network(EDGE, 1), network(EDGE, 2)
    found = deployable(interpolate(one, other, 0.3), Rewrites()).state_dict()
    first, second = (deployable(net, Rewrites()).state_dict() for net in (one, other))
    for key, value in found.items():
        torch.testing.assert_close(value, 0.7 * first[key] + 0.3 * second[key])


def test_a_network_blends_with_one_that_was_trained_on_without_branches() -> None:
    one = network(EDGE, 1)
    assert isinstance(one, EdgeStudent)
    lr = torch.rand(1, 3, 7, 9)
    torch.testing.assert_close(interpolate(one, one.collapsed(), 0.5)(lr), one(lr))


def test_the_two_networks_stay_as_they_are() -> None:
    one, other = network(EDGE, 1), network(EDGE, 2)
    before = {key: value.clone() for key, value in one.state_dict().items()}
    interpolate(one, other, 0.5)
    assert all(torch.equal(value, before[key]) for key, value in one.state_dict().items())
    assert next(one.parameters()).dtype == torch.float32


def test_a_blend_is_a_run_that_names_its_origin_and_as_teacher(workspace: Workspace) -> None:
    one = make_run(workspace, "a", 1, teacher={"path": "runs/big/model.safetensors"})
    make_run(workspace, "b", 2, licence="CC0-1.0")
    folder = blend("a", "b", 0.5, workspace)
    assert folder == workspace.run("a-b-0.5")
    assert workspace.find_run() == folder
    facts = facts_of(folder)
    assert facts["command"] == "blend"
    assert facts["teacher"]["name"] == "big"
    assert facts["sha256"] == sha256(folder / "model.safetensors")
    origin = facts["blend"]
    assert origin["alpha"] == 0.5
    assert [model["name"] for model in origin["of"]] == ["a", "b"]
    assert origin["of"][0]["sha256"] == sha256(one / "model.safetensors")
    assert origin["batch_norm"] is None
    recipe = recipe_io.load(folder / "recipe.toml")
    assert recipe.name == "a-b-0.5"
    assert recipe.teacher is not None
    assert zoo.load(folder / "model.safetensors").licence == "CC0-1.0 AND MIT"


def test_a_blend_exports_and_verifies_like_any_other(workspace: Workspace) -> None:
    make_run(workspace, "big", 3)
    teacher = {"path": str(workspace.run("big") / "model.safetensors")}
    settings = {"size": "16x12", "shapes": [], "threads": 1, "runs": 5}
    make_run(workspace, "a", 1, teacher=teacher, verify=settings, gates={"max_abs_diff": 1e-3})
    make_run(workspace, "b", 2)
    exported = export(blend("a", "b", 0.5, workspace, "half"), workspace)
    assert exported[0] == workspace.bundle("half")
    card = json.loads((exported[0] / "card.json").read_text())
    assert (card["role"], card["teacher"]["name"]) == ("student", "big")
    assert verify(exported[0], providers=["cpu"]).bundle == "half"


@pytest.mark.parametrize(("spec", "role"), [(SRGAN, "teacher"), (EDGE, "student")])
def test_without_a_teacher_a_generator_is_exported_as_one_and_an_edge_network_as_a_student(
    spec: Edge | Srgan, role: str, workspace: Workspace
) -> None:
    make_run(workspace, "a", 1, model=spec.model_dump())
    folder = export(blend("a", "a", 0.5, workspace, "same"), workspace)[0]
    assert json.loads((folder / "card.json").read_text())["role"] == role


def test_that_batch_normalisation_was_interpolated_is_said(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(workspace, "a", 1, model=SRGAN.model_dump())
    folder = blend("a", "a", 0.5, workspace)
    assert "running statistics" in facts_of(folder)["blend"]["batch_norm"]
    assert "running statistics of batch normalisation" in capsys.readouterr().out


def test_runs_bundles_and_files_can_be_named(workspace: Workspace, tmp_path: Path) -> None:
    run = make_run(workspace, "a")
    shipped = workspace.bundle("b") / "weights.safetensors"
    zoo.save(network(EDGE, 2), shipped, licence="MIT")
    find = workspace.find_weights
    assert find("a") == find(str(run)) == run / "model.safetensors"
    assert find("b") == find(str(shipped)) == shipped
    alone = tmp_path / "alone.safetensors"
    zoo.save(network(EDGE, 3), alone, licence="MIT")
    folder = blend(str(alone), "b", 0.125, workspace)
    assert folder.name == "alone-b-0.125"
    collapsed = EDGE.model_copy(update={"branches": []})
    assert recipe_io.load(folder / "recipe.toml").model == collapsed


def test_networks_of_another_shape_are_an_error_and_leave_nothing(workspace: Workspace) -> None:
    make_run(workspace, "a")
    make_run(workspace, "b", model=Edge(channels=4, depth=3).model_dump())
    with pytest.raises(ModelError, match=r"depth=2.*depth=3"):
        blend("a", "b", 0.5, workspace, "c")
    assert not workspace.run("c").exists()


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_alpha_outside_0_to_1_is_refused(workspace: Workspace, alpha: float) -> None:
    with pytest.raises(EdgesrError, match="expected a number from 0"):
        blend("a", "b", alpha, workspace)


def test_a_trained_run_is_never_replaced_but_a_blend_is(workspace: Workspace) -> None:
    make_run(workspace, "a", 1)
    make_run(workspace, "b", 2)
    with pytest.raises(EdgesrError, match="holds a run that is not a blend"):
        blend("a", "b", 0.5, workspace, "b")
    first = facts_of(blend("a", "b", 0.5, workspace, "c"))
    second = facts_of(blend("a", "b", 0.6, workspace, "c"))
    assert first["sha256"] != second["sha256"]


def test_a_blend_that_was_killed_does_not_block_its_name(workspace: Workspace) -> None:
    make_run(workspace, "a", 1)
    half = workspace.runs / f"{NEW}half"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"cut sh")
    folder = blend("a", "a", 0.5, workspace, "half")
    assert (folder / "run.json").is_file()
    assert not half.exists()


def test_a_blend_does_not_take_the_place_of_what_it_is_made_of(workspace: Workspace) -> None:
    make_run(workspace, "a", 1)
    blend("a", "a", 0.5, workspace, "half")
    with pytest.raises(EdgesrError, match="which this command reads"):
        blend("half", "a", 0.5, workspace, "half")
    assert zoo.load(workspace.run("half") / "model.safetensors")


@pytest.mark.parametrize("name", ["latest", "x" * 101, ".hidden", "a/b"])
def test_a_name_that_cannot_be_a_runs_is_refused_before_work(
    workspace: Workspace, name: str
) -> None:
    # `latest` is a file in runs/.
    make_run(workspace, "a", 1)
    with pytest.raises(EdgesrError, match="--name"):
        blend("a", "a", 0.5, workspace, name)


def test_a_run_that_is_still_training_is_never_written_into(workspace: Workspace) -> None:
    make_run(workspace, "a", 1)
    (workspace.run("busy") / "checkpoints").mkdir(parents=True)
    with pytest.raises(EdgesrError, match="not a blend"):
        blend("a", "a", 0.5, workspace, "busy")


def test_a_name_that_is_no_folders_name_is_refused(workspace: Workspace) -> None:
    make_run(workspace, "a")
    with pytest.raises(EdgesrError, match="expected letters, digits"):
        blend("a", "a", 0.5, workspace, "../a")


def test_what_is_no_model_says_where_it_was_looked_for(workspace: Workspace) -> None:
    with pytest.raises(
        ModelError, match="'nothing' is not a model: there are no weights in nothing"
    ):
        blend("nothing", "a", 0.5, workspace)


def compact(path: Path, seed: int, features: int = 4) -> Path:
    """A network of another project, as spandrel knows it."""
    torch.manual_seed(seed)
    module = SRVGGNetCompact(num_feat=features, num_conv=2, upscale=4, act_type="prelu")
    save_file(module.state_dict(), path)
    return path


def test_two_foreign_files_blend_into_a_teacher_whose_weights_lie_between(
    workspace: Workspace, tmp_path: Path
) -> None:
    one, other = (compact(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2))
    folder = blend(str(one), str(other), 0.25, workspace, "mixed")
    found = load_file(workspace.find_weights("mixed"))
    first, second = load_file(one), load_file(other)
    for key, value in found.items():
        torch.testing.assert_close(value, 0.75 * first[key] + 0.25 * second[key])
    model = zoo.load(workspace.find_weights("mixed"))
    assert model.architecture == zoo.load(one).architecture
    assert facts_of(folder)["blend"]["of"][1]["sha256"] == sha256(other)


def test_foreign_files_of_other_layers_are_refused_by_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    one = compact(tmp_path / "one.safetensors", 1)
    wider = compact(tmp_path / "wider.safetensors", 1, features=6)
    with pytest.raises(ModelError, match=r"wider.safetensors .* differ in their layers"):
        blend(str(one), str(wider), 0.5, workspace)
