"""Eight bits with zero points of 0: where they are, what stays float, and what that loses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgesr.bundle.card import read_card
from edgesr.bundle.likeness import likeness_db
from edgesr.deploy.export import to_graph
from edgesr.deploy.fidelity import Fidelity, pictures
from edgesr.deploy.heldout import calibration, heldout, run_of
from edgesr.deploy.int8 import Chosen, Court, Int8, Loss
from edgesr.deploy.int8_tail import repeat_by_concat
from edgesr.deploy.quantiser import Quantiser
from edgesr.deploy.symmetric import symmetric, to_symmetric
from edgesr.errors import ExportError
from edgesr.models import zoo
from edgesr.models.rewrite import deployable
from edgesr.recipe import Data, Edge, Export, Model, Recipe, Rewrites, Srgan
from edgesr.verify.targets import check_target

QDQ = ("QuantizeLinear", "DequantizeLinear")


def floats(spec: Model) -> onnx.ModelProto:
    torch.manual_seed(0)
    module = zoo.build(spec).eval()
    for name, bias in module.named_parameters():
        if name.endswith("bias"):  # zeros, which the exporter leaves out
            torch.nn.init.normal_(bias, std=0.05)
    return repeat_by_concat(to_graph(deployable(module, Rewrites()), Export())[0])


def eight_bits(graph: onnx.ModelProto, *in_float: int) -> onnx.ModelProto:
    """The int8 graph, convolutions at the places `in_float` kept in float."""
    quantiser = Quantiser(graph, calibration(Data(), 2, 4))
    layers = [quantiser.layers[place] for place in in_float]
    return quantiser.quantise("patterns", "minmax", layers)


@pytest.fixture(scope="module")
def edge() -> onnx.ModelProto:
    return floats(Edge(channels=4, depth=2))


@pytest.fixture(scope="module")
def int8(edge: onnx.ModelProto) -> onnx.ModelProto:
    return eight_bits(edge)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


def like_db(one: onnx.ModelProto, other: onnx.ModelProto) -> float:
    """How like the pictures of both are, the worst kind."""
    runs = [run_of(model) for model in (one, other)]
    return min(likeness_db(*(run(lr) for run in runs)) for lr in pictures(4).values())


def test_every_integer_has_eight_bits_and_a_zero_point_of_0(int8: onnx.ModelProto) -> None:
    model = symmetric(int8)
    values = constants(model)
    zeros = [values[node.input[2]] for node in model.graph.node if node.op_type in QDQ]
    assert {zero.dtype for zero in zeros} == {np.dtype(np.int8)}
    assert not any(zero.any() for zero in zeros)


def test_only_what_convolutions_take_is_rounded_and_pictures_are_not(
    int8: onnx.ModelProto,
) -> None:
    """Of 128 levels a picture would show bands; the first convolution takes it as it is."""
    model = symmetric(int8)
    takers = {name: node for node in model.graph.node for name in node.input}
    behind = [node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"]
    assert {takers[name].op_type for name in behind} == {"Conv"}
    first, *others = [node for node in model.graph.node if node.op_type == "Conv"]
    assert first.input[0] == "lr"
    assert constants(model)[first.input[1]].dtype == np.float32
    assert all({*node.input[:2]} <= {*behind} for node in others)
    biases = [name for node in (first, *others) for name in node.input[2:]]
    assert {constants(model)[name].dtype for name in biases} == {np.dtype(np.float32)}
    ends = [node.op_type for node in model.graph.node][-4:]
    assert kinds(model)["Relu"] == 3  # unsigned integers had stood in for them
    assert ends == ["Conv", "Add", "DepthToSpace", "Clip"]


def test_ranges_are_int8s_made_symmetric(int8: onnx.ModelProto) -> None:
    model, before = symmetric(int8), constants(int8)
    found = constants(model)
    for node in int8.graph.node:
        name = node.output[0]
        if node.op_type == "DequantizeLinear" and f"{name}_scale" in found:
            step, zero = (before[each] for each in node.input[1:])
            highest = float(step) * max(int(zero), 255 - int(zero))
            assert 127 * float(found[f"{name}_scale"]) == pytest.approx(highest)
    assert sum(name.endswith("Output_scale") for name in found) == 3


def test_tensorrt_takes_all_of_it_in_one_partition(integers: Path) -> None:
    def left(name: str) -> tuple[int, int]:
        (delegate,) = check_target(integers / f"model.{name}.onnx", "tensorrt")["delegates"]
        look = delegate["as_exported"]
        return look["partitions"], len(look["falls_back"])

    assert left("s8s8-symmetric") == (1, 0)
    assert left("int8")[1] > 0


@pytest.mark.parametrize(
    ("spec", "in_float"),
    [
        (Edge(channels=8, depth=2), ()),
        (Edge(channels=8, depth=2), (0,)),
        (Edge(channels=8, depth=2), (1,)),
        (Edge(channels=8, depth=2), (3,)),
        (Srgan(blocks=1, channels=8, prelu="layer"), ()),
    ],
    ids=["edge", "first in float", "middle in float", "last in float", "srgan"],
)
def test_the_function_is_int8s_but_for_the_rounding(spec: Model, in_float: tuple[int, ...]) -> None:
    """What int8 saturates is held by a ReLU or a Clip; a slip in either shows in every picture."""
    graph = floats(spec)
    quantised = eight_bits(graph, *in_float)
    model = symmetric(quantised)
    assert like_db(graph, model) > like_db(graph, quantised) - 3
    assert len(model.graph.output) == 1


def test_an_output_that_was_rounded_is_still_given() -> None:
    """As of a network whose last operation is a convolution, which another project may have."""
    shape = ["batch", 3, "height", "width"]
    ends = [onnx.helper.make_tensor_value_info(end, 1, shape) for end in ("lr", "sr")]
    weights = np.random.default_rng(0).normal(size=(3, 3, 1, 1)).astype(np.float32)
    conv = onnx.helper.make_node("Conv", ["lr", "w"], ["sr"], "conv")
    graph = onnx.helper.make_graph(
        [conv], "g", ends[:1], ends[1:], [numpy_helper.from_array(weights, "w")]
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    plain = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    last = symmetric(eight_bits(plain)).graph.node[-1]
    assert (last.op_type, last.output[0]) == ("Identity", "sr")


def test_the_graph_that_was_given_stays_as_it_was(int8: onnx.ModelProto) -> None:
    before = int8.SerializeToString(deterministic=True)
    symmetric(int8)
    assert int8.SerializeToString(deterministic=True) == before


def test_one_that_loses_too_much_is_refused(edge: onnx.ModelProto, int8: onnx.ModelProto) -> None:
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "model": {"arch": "edge", "channels": 4, "depth": 2},
            "gates": {"int8": {"min_photograph_db": 99.0}},
        }
    )
    court = Court(edge, heldout(Data(), 4), recipe, 4)
    quantiser = Quantiser(edge, calibration(Data(), 2, 4))
    nothing = Loss(0.0, Fidelity({}, 0), 0.0)
    chosen = Chosen(Int8(int8, "photographs", "minmax", nothing, []), quantiser, court, {})
    with pytest.raises(ExportError, match="zero points of 0 lose"):
        to_symmetric(chosen)


def test_the_card_says_what_it_loses_and_not_what_int8_was_chosen_from(integers: Path) -> None:
    card = read_card(integers).variants
    eight, found = card["int8"], card["s8s8-symmetric"]
    assert found.likeness_db is not None
    assert found.likeness_db != eight.likeness_db
    assert found.psnr_loss_db is None
    assert (found.calibration, found.layers) == (eight.calibration, eight.layers)
    assert "zero points of 0" in str(found.needs)
    assert found.output.clipped
