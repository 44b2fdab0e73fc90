"""DepthToSpace in DCR order computes what it did in CRD order, or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgesr.deploy import export as exporting
from edgesr.deploy.export import export_onnx
from edgesr.errors import ExportError
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Rewrites, Srgan
from edgesr.runtimes.channel_order import dcr_order, use_crd, use_dcr

PLAIN = Rewrites(leaky_relu=False, prelu_before_shuffle=False, low_resolution_tail=False)
CASES = {
    "one slope": (Srgan(blocks=1, channels=4), Rewrites()),
    "slopes per channel before the shuffle": (
        Srgan(blocks=1, channels=5, prelu="channel", output="tanh"),
        Rewrites(clip=True),
    ),
    "slopes per channel behind the shuffle": (Srgan(blocks=1, channels=4, prelu="channel"), PLAIN),
    "edge": (Edge(channels=5, depth=1), Rewrites()),
    "branches apart": (
        Edge(channels=5, depth=1, branches=["expand", "point"]),
        Rewrites(collapse_branches=False),
    ),
}
SIZES = [(1, 1, 1), (1, 1, 7), (3, 9, 1), (2, 17, 12)]


def network(spec: Srgan | Edge) -> zoo.Student:
    """Random weights, and slopes of PReLU that differ from each other."""
    torch.manual_seed(0)
    module = zoo.build(spec).eval()
    for layer in module.modules():
        if isinstance(layer, torch.nn.PReLU):
            torch.nn.init.uniform_(layer.weight, -0.5, 0.5)
    return module


def run(model: onnx.ModelProto, lr: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    sr: np.ndarray = session.run(None, {"lr": lr})[0]
    return sr


def modes(model: onnx.ModelProto) -> list[bytes]:
    nodes = [node for node in model.graph.node if node.op_type == "DepthToSpace"]
    return [a.s for node in nodes for a in node.attribute if a.name == "mode"]


@pytest.mark.parametrize("case", CASES)
def test_both_orders_compute_the_same_at_every_size(case: str, tmp_path: Path) -> None:
    spec, rewrites = CASES[case]
    module = network(spec)
    for order in ("CRD", "DCR"):
        settings = Export(rewrites=rewrites, depth_to_space=order)
        export_onnx(module, tmp_path / f"{order}.onnx", settings, metadata={})
    crd, dcr = (onnx.load(tmp_path / f"{order}.onnx") for order in ("CRD", "DCR"))
    assert set(modes(crd)) == {b"CRD"}
    assert set(modes(dcr)) == {b"DCR"}
    assert len(modes(crd)) == len(modes(dcr))
    for batch, height, width in SIZES:
        lr = np.random.default_rng(0).random((batch, 3, height, width), dtype=np.float32)
        assert np.abs(run(crd, lr) - run(dcr, lr)).max() <= 1e-6
        with torch.no_grad():
            expected = module(torch.from_numpy(lr)).numpy()
        if not rewrites.clip:
            assert np.abs(run(dcr, lr) - expected).max() <= 2e-5


def test_the_order_is_dcr_unless_asked_otherwise() -> None:
    assert Export().depth_to_space == "DCR"


def test_a_graph_whose_channels_cannot_be_permuted_stays_as_it_is_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = shuffle_alone("CRD")
    kept, _ = exporting.finish(model, Export(), shapes=[(1, 12, 4, 4)])
    assert modes(kept) == [b"CRD"]
    said = " ".join(capsys.readouterr().err.split())
    assert "lr, which it takes, is an input" in said
    assert "it stays in CRD order" in said


def test_a_reordered_file_is_no_larger(tmp_path: Path) -> None:
    module = network(Srgan(blocks=1, channels=4, prelu="channel"))
    sizes = []
    for order in ("CRD", "DCR"):
        export_onnx(module, tmp_path / "m.onnx", Export(depth_to_space=order), metadata={})
        tensors = onnx.load(tmp_path / "m.onnx").graph.initializer
        sizes.append(sum(numpy_helper.to_array(tensor).size for tensor in tensors))
    # slopes that two layers shared are two tensors once one of them is permuted
    assert sizes[1] <= sizes[0] + 4 * 4


@pytest.mark.parametrize("case", CASES)
def test_the_way_back_is_the_file_that_was(case: str, tmp_path: Path) -> None:
    """pnnx takes CRD alone, and turns DCR into something that ncnn cannot load."""
    spec, rewrites = CASES[case]
    export_onnx(network(spec), tmp_path / "m.onnx", Export(rewrites=rewrites), metadata={})
    dcr = onnx.load(tmp_path / "m.onnx")
    crd = use_crd(dcr)
    assert set(modes(crd)) == {b"CRD"}
    lr = np.random.default_rng(0).random((2, 3, 9, 7), dtype=np.float32)
    assert np.abs(run(dcr, lr) - run(crd, lr)).max() <= 1e-6


def test_dcr_order_is_the_inverse_of_what_onnx_says() -> None:
    x = np.random.default_rng(0).random((1, 12, 2, 3), dtype=np.float32)
    found = [
        run(shuffle_alone(mode), data)
        for mode, data in (("CRD", x), ("DCR", x[:, dcr_order(12, 2)]))
    ]
    assert np.array_equal(*found)


def shuffle_alone(mode: str) -> onnx.ModelProto:
    return graph([helper.make_node("DepthToSpace", ["lr"], ["sr"], blocksize=2, mode=mode)])


def graph(
    nodes: list[onnx.NodeProto], tensors: dict[str, np.ndarray] | None = None, channels: int = 12
) -> onnx.ModelProto:
    lr = helper.make_tensor_value_info("lr", TensorProto.FLOAT, ["n", channels, "h", "w"])
    sr = helper.make_tensor_value_info("sr", TensorProto.FLOAT, None)
    constants = [numpy_helper.from_array(value, name) for name, value in (tensors or {}).items()]
    body = helper.make_graph(nodes, "g", [lr], [sr], constants)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def tensors(channels: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"w": (channels, 3, 3, 3), "b": (channels,), "slope": (channels, 1, 1), "half": ()}
    return {k: rng.standard_normal(shape).astype(np.float32) for k, shape in shapes.items()}


CONV = helper.make_node("Conv", ["lr", "w", "b"], ["c"], pads=[1, 1, 1, 1])
SHUFFLE = helper.make_node("DepthToSpace", ["a"], ["sr"], blocksize=2, mode="CRD")


@pytest.mark.parametrize("inputs", [["c", "slope"], ["slope", "c"], ["c", "half"]], ids=str)
def test_constants_of_elementwise_operations_are_permuted_with_the_channels(
    inputs: list[str],
) -> None:
    model = graph([CONV, helper.make_node("Mul", inputs, ["a"]), SHUFFLE], tensors(), 3)
    lr = np.random.default_rng(1).random((2, 3, 5, 1), dtype=np.float32)
    assert np.abs(run(model, lr) - run(use_dcr(model), lr)).max() <= 1e-6
    assert modes(model) == [b"CRD"], "the original stays as it is"


def test_convolutions_that_are_added_up_are_permuted_together() -> None:
    point = helper.make_node("Conv", ["lr", "point"], ["d"])
    both = [CONV, point, helper.make_node("Add", ["c", "d"], ["e"])]
    relu = helper.make_node("Relu", ["e"], ["a"])
    weights = np.random.default_rng(2).standard_normal((12, 3, 1, 1)).astype(np.float32)
    model = graph([*both, relu, SHUFFLE], tensors() | {"point": weights}, 3)
    lr = np.random.default_rng(1).random((2, 3, 5, 1), dtype=np.float32)
    assert np.abs(run(model, lr) - run(use_dcr(model), lr)).max() <= 1e-6


@pytest.mark.parametrize(
    ("between", "reason"),
    [
        ([helper.make_node("Softmax", ["c"], ["a"], axis=1)], "Softmax stands between"),
        ([helper.make_node("Add", ["c", "lr"], ["a"])], "lr, which it takes, is an input"),
        (
            [
                helper.make_node("Conv", ["lr", "narrow"], ["d"]),
                helper.make_node("Add", ["c", "d"], ["a"]),
            ],
            r"convolutions to \[1, 12\] channels are combined",
        ),
        (
            [helper.make_node("Relu", ["c"], ["a"]), helper.make_node("Relu", ["c"], ["x"])],
            "c, which it takes, is an input, an output or used elsewhere",
        ),
        ([helper.make_node("Mul", ["c", "row"], ["a"])], r"parameter of shape \[1, 1, 5\]"),
    ],
    ids=["mixes channels", "adds the input", "two widths", "used elsewhere", "not per channel"],
)
def test_channels_that_cannot_be_permuted_are_an_error_with_a_way_out(
    between: list[onnx.NodeProto], reason: str
) -> None:
    constants = tensors() | {"row": np.ones((1, 1, 5), np.float32)}
    constants["narrow"] = np.ones((1, 3, 1, 1), np.float32)
    model = graph([CONV, *between, SHUFFLE], constants, 3)
    with pytest.raises(ExportError, match=reason) as caught:
        use_dcr(model)
    assert 'export.depth_to_space = "CRD"' in caught.value.remedy


def test_a_shuffle_of_the_input_itself_is_an_error() -> None:
    with pytest.raises(ExportError, match="lr, which it takes, is an input"):
        use_dcr(shuffle_alone("CRD"))


def test_a_graph_that_would_compute_something_else_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: onnx.ModelProto) -> onnx.ModelProto:
        other = use_dcr(model)
        shuffle = next(node for node in other.graph.node if node.op_type == "DepthToSpace")
        next(a for a in shuffle.attribute if a.name == "mode").s = b"CRD"
        return other

    monkeypatch.setattr(exporting, "use_dcr", broken)
    module = network(Edge(channels=4, depth=1))
    with pytest.raises(ExportError, match="in DCR order differs by"):
        export_onnx(module, tmp_path / "m.onnx", Export(depth_to_space="DCR"), metadata={})
    assert list(tmp_path.iterdir()) == []
