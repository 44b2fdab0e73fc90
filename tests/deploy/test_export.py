"""The exported file: the same function, one file, truthful names, nothing of this machine."""

from __future__ import annotations

import getpass
import socket
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgesr.deploy import export as exporting
from edgesr.deploy.export import export_onnx, max_difference, prove_same
from edgesr.errors import ExportError
from edgesr.models import zoo
from edgesr.models.rewrite import deployable
from edgesr.recipe import Edge, Export, Rewrites, Srgan

SPECS: list[Srgan | Edge] = [
    Srgan(blocks=1, channels=4, prelu="channel", output="tanh"),
    Edge(channels=4, depth=1, branches=["expand", "point", "identity"]),
]
specs = pytest.mark.parametrize("spec", SPECS, ids=["srgan", "edge"])


def network(spec: Srgan | Edge) -> zoo.Student:
    """A network whose batch normalisation has statistics of its own."""
    torch.manual_seed(0)
    module = zoo.build(spec)
    for _ in range(3):
        module.train()(torch.rand(4, 3, 12, 12))
    return module.eval()


@pytest.fixture(scope="module", params=SPECS, ids=["srgan", "edge"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[zoo.Student, Path]:
    module = network(request.param)
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    export_onnx(module, path, Export(opset=17), metadata={"edgesr.scale": "4"})
    return module, path


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3, 3, 24, 32), (1, 3, 37, 5), (2, 3, 65, 64)])
def test_onnx_runtime_computes_what_torch_does_for_any_size_and_batch(
    exported: tuple[zoo.Student, Path], shape: tuple[int, ...]
) -> None:
    module, path = exported
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    lr = torch.rand(*shape)
    with torch.no_grad():
        expected = module(lr).numpy()
    assert np.abs(session.run(["sr"], {"lr": lr.numpy()})[0] - expected).max() < 1e-5


def test_dynamic_axes_have_truthful_names(exported: tuple[zoo.Student, Path]) -> None:
    graph = onnx.load(exported[1]).graph
    shapes = [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (graph.input[0], graph.output[0])
    ]
    assert shapes == [["batch", 3, "height", "width"], ["batch", 3, "4*height", "4*width"]]


def test_no_batch_normalisation_is_left(exported: tuple[zoo.Student, Path]) -> None:
    kinds = [node.op_type for node in onnx.load(exported[1]).graph.node]
    assert "BatchNormalization" not in kinds
    assert set(kinds) <= {
        *("Conv", "PRelu", "Relu", "Add", "Mul", "Div", "Tanh", "DepthToSpace"),
    }


@pytest.mark.parametrize("opset", [17, 20])
def test_batch_normalisation_that_is_not_folded_is_in_the_file(tmp_path: Path, opset: int) -> None:
    module = network(SPECS[0])
    counts, differences = [], []
    for fold in (True, False):
        settings = Export(opset=opset, rewrites=Rewrites(fold_batch_norm=fold))
        assert export_onnx(module, tmp_path / "m.onnx", settings, metadata={}).simplified
        counts.append(count(tmp_path / "m.onnx")["BatchNormalization"])
        differences.append(difference(module, tmp_path / "m.onnx"))
    assert counts == [0, 3]
    assert max(differences) <= 2e-5


def test_branches_that_are_not_collapsed_are_convolutions_and_additions(tmp_path: Path) -> None:
    module = network(SPECS[1])
    counts = []
    for collapse in (True, False):
        settings = Export(rewrites=Rewrites(collapse_branches=collapse))
        assert export_onnx(module, tmp_path / "m.onnx", settings, metadata={}).simplified
        found = count(tmp_path / "m.onnx")
        counts.append((found["Conv"], found["Add"]))
        assert difference(module, tmp_path / "m.onnx") <= 2e-5
    # The head is one convolution. Body and tail: four each, two additions, one of the body's
    # identity; the anchor is one convolution and one addition.
    assert counts == [(3 + 1, 1), (1 + 2 * 4 + 1, 2 * 2 + 1 + 1)]


def count(path: Path) -> Counter[str]:
    """How many nodes of each operator the file has."""
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def difference(module: zoo.Student, path: Path) -> float:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    lr = torch.rand(2, 3, 9, 7)
    with torch.no_grad():
        expected = module(lr).numpy()
    return float(np.abs(session.run(["sr"], {"lr": lr.numpy()})[0] - expected).max())


