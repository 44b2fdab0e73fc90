"""LiteRT files, for real where its package is installed: shipped networks and tiny ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
from torch import nn

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed: edgesr[litert]")

from ai_edge_litert import schema_py_generated as schema

from edgesr.bundle.card import read_card
from edgesr.bundle.check import read_golden
from edgesr.deploy.export import export_onnx
from edgesr.deploy.foreign import export_file
from edgesr.deploy.litert import to_litert
from edgesr.deploy.others import Made, facts, prove
from edgesr.deploy.tflite import Operators, Types
from edgesr.errors import ExportError
from edgesr.inference.tiling import to_bytes
from edgesr.models import zoo
from edgesr.recipe import Edge, Export, Model, Rewrites, Srgan
from edgesr.runtimes.litert import LiteRt
from edgesr.verify.jobs import float_run
from edgesr.verify.parity import expected, parity
from edgesr.workspace import Workspace

EXPORTS = Path(__file__).parents[2] / "exports"
SIZE = 32, 24


def converted(name: str, variant: str) -> Made:
    """A shipped bundle's copy of `variant`."""
    half, card = variant == "fp16", read_card(EXPORTS / name)
    graph = onnx.load(EXPORTS / name / card.variants["fp32" if half else variant].file)
    data, dtype = to_litert(graph, SIZE, half=half)
    return Made(variant, data, dtype, card.variants[variant].output.clipped)


def read(data: bytes) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))


def kinds(data: bytes) -> list[int]:
    """Which operators its nodes are."""
    model = read(data)
    return [
        model.operatorCodes[each.opcodeIndex].builtinCode for each in model.subgraphs[0].operators
    ]


def integers(data: bytes) -> list[int]:
    """Those of its nodes that give signed bytes."""
    graph = read(data).subgraphs[0]
    given = [graph.tensors[each.outputs[0]].type for each in graph.operators]
    return [kind for kind, type_ in zip(kinds(data), given, strict=True) if type_ == Types.INT8]


def test_an_edge_student_is_convolutions_an_addition_and_one_depth_to_space() -> None:
    found = kinds(converted("edge-xs", "fp32").data)
    assert set(found) == {Operators.CONV_2D, Operators.ADD, Operators.DEPTH_TO_SPACE}
    assert found.count(Operators.DEPTH_TO_SPACE) == 1


def test_a_generator_has_no_node_that_its_onnx_graph_has_not() -> None:
    graph = onnx.load(EXPORTS / "n4-psnr" / "model.onnx").graph
    assert len(kinds(converted("n4-psnr", "fp32").data)) == len(graph.node)


def test_constants_lie_where_the_schema_asks_for_them() -> None:
    """Processors that read no float across a boundary of four bytes are among LiteRT's."""
    data = converted("edge-xs", "fp32").data
    model = schema.Model.GetRootAsModel(data, 0)
    held = [
        buffer.DataAsNumpy()
        for i in range(model.BuffersLength())
        if not (buffer := model.Buffers(i)).DataIsNone()
    ]
    start = np.frombuffer(data, np.uint8).ctypes.data
    assert len(held) > 10
    assert {(each.ctypes.data - start) % 16 for each in held} == {0}


@pytest.mark.parametrize(
    "spec",
    [
        *(Edge(channels=4, depth=1, scale=scale) for scale in (2, 3, 4)),
        Srgan(blocks=1, channels=8),
        Srgan(blocks=1, channels=8, prelu="channel", output="tanh"),
    ],
)
def test_the_function_is_pytorchs_at_every_size_and_scale(tmp_path: Path, spec: Model) -> None:
    """Block 4 of DepthToSpace is what converters get wrong."""
    torch.manual_seed(0)
    module, file = zoo.build(spec).eval(), tmp_path / "model.tflite"
    export_onnx(module, tmp_path / "model.onnx", Export(), metadata={})
    file.write_bytes(to_litert(onnx.load(tmp_path / "model.onnx"), SIZE)[0])
    found = parity(expected(module), float_run(LiteRt().open(file, threads=1)))
    assert found["max_abs_diff"] < 1e-5
    assert {case["batch"] for case in found["unsupported"]} == {3}


