"""The end of an edge student: the input repeated by Concat, on the picture's 256 levels."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgesr.deploy.export import max_difference, to_graph
from edgesr.deploy.heldout import calibration
from edgesr.deploy.int8_tail import ends_on_levels, gives_levels, repeat_by_concat
from edgesr.deploy.quantiser import Quantiser
from edgesr.models import zoo
from edgesr.models.rewrite import deployable
from edgesr.recipe import Data, Edge, Export, Rewrites, Srgan


def exported(spec: Edge | Srgan, export: Export | None = None) -> onnx.ModelProto:
    torch.manual_seed(0)
    module = zoo.build(spec).eval()
    for parameter in module.parameters():
        # Random weights start near the anchor; the sum must be seen to be one of two pictures.
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    settings = export or Export()
    return to_graph(deployable(module, settings.rewrites), settings)[0]


@pytest.fixture(scope="module")
def plain() -> onnx.ModelProto:
    return exported(Edge(channels=4, depth=2))


@pytest.fixture(scope="module")
def quantiser(plain: onnx.ModelProto) -> Quantiser:
    return Quantiser(plain, calibration(Data(), 2, 4))


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("order", ["CRD", "DCR"])
def test_the_same_is_computed_without_the_convolution_that_repeats_the_input(order: str) -> None:
    model = exported(Edge(channels=4, depth=1), Export.model_validate({"depth_to_space": order}))
    changed = repeat_by_concat(model)
    assert max_difference(model, changed) < 1e-6
    assert [node.op_type for node in changed.graph.node][-3:] == ["Concat", "Add", "DepthToSpace"]
    assert kinds(changed)["Conv"] == kinds(model)["Conv"] - 1
    assert ends_on_levels(changed)
    assert not ends_on_levels(model)


@pytest.mark.parametrize("order", ["CRD", "DCR"])
def test_the_end_is_found_before_a_clip_which_eight_bits_stand_in_for(order: str) -> None:
    """It was not: eight bits left the repeating convolution and the Add as they were."""
    settings = {"depth_to_space": order, "rewrites": {"clip": True}}
    spec = Edge(channels=4, depth=1)
    plain, model = exported(spec), exported(spec, Export.model_validate(settings))
    changed = repeat_by_concat(model)
    ending = [node.op_type for node in changed.graph.node][-4:]
    assert ending == ["Concat", "Add", "Clip", "DepthToSpace"]
    assert max_difference(model, changed) < 1e-6
    assert ends_on_levels(changed)
    ranges = calibration(Data(), 2, 4)
    clipped, as_before = (
        Quantiser(graph, ranges).quantise("photographs", "minmax", [])
        for graph in (changed, repeat_by_concat(plain))
    )
    assert gives_levels(clipped)
    assert kinds(clipped) == kinds(as_before)
    assert max_difference(clipped, as_before) == 0


def test_a_clip_behind_a_last_convolution_in_float_stays() -> None:
    model = exported(Edge(channels=4, depth=1), Export(rewrites=Rewrites(clip=True)))
    changed = repeat_by_concat(model)
    quantiser = Quantiser(changed, calibration(Data(), 2, 4))
    found = quantiser.quantise("photographs", "minmax", quantiser.layers[-1:])
    assert not gives_levels(found)
    assert kinds(found)["Clip"] == 1


def test_the_graph_that_was_given_stays_as_it_was(plain: onnx.ModelProto) -> None:
    before = plain.SerializeToString(deterministic=True)
    repeat_by_concat(plain)
    assert plain.SerializeToString(deterministic=True) == before


def test_a_network_without_an_anchor_is_left_alone() -> None:
    model = exported(Srgan(blocks=1, channels=4))
    assert repeat_by_concat(model) is model


def test_an_anchor_behind_the_shuffle_is_left_alone() -> None:
    behind = Rewrites(low_resolution_anchor=False)
    network = deployable(zoo.build(Edge(channels=4, depth=1)).eval(), behind)
    model = to_graph(network, Export(rewrites=behind))[0]
    assert kinds(model)["Resize"] == 1
    assert repeat_by_concat(model) is model


def test_beside_branches_that_were_not_collapsed_the_end_stays_in_float() -> None:
    separate = Rewrites(collapse_branches=False)
    spec = Edge(channels=4, depth=1, branches=["expand", "point"])
    model = to_graph(deployable(zoo.build(spec).eval(), separate), Export(rewrites=separate))[0]
    changed = repeat_by_concat(model)
    assert kinds(changed)["Concat"] == 1
    assert not ends_on_levels(changed)


def test_a_graph_that_adds_something_else_last_is_left_alone(plain: onnx.ModelProto) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(plain)
    repeat = [node for node in other.graph.node if node.input[0] == "lr"][-1]
    repeat.input[0] = "not_lr"
    assert repeat_by_concat(other) is other


def test_eight_bits_give_the_levels_that_rounding_would(quantiser: Quantiser) -> None:
    before = quantiser.quantise("photographs", "minmax", [])
    changed = dataclasses.replace(quantiser, fp32=repeat_by_concat(quantiser.fp32))
    after = changed.quantise("photographs", "minmax", [])
    lr = np.random.default_rng(0).integers(0, 256, (1, 3, 9, 13)).astype(np.float32) / 255
    expected, sr = (_run(found, lr) for found in (before, after))
    assert not gives_levels(before)
    assert gives_levels(after)
    assert np.abs(sr * 255 - np.clip(expected * 255, 0, 255)).max() < 0.51
    assert np.abs(sr * 255 - np.round(sr * 255)).max() < 1e-4


def test_a_last_convolution_in_float_keeps_the_end_in_float(quantiser: Quantiser) -> None:
    changed = dataclasses.replace(quantiser, fp32=repeat_by_concat(quantiser.fp32))
    last = changed.layers[-1]
    assert not gives_levels(changed.quantise("photographs", "minmax", [last]))
    in_float = changed.quantise("photographs", "minmax", changed.layers)
    assert max_difference(in_float, quantiser.fp32) < 0.01  # the input alone has eight bits


def _run(model: onnx.ModelProto, lr: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"lr": lr})[0]
