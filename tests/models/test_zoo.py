"""Every model of the zoo: same battery. Model files: ours, a stranger's, a damaged one."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edgesr.errors import ModelError
from edgesr.models import zoo
from edgesr.recipe import Edge, Srgan

SPECS: list[Srgan | Edge] = [
    Srgan(blocks=1, channels=4),
    Srgan(blocks=3, channels=8, prelu="channel", output="tanh", bn_eps=1e-3),
    Edge(channels=4, depth=1),
    Edge(channels=8, depth=2, branches=["expand", "point", "identity"]),
]
specs = pytest.mark.parametrize("spec", SPECS, ids=str)


@specs
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 8)])
def test_output_is_four_times_larger_for_any_size(
    spec: Srgan | Edge, size: tuple[int, int]
) -> None:
    sr = zoo.build(spec).eval()(torch.rand(2, 3, *size))
    assert sr.shape == (2, 3, 4 * size[0], 4 * size[1])


@specs
def test_saved_model_reads_back_as_the_same_function(spec: Srgan | Edge, tmp_path: Path) -> None:
    module = zoo.build(spec).eval()
    zoo.save(module, tmp_path / "model.safetensors", licence="MIT")
    model = zoo.load(tmp_path / "model.safetensors")
    lr = torch.rand(1, 3, 6, 6)
    assert torch.equal(model.module(lr), module(lr))
    assert (model.spec, model.licence, model.scale) == (spec, "MIT", 4)


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    module = zoo.build(SPECS[0])
    for name in ("one", "two"):
        zoo.save(module, tmp_path / name, licence="MIT")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@specs
def test_parts_hold_every_parameter_once(spec: Srgan | Edge) -> None:
    module = zoo.build(spec)
    inside = [p for part in module.parts.values() for p in part.parameters()]
    assert len(inside) == len({id(p) for p in inside})
    assert {id(p) for p in inside} == {id(p) for p in module.parameters()}


@specs
def test_features_come_with_the_same_picture(spec: Srgan | Edge) -> None:
    module = zoo.build(spec).eval()
    lr = torch.rand(1, 3, 6, 5)
    sr, features = module.with_features(lr)
    assert torch.equal(sr, module(lr))
    assert features.shape == (1, spec.channels, 6, 5)


def test_a_missing_file_says_how_to_get_a_teacher(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"edgesr train recipes/teacher\.toml"):
        zoo.load(tmp_path / "none.safetensors")


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "run",)

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="cannot be opened safely"):
        zoo.load(tmp_path / "evil.pth")
    assert not (tmp_path / "run").exists()


def test_a_truncated_file_is_named_as_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    zoo.save(zoo.build(SPECS[0]), path, licence="MIT")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged"):
        zoo.load(path)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    facts = json.dumps({"model": Edge(channels=4, depth=1).model_dump(), "licence": "MIT"})
    save_file(zoo.build(Edge(channels=5, depth=1)).state_dict(), path, {"edgesr": facts})
    with pytest.raises(ModelError, match="does not fit edge 4x1"):
        zoo.load(path)


def test_a_file_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3)}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="neither edgesr's nor any architecture"):
        zoo.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("path", "name"),
    [("runs/n4/model.safetensors", "n4"), ("exports/t/weights.safetensors", "t"), ("a/b.pth", "b")],
)
def test_a_file_is_called_after_its_stem_or_its_run(path: str, name: str) -> None:
    assert zoo.label(Path(path)) == name


def test_a_foreign_model_enlarges_any_size_and_batch(shared: Path) -> None:
    model = zoo.load(shared / "teachers/craft_x4.pth")
    assert (model.architecture, model.spec) == ("CRAFT", None)
    with torch.no_grad():
        assert model.module(torch.rand(2, 3, 7, 9)).shape == (2, 3, 28, 36)


def test_a_model_is_found_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe's teacher and start may be named so, which no shell expands."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    zoo.save(zoo.build(SPECS[0]), tmp_path / "t.safetensors", licence="MIT")
    assert zoo.load(Path("~/t.safetensors")).path == tmp_path / "t.safetensors"


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"model\.pth is not a regular file"):
        zoo.load(tmp_path / "model.pth")