def test_the_file_is_alone_and_says_nothing_of_this_machine(
    exported: tuple[zoo.Student, Path],
) -> None:
    path = exported[1]
    assert [p.name for p in path.parent.iterdir()] == ["model.onnx"]
    content = path.read_bytes()
    for secret in (str(Path(__file__).parents[2]), str(Path.home()) + "/", ".py", 'File "'):
        assert secret.encode() not in content
    for node in onnx.load(path).graph.node:
        assert not node.metadata_props
        assert not node.doc_string
    words = onnx.printer.to_text(onnx.load(path)).replace('"', " ").split()
    assert getpass.getuser() not in words
    assert socket.gethostname() not in words


def test_opset_and_ir_version_are_those_of_the_saved_file(
    exported: tuple[zoo.Student, Path],
) -> None:
    model = onnx.load(exported[1])
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert model.opset_import[0].version == 17
    assert facts == {
        "edgesr.scale": "4",
        "edgesr.opset": "17",
        "edgesr.ir_version": str(model.ir_version),
    }


def test_another_opset_is_really_written(tmp_path: Path) -> None:
    done = export_onnx(network(SPECS[1]), tmp_path / "m.onnx", Export(opset=20), metadata={})
    assert done.opset == onnx.load(tmp_path / "m.onnx").opset_import[0].version == 20


@pytest.mark.parametrize(("opset", "ir_version"), [(17, 8), (20, 9)])
def test_the_ir_version_is_the_lowest_of_the_opset_so_that_older_runtimes_open_the_file(
    tmp_path: Path, opset: int, ir_version: int
) -> None:
    done = export_onnx(network(SPECS[1]), tmp_path / "m.onnx", Export(opset=opset), metadata={})
    assert done.ir_version == onnx.load(tmp_path / "m.onnx").ir_version == ir_version


def test_an_opset_that_was_not_reached_is_an_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting.version_converter, "convert_version", lambda model, _: model)
    with pytest.raises(ExportError, match="the recipe asks for 17"):
        export_onnx(network(SPECS[1]), tmp_path / "m.onnx", Export(opset=17), metadata={})
    assert list(tmp_path.iterdir()) == []


def test_an_opset_that_cannot_be_converted_to_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    # Resize has another form before opset 11, and recipes allow from 13 on: ask below that.
    settings = Export.model_construct(opset=7, rewrites=Rewrites())
    with pytest.raises(ExportError, match=r"cannot be converted to opset 7.*\n.*export\.opset"):
        export_onnx(network(SPECS[1]), tmp_path / "m.onnx", settings, metadata={})


def test_a_simplified_graph_that_computes_something_else_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(model: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
        other = onnx.ModelProto()
        other.CopyFrom(model)
        weight = onnx.numpy_helper.to_array(other.graph.initializer[0]) + 1
        name = other.graph.initializer[0].name
        other.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, name))
        return other, True

    monkeypatch.setattr(exporting.onnxsim, "simplify", broken)
    module = network(SPECS[1])
    done = export_onnx(module, tmp_path / "m.onnx", Export(opset=18), metadata={})
    assert not done.simplified
    assert "exported as it was" in capsys.readouterr().err
    session = onnxruntime.InferenceSession(
        str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    lr = torch.rand(1, 3, 8, 8)
    assert (
        np.abs(session.run(None, {"lr": lr.numpy()})[0] - module(lr).detach().numpy()).max() < 1e-5
    )


@specs
def test_rewriting_keeps_the_function_and_leaves_the_original_alone(spec: Srgan | Edge) -> None:
    module = network(spec)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    rewritten = deployable(module, Rewrites())
    lr = torch.rand(2, 3, 9, 1)
    assert (rewritten(lr) - module(lr)).abs().max() <= 2e-5
    double = module.double()
    exact = deployable(double, Rewrites())
    assert (exact(lr.double()) - double(lr.double())).abs().max() <= 1e-12
    module.float()
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_a_graph_that_gives_nan_is_not_the_same_as_any_other() -> None:
    """Python's max(0.0, nan) is 0.0: the proof must not take NaN for no difference."""
    model, _ = exporting.to_graph(deployable(network(SPECS[1]), Rewrites()), Export())
    broken = onnx.ModelProto.FromString(model.SerializeToString())
    weight = next(tensor for tensor in broken.graph.initializer if len(tensor.dims) == 4)
    nan = np.full(weight.dims, np.nan, np.float32)
    weight.CopyFrom(onnx.numpy_helper.from_array(nan, weight.name))
    for other in (model, broken):
        assert np.isnan(max_difference(broken, other))
        with pytest.raises(ExportError, match="differs by nan"):
            prove_same(other, broken, "that is broken")


def test_a_simplified_graph_that_gives_nan_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "max_difference", lambda *_: float("nan"))
    _, simplified = exporting.to_graph(
        deployable(network(SPECS[1]), Rewrites()), Export(depth_to_space="CRD")
    )
    assert not simplified
    assert "differs by nan" in capsys.readouterr().err
