"""Eight bits: what is quantised, what it costs, and that the budget decides."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgesr.deploy import int8
from edgesr.deploy.export import to_graph
from edgesr.deploy.heldout import Pair, calibration, heldout, psnr_db
from edgesr.deploy.int8 import Int8, Quantiser
from edgesr.deploy.levels import repeat_by_concat
from edgesr.deploy.rewrite import deployable
from edgesr.models import zoo
from edgesr.recipe import Data, Edge, Export, Recipe, Rewrites

RECIPE = Recipe.model_validate(
    {
        "name": "tiny",
        "model": {"arch": "edge", "channels": 4, "depth": 2},
        "export": {"int8": {"images": 2, "min_channels": 1, "finetune_steps": 0}},
    }
)


@pytest.fixture(scope="module")
def module() -> zoo.Student:
    torch.manual_seed(0)
    return zoo.build(Edge(channels=4, depth=2)).eval()


@pytest.fixture(scope="module")
def graph(module: zoo.Student) -> onnx.ModelProto:
    return repeat_by_concat(to_graph(deployable(module, Rewrites()), Export())[0])


@pytest.fixture(scope="module")
def quantiser(graph: onnx.ModelProto) -> Quantiser:
    judges = heldout(Data())
    return Quantiser(graph, calibration(Data(), 2), judges, psnr_db(graph, judges))


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_every_convolution_gets_weights_of_eight_bits_per_channel(quantiser: Quantiser) -> None:
    model = quantiser.quantise("minmax", []).model
    weights = {t.name: t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8}
    kernels = [t for t in weights.values() if len(t.dims) == 4]
    assert len(kernels) == 4
    scales = {n.input[0]: n.input[1] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    shapes = {t.name: list(t.dims) for t in model.graph.initializer}
    assert [shapes[scales[t.name]] for t in kernels] == [[t.dims[0]] for t in kernels]
    assert "Relu" not in kinds(model), "it lies in the range of what is quantised behind it"


def test_the_input_keeps_its_256_levels(quantiser: Quantiser) -> None:
    model = quantiser.quantise("minmax", []).model
    first = next(node for node in model.graph.node if "lr" in node.input)
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert first.op_type == "QuantizeLinear"
    assert float(values[first.input[1]]) == np.float32(1 / 255)
    assert int(values[first.input[2]]) == 0


def test_a_layer_that_is_named_stays_in_float(quantiser: Quantiser) -> None:
    first = quantiser.layers[0]
    model = quantiser.quantise("minmax", [first]).model
    kernels = [t for t in model.graph.initializer if len(t.dims) == 4]
    assert sorted(t.data_type for t in kernels).count(onnx.TensorProto.FLOAT) == 1
    assert kinds(model)["Relu"] == 1


def test_a_convolution_to_few_channels_stays_in_float(quantiser: Quantiser) -> None:
    wide = dataclasses.replace(quantiser, min_channels=16)
    assert (len(wide.layers), len(wide.narrow)) == (1, 3)
    made = wide.quantise("minmax", [])
    kernels = [t for t in made.model.graph.initializer if len(t.dims) == 4]
    assert sorted((t.dims[0], t.data_type) for t in kernels) == [
        *[(4, onnx.TensorProto.FLOAT)] * 3,
        (48, onnx.TensorProto.INT8),
    ]
    assert made.in_float == wide.narrow


def test_all_layers_in_float_lose_nothing(quantiser: Quantiser) -> None:
    assert quantiser.quantise("minmax", quantiser.layers).loss_db == pytest.approx(0, abs=1e-4)


def test_quantising_leaves_the_float_graph_as_it_was(quantiser: Quantiser) -> None:
    before = quantiser.fp32.SerializeToString()
    quantiser.quantise("percentile", [])
    assert quantiser.fp32.SerializeToString() == before


def test_the_card_says_how_it_came_about(module: zoo.Student, graph: onnx.ModelProto) -> None:
    model, facts = int8.to_int8(module, graph, RECIPE)
    assert kinds(model)["QuantizeLinear"] > 0
    assert set(facts["psnr_loss_db"]) == {"minmax", "entropy", "percentile"}
    assert facts["psnr_loss_db_shipped"] == min(facts["psnr_loss_db"].values()) <= 0.05
    assert (facts["layers"], facts["float_layers"], facts["finetuned"]) == (4, [], False)


class Judged(Quantiser):
    """A quantiser whose losses are told beforehand: 0.1 dB for each layer in eight bits, half a
    decibel for `bad`."""

    @property
    def layers(self) -> list[str]:
        return ["good", "bad", "fair"]

    def quantise(self, method: str, in_float: list[str]) -> Int8:
        cost = {"good": 0.1, "bad": 0.5, "fair": 0.2}
        loss = sum(value for name, value in cost.items() if name not in in_float)
        return Int8(onnx.ModelProto(), method, loss, in_float)


def test_layers_are_ranked_by_the_damage_that_each_does_alone() -> None:
    judged = Judged(onnx.ModelProto(), [], [], 0.0)
    assert int8.rank(judged, "minmax") == pytest.approx({"bad": 0.5, "fair": 0.2, "good": 0.1})
    assert list(int8.rank(judged, "minmax")) == ["bad", "fair", "good"]


@pytest.mark.parametrize(
    ("budget", "in_float"),
    [(0.31, ["bad"]), (0.15, ["bad", "fair"]), (0.05, ["bad", "fair", "good"])],
)
def test_the_worst_stay_in_float_until_the_loss_fits_the_budget(
    budget: float, in_float: list[str]
) -> None:
    judged = Judged(onnx.ModelProto(), [], [], 0.0)
    found = int8.keep_in_float(
        judged, judged.quantise("minmax", []), list(int8.rank(judged, "minmax")), budget
    )
    assert found.in_float == in_float
    assert found.loss_db <= budget


def test_a_file_that_is_mostly_float_is_warned_of(
    module: zoo.Student,
    graph: onnx.ModelProto,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def costly(_self: Quantiser, method: str, in_float: list[str]) -> Int8:
        return Int8(graph, method, 1.0 - 0.25 * len(in_float), in_float)

    monkeypatch.setattr(Quantiser, "quantise", costly)
    _, facts = int8.to_int8(module, graph, RECIPE)
    assert len(facts["float_layers"]) == 4
    assert "4 of 4 convolutions stay in float" in capsys.readouterr().err


def test_finetuning_is_tried_where_calibration_loses_too_much_and_kept_where_it_helps(
    module: zoo.Student, graph: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = onnx.ModelProto.FromString(graph.SerializeToString())
    tuned.producer_name = "tuned"

    def lossy(self: Quantiser, method: str, in_float: list[str]) -> Int8:
        loss = 0.01 if self.fp32.producer_name == "tuned" else 0.2
        return Int8(self.fp32, method, loss, in_float)

    monkeypatch.setattr(Quantiser, "quantise", lossy)
    monkeypatch.setattr(int8, "finetune", lambda *_: module)
    monkeypatch.setattr(int8, "to_graph", lambda *_: (tuned, True))
    settings = RECIPE.export.int8.model_copy(update={"finetune_steps": 5})
    export = RECIPE.export.model_copy(update={"int8": settings})
    model, facts = int8.to_int8(module, graph, RECIPE.model_copy(update={"export": export}))
    assert facts["finetuned"]
    assert facts["float_layers"] == []
    assert model.producer_name == "tuned"


def test_calibration_and_judging_look_at_different_photographs() -> None:
    measured, judged = calibration(Data(), 99), heldout(Data())
    assert not {p.name for p in measured} & {p.name for p in judged}
    assert len({p.lr.shape for p in measured}) == 1
    assert all(isinstance(p, Pair) and p.lr.max() <= 1 for p in measured + judged)
