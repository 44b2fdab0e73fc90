"""The end of an edge student: the input added before DepthToSpace, on the picture's 256 levels."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgesr.deploy.export import max_difference, to_graph
from edgesr.deploy.heldout import calibration, heldout, psnr_db
from edgesr.deploy.int8 import Quantiser
from edgesr.deploy.levels import add_before_shuffle, adds_before_shuffle, gives_levels
from edgesr.deploy.rewrite import deployable
from edgesr.models import zoo
from edgesr.recipe import Data, Edge, Export, Rewrites, Srgan


def exported(spec: Edge | Srgan, export: Export | None = None) -> onnx.ModelProto:
    torch.manual_seed(0)
    module = zoo.build(spec).eval()
    for parameter in module.parameters():
        # Random weights start near the anchor; the sum must be seen to be one of two pictures.
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    return to_graph(deployable(module, Rewrites()), export or Export())[0]


@pytest.fixture(scope="module")
def plain() -> onnx.ModelProto:
    return exported(Edge(channels=4, depth=2))


@pytest.fixture(scope="module")
def quantiser(plain: onnx.ModelProto) -> Quantiser:
    judges = heldout(Data())
    return Quantiser(plain, calibration(Data(), 2), judges, psnr_db(plain, judges))


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("order", ["CRD", "DCR"])
def test_the_same_is_computed_with_the_sum_at_low_resolution(order: str) -> None:
    model = exported(Edge(channels=4, depth=1), Export.model_validate({"depth_to_space": order}))
    moved = add_before_shuffle(model)
    assert max_difference(model, moved) < 1e-6
    assert [node.op_type for node in moved.graph.node][-3:] == ["Concat", "Add", "DepthToSpace"]
    assert kinds(moved)["Resize"] == 0
    assert adds_before_shuffle(moved)
    assert not adds_before_shuffle(model)


def test_the_graph_that_was_given_stays_as_it_was(plain: onnx.ModelProto) -> None:
    before = plain.SerializeToString(deterministic=True)
    add_before_shuffle(plain)
    assert plain.SerializeToString(deterministic=True) == before


def test_a_network_without_an_anchor_is_left_alone() -> None:
    model = exported(Srgan(blocks=1, channels=4))
    assert add_before_shuffle(model) is model


def test_branches_that_were_not_collapsed_are_left_alone() -> None:
    separate = Rewrites(collapse_branches=False)
    spec = Edge(channels=4, depth=1, branches=["expand", "point"])
    model = to_graph(deployable(zoo.build(spec).eval(), separate), Export(rewrites=separate))[0]
    assert add_before_shuffle(model) is model


def test_a_graph_that_adds_something_else_last_is_left_alone(plain: onnx.ModelProto) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(plain)
    enlarge = next(node for node in other.graph.node if node.op_type == "Resize")
    enlarge.input[0] = "not_lr"
    assert add_before_shuffle(other) is other


def test_eight_bits_give_the_levels_that_rounding_would(quantiser: Quantiser) -> None:
    before = quantiser.quantise("minmax", [])
    moved = dataclasses.replace(quantiser, fp32=add_before_shuffle(quantiser.fp32))
    after = moved.quantise("minmax", [])
    lr = np.random.default_rng(0).integers(0, 256, (1, 3, 9, 13)).astype(np.float32) / 255
    expected, sr = (_run(found.model, lr) for found in (before, after))
    assert not gives_levels(before.model)
    assert gives_levels(after.model)
    assert np.abs(sr * 255 - np.clip(expected * 255, 0, 255)).max() < 0.51
    assert np.abs(sr * 255 - np.round(sr * 255)).max() < 1e-4
    assert after.loss_db == pytest.approx(before.loss_db, abs=1e-9)


def test_a_last_convolution_in_float_keeps_the_end_in_float(quantiser: Quantiser) -> None:
    moved = dataclasses.replace(quantiser, fp32=add_before_shuffle(quantiser.fp32))
    last = moved.layers[-1]
    model = moved.quantise("minmax", [last]).model
    assert not gives_levels(model)
    assert moved.quantise("minmax", moved.layers).loss_db == pytest.approx(0, abs=1e-3)


def _run(model: onnx.ModelProto, lr: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"lr": lr})[0]
