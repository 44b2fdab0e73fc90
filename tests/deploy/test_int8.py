"""Eight bits: what is quantised, what it costs, and that the limits decide."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from edgesr.deploy import int8
from edgesr.deploy.export import max_difference, to_graph
from edgesr.deploy.fidelity import Fidelity
from edgesr.deploy.heldout import calibration, heldout, run_of
from edgesr.deploy.int8 import Court, Int8, Loss
from edgesr.deploy.int8_tail import repeat_by_concat
from edgesr.deploy.quantiser import Quantiser
from edgesr.models import zoo
from edgesr.models.rewrite import deployable
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
    return Quantiser(graph, calibration(Data(), 2, 4))


@pytest.fixture(scope="module")
def court(graph: onnx.ModelProto) -> Court:
    return Court(graph, heldout(Data(), 4), RECIPE, 4)


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_every_convolution_gets_weights_of_eight_bits_per_channel(quantiser: Quantiser) -> None:
    model = quantiser.quantise("photographs", "minmax", [])
    weights = {t.name: t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8}
    kernels = [t for t in weights.values() if len(t.dims) == 4]
    assert len(kernels) == 4
    scales = {n.input[0]: n.input[1] for n in model.graph.node if n.op_type == "DequantizeLinear"}
    shapes = {t.name: list(t.dims) for t in model.graph.initializer}
    assert [shapes[scales[t.name]] for t in kernels] == [[t.dims[0]] for t in kernels]
    assert "Relu" not in kinds(model), "it lies in the range of what is quantised behind it"


def test_the_input_keeps_its_256_levels(quantiser: Quantiser) -> None:
    model = quantiser.quantise("photographs", "minmax", [])
    first = next(node for node in model.graph.node if "lr" in node.input)
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert first.op_type == "QuantizeLinear"
    assert float(values[first.input[1]]) == np.float32(1 / 255)
    assert int(values[first.input[2]]) == 0


def test_a_layer_that_is_named_stays_in_float(quantiser: Quantiser) -> None:
    first = quantiser.layers[0]
    model = quantiser.quantise("photographs", "minmax", [first])
    kernels = [t for t in model.graph.initializer if len(t.dims) == 4]
    assert sorted(t.data_type for t in kernels).count(onnx.TensorProto.FLOAT) == 1
    assert kinds(model)["Relu"] == 1


def test_a_convolution_to_few_channels_stays_in_float(quantiser: Quantiser) -> None:
    wide = dataclasses.replace(quantiser, min_channels=16)
    assert (len(wide.layers), len(wide.narrow)) == (1, 3)
    made = wide.quantise("photographs", "minmax", [])
    kernels = [t for t in made.graph.initializer if len(t.dims) == 4]
    assert sorted((t.dims[0], t.data_type) for t in kernels) == [
        *[(4, onnx.TensorProto.FLOAT)] * 3,
        (48, onnx.TensorProto.INT8),
    ]


def test_all_layers_in_float_lose_nothing(
    quantiser: Quantiser, graph: onnx.ModelProto, court: Court
) -> None:
    model = quantiser.quantise("photographs", "minmax", quantiser.layers)
    assert max_difference(model, graph) < 0.01  # the input alone has eight bits
    loss = court(run_of(model))
    assert loss.psnr_db == pytest.approx(0, abs=1e-4)
    assert loss.fidelity.flat_levels == 0
    assert loss.strain < 1


def test_quantising_leaves_the_float_graph_as_it_was(quantiser: Quantiser) -> None:
    before = quantiser.fp32.SerializeToString()
    quantiser.quantise("patterns", "percentile", [])
    assert quantiser.fp32.SerializeToString() == before


def test_drawn_pictures_widen_the_ranges(quantiser: Quantiser) -> None:
    """Photographs alone leave no room for the contrast of text, noise and checkerboards."""
    found = {
        ranges: {
            tensor.name: float(numpy_helper.to_array(tensor))
            for tensor in quantiser.quantise(ranges, "minmax", []).graph.initializer
            if tensor.name.endswith("_scale") and not tensor.dims
        }
        for ranges in quantiser.ranges
    }
    assert list(found) == ["photographs", "graphics", "patterns"]
    for name, step in found["patterns"].items():
        assert step >= found["graphics"].get(name, step) >= found["photographs"].get(name, 0)
    assert sum(found["patterns"].values()) > sum(found["photographs"].values())


def test_the_card_says_how_it_came_about(module: zoo.Student, graph: onnx.ModelProto) -> None:
    chosen = int8.to_int8(module, graph, RECIPE)
    model, facts = chosen.int8.model, chosen.facts
    assert kinds(model)["QuantizeLinear"] > 0
    assert len(facts["psnr_loss_db"]) == 6
    assert facts["psnr_loss_db_shipped"] in facts["psnr_loss_db"].values()
    assert facts["psnr_loss_db_shipped"] <= 0.05
    assert f"{facts['calibration']}, {facts['calibrated_on']}" in facts["psnr_loss_db"]
    assert set(facts["likeness_db"]) == {
        *("photograph", "text", "drawing", "noise", "checkerboard")
    }
    assert facts["flat_levels"] <= 1
    assert "16 bits on every processor" in facts["needs"]
    assert (facts["layers"], facts["float_layers"], facts["finetuned"]) == (4, [], False)


def test_without_reduced_ranges_the_card_names_what_the_processor_needs(
    module: zoo.Student, graph: onnx.ModelProto
) -> None:
    settings = RECIPE.export.int8.model_copy(update={"reduce_range": False})
    export = RECIPE.export.model_copy(update={"int8": settings})
    facts = int8.to_int8(module, graph, RECIPE.model_copy(update={"export": export})).facts
    assert "VNNI" in facts["needs"]


ALIKE = Fidelity(dict.fromkeys(("photograph", "text"), 60.0), 0)


@pytest.mark.parametrize(
    ("lost", "fidelity", "holds"),
    [
        (0.05, ALIKE, True),
        (0.051, ALIKE, False),
        (0.0, dataclasses.replace(ALIKE, flat_levels=1), True),
        (0.0, dataclasses.replace(ALIKE, flat_levels=2), False),
        (0.0, Fidelity({"text": 34.0}, 0), True),
        (0.0, Fidelity({"text": 33.9}, 0), False),
        (float("nan"), ALIKE, False),
    ],
)
def test_the_strain_is_at_most_one_where_every_limit_holds(
    lost: float, fidelity: Fidelity, holds: bool
) -> None:
    gates = RECIPE.gates.model_copy(
        update={"int8": RECIPE.gates.int8.model_copy(update={"min_text_db": 34.0})}
    )
    recipe = RECIPE.model_copy(update={"gates": gates})
    assert (int8.strain(lost, fidelity, recipe) <= 1) is holds


def test_a_limit_that_is_not_asked_strains_nothing() -> None:
    unasked = RECIPE.gates.int8.model_copy(
        update=dict.fromkeys(type(RECIPE.gates.int8).model_fields)
    )
    recipe = RECIPE.model_copy(update={"gates": RECIPE.gates.model_copy(update={"int8": unasked})})
    assert int8.strain(0.01, Fidelity({"text": 3.0}, 99), recipe) == pytest.approx(0.2)


class Judged(Quantiser):
    """A quantiser of three layers whose graphs carry the names of those in eight bits."""

    @property
    def layers(self) -> list[str]:
        return ["good", "bad", "fair"]

    @property
    def narrow(self) -> list[str]:
        return []

    def quantise(self, _ranges: str, _method: str, in_float: list[str]) -> onnx.ModelProto:
        left = [layer for layer in self.layers if layer not in in_float]
        return onnx.ModelProto(producer_name=" ".join(left))


def told(costs: dict[str, float], budget: float):
    """A court whose losses are told beforehand, layer by layer."""

    def judge(model: onnx.ModelProto) -> Loss:
        lost = sum(costs[layer] for layer in model.producer_name.split())
        return Loss(lost, ALIKE, lost / budget)

    return judge


COSTS = {"good": 0.1, "bad": 0.5, "fair": 0.2}


@pytest.mark.parametrize(
    ("budget", "in_float"),
    [(0.31, ["bad"]), (0.15, ["bad", "fair"]), (0.05, ["bad", "fair", "good"])],
)
def test_the_worst_stay_in_float_until_the_loss_fits_the_budget(
    budget: float, in_float: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "run_of", lambda model: model)
    judged, court = Judged(onnx.ModelProto(), {}), told(COSTS, budget)
    start = Int8(onnx.ModelProto(), "photographs", "minmax", Loss(0.8, ALIKE, 9.0), [])
    damage = int8.rank(judged, court, start)
    assert {name: loss.psnr_db for name, loss in damage.items()} == pytest.approx(COSTS)
    assert list(damage) == ["bad", "fair", "good"]
    found = int8.keep_in_float(judged, court, start, list(damage))
    assert found.in_float == in_float
    assert found.loss.strain <= 1


def test_a_file_that_is_mostly_float_is_warned_of(
    module: zoo.Student, graph: onnx.ModelProto, capsys: pytest.CaptureFixture[str]
) -> None:
    text = RECIPE.gates.int8.model_copy(update={"min_text_db": 99.0})  # no int8 layer keeps to it
    gates = RECIPE.gates.model_copy(update={"int8": text})
    facts = int8.to_int8(module, graph, RECIPE.model_copy(update={"gates": gates})).facts
    assert len(facts["float_layers"]) == 4
    assert facts["likeness_db"]["text"] >= 99
    assert "4 of 4 convolutions stay in float" in capsys.readouterr().err


def test_finetuning_is_tried_where_calibration_loses_too_much_and_kept_where_it_helps(
    module: zoo.Student, graph: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = onnx.ModelProto.FromString(graph.SerializeToString())
    tuned.graph.name = "tuned"

    def of(model: onnx.ModelProto) -> Any:
        run = run_of(model)
        run.name = model.graph.name
        return run

    def judge(_: Court, run: Any) -> Loss:
        return Loss(0.1, ALIKE, 0.5 if run.name == "tuned" else 4.0)

    monkeypatch.setattr(int8, "run_of", of)
    monkeypatch.setattr(Court, "__call__", judge)
    monkeypatch.setattr(int8, "finetune", lambda *_: module)
    monkeypatch.setattr(int8, "to_graph", lambda *_: (tuned, True))
    settings = RECIPE.export.int8.model_copy(update={"finetune_steps": 5})
    export = RECIPE.export.model_copy(update={"int8": settings})
    chosen = int8.to_int8(module, graph, RECIPE.model_copy(update={"export": export}))
    model, facts = chosen.int8.model, chosen.facts
    assert facts["finetuned"]
    assert facts["float_layers"] == []
    assert model.graph.name == "tuned"


def test_calibration_and_judging_look_at_different_pictures() -> None:
    measured, judged = calibration(Data(), 99, 4), heldout(Data(), 4)
    pictures = measured["patterns"]
    assert measured["photographs"] == pictures[: len(measured["photographs"])]
    assert len({lr.shape for lr in pictures}) == 1
    assert all(lr.min() >= 0 and lr.max() <= 1 for lr in pictures)
    middle = judged[0].lr[..., 32:96, 32:96]
    assert not any(np.array_equal(lr, middle) for lr in pictures)