def test_one_held_to_its_range_is(tmp_path: Path) -> None:
    settings = Export(rewrites=Rewrites(clip=True), depth_to_space="CRD")
    module, file = zoo.build(Edge(channels=4, depth=1)).eval(), tmp_path / "model.tflite"
    export_onnx(module, tmp_path / "model.onnx", settings, metadata={})
    file.write_bytes(to_litert(onnx.load(tmp_path / "model.onnx"), SIZE)[0])
    sr, _ = LiteRt().open(file, threads=1).run(np.full((1, 3, 9, 7), 2, np.float32))
    assert (sr.min(), sr.max()) == (1, 1)


@pytest.mark.parametrize("name", ["edge-xs", "n4"])
@pytest.mark.parametrize("variant", ["fp32", "fp16", "int8"])
def test_copies_hold_the_golden_vectors(name: str, variant: str, tmp_path: Path) -> None:
    made, file = converted(name, variant), tmp_path / "model.tflite"
    file.write_bytes(made.data)
    prove(file, facts(made, "tflite", 4), EXPORTS / name, 4)


def test_the_file_of_another_network_is_refused(tmp_path: Path) -> None:
    made, file = converted("edge-xs", "fp32"), tmp_path / "model.tflite"
    file.write_bytes(made.data)
    with pytest.raises(ExportError, match=r"model\.tflite is not the network: off by"):
        prove(file, facts(made, "tflite", 4), EXPORTS / "edge-s", 4)


def test_int8_of_an_edge_student_gives_the_very_bytes_of_the_onnx_file(tmp_path: Path) -> None:
    made, file = converted("edge-xs", "int8"), tmp_path / "model.int8.tflite"
    assert (made.dtype, made.clipped) == ("uint8", True)
    file.write_bytes(made.data)
    running = LiteRt().open(file, threads=1)
    for golden in read_golden(EXPORTS / "edge-xs" / "golden", 4)[1]:
        sr, _ = running.run(golden.pixels[None])
        theirs = to_bytes(golden.expected["int8"]).transpose(0, 2, 3, 1)
        assert abs(sr.astype(int) - theirs).max() <= 1
    assert len(made.data) < 0.4 * len(converted("edge-xs", "fp32").data)


def test_int8_of_a_generator_has_the_integers_of_the_onnx_file_and_floats_at_its_ends() -> None:
    """Its first and last convolutions stay in float there."""
    made = converted("n4-psnr", "int8")
    assert made.dtype == "float32"
    graph = onnx.load(EXPORTS / "n4-psnr" / "model.int8.onnx").graph
    in_bytes = [each for each in graph.initializer if each.name.endswith("weight_quantized")]
    assert integers(made.data).count(Operators.CONV_2D) == len(in_bytes)
    assert kinds(made.data).count(Operators.CONV_2D) == sum(n.op_type == "Conv" for n in graph.node)


def test_another_projects_network_is_taken_where_its_operators_are(tmp_path: Path) -> None:
    """One slope of PReLU a channel, and the enlarged input added."""
    torch.manual_seed(0)
    network = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=4)
    for layer in network.modules():
        if isinstance(layer, nn.PReLU):
            nn.init.uniform_(layer.weight)
    path = tmp_path / "theirs.pth"
    torch.save(network.state_dict(), path)
    folder = export_file(path, Workspace(tmp_path), formats=("tflite", "ort"), licence="MIT")
    assert [each.file for each in read_card(folder).others] == ["model.tflite", "model.ort"]
    assert kinds((folder / "model.tflite").read_bytes()).count(Operators.PRELU) == 3
    prove(folder / "model.tflite", read_card(folder).others[0], folder, 4)


def graph_of(node: onnx.NodeProto, *constants: onnx.TensorProto) -> onnx.ModelProto:
    """lr > node > sr."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, None, None])
        for name in ("lr", "sr")
    ]
    body = helper.make_graph([node], "one", ends[:1], ends[1:], list(constants))
    return helper.make_model(body)


def test_an_operator_that_is_not_known_is_named() -> None:
    node = helper.make_node("InstanceNormalization", ["lr", "a", "b"], ["sr"])
    with pytest.raises(ExportError, match="the operator InstanceNormalization of its graph"):
        to_litert(graph_of(node), SIZE)


def test_a_convolution_with_a_stride_is_refused() -> None:
    weight = numpy_helper.from_array(np.zeros((3, 3, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["lr", "w"], ["sr"], pads=[1] * 4, strides=[2, 2])
    with pytest.raises(ExportError, match="a convolution changes the size"):
        to_litert(graph_of(node, weight), SIZE)
