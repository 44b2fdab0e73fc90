"""Sums of 16 bits: what they would cut off, emulated, and that shipped weights leave nothing to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from edgesr.deploy import saturation
from edgesr.deploy.export import to_graph
from edgesr.deploy.heldout import Pair, Pixels, Values, calibration, heldout, run_of
from edgesr.deploy.int8_tail import repeat_by_concat
from edgesr.deploy.quantiser import Quantiser
from edgesr.inference.tiling import to_bytes
from edgesr.metrics import psnr
from edgesr.models import zoo
from edgesr.models.edge import EdgeStudent
from edgesr.models.rewrite import deployable
from edgesr.recipe import Data, Export, Rewrites

EXPORTS = Path(__file__).parents[2] / "exports"
Integers = NDArray[np.int32]
SIXTEEN = np.iinfo(np.int16)


def test_the_two_largest_weights_of_a_sign_fit_16_bits_in_any_order() -> None:
    rng = np.random.default_rng(0)
    filters = rng.normal(size=(200, 8, 3, 3)) * rng.exponential(size=(200, 1, 1, 1))
    step = saturation.steps(filters, reduce_range=True)
    rounded = np.round(filters / step[:, None, None, None]).reshape(200, -1)
    for signed in (rounded, -rounded):
        two = np.sort(signed, axis=1)[:, -2:]
        assert two.max() <= 127
        assert np.maximum(two, 0).sum(axis=1).max() <= 128
    assert SIXTEEN.max >= 255 * 128


def test_a_filter_that_one_weight_dominates_keeps_all_its_range() -> None:
    """Seven bits for every weight would cost half the steps where nothing can saturate."""
    filters = np.zeros((2, 2, 3, 3))
    filters[0, 0, 1, 1], filters[0, 1, 1, 1] = 1.0, -1.0
    filters[1, :, 1, 1] = 1.0
    step = saturation.steps(filters, reduce_range=True)
    assert step == pytest.approx([1 / 127, 2 / 127])
    assert saturation.steps(filters, reduce_range=False) == pytest.approx([1 / 127, 1 / 127])
    assert saturation.steps(np.zeros((1, 1, 1, 1)), reduce_range=True) > 0


def emulate(model: onnx.ModelProto, lr: NDArray[np.float32], *, saturates: bool) -> Values:
    """The picture that an int8 edge student makes, in NumPy.

    Args:
        saturates: products are added in pairs into 16 bits, as by VPMADDUBSW. Which are neighbours
            follows ONNX Runtime's kernels for AVX2: a patch is laid out by row, column, channel.
    """
    known: dict[str, Any] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    known |= {"lr": lr, "": np.zeros((), np.int32)}  # a zero point of 0 may be left out
    for node in model.graph.node:
        inputs = [known[name] for name in node.input]
        if node.op_type == "QuantizeLinear":
            value, step, zero = inputs
            found: Any = np.clip(np.round(value / step) + zero, 0, 255).astype(np.int32)
        elif node.op_type == "DequantizeLinear":
            per_filter = (-1,) + (1,) * (inputs[0].ndim - 1) if inputs[1].ndim else ()
            zero = 0 if len(inputs) < 3 else inputs[2].astype(np.int32).reshape(per_filter)
            found = (inputs[0].astype(np.int32) - zero) * inputs[1].reshape(per_filter)
        elif node.op_type == "Conv":
            x, weight = (makers[name].input for name in node.input[:2])
            total = convolve(known[x[0]], int(known[x[2]]), known[weight[0]], saturates=saturates)
            steps = known[x[1]] * known[weight[1]]
            found = (total * steps[:, None, None] + inputs[2][:, None, None])[None]
        elif node.op_type == "Concat":
            found = np.concatenate(inputs, axis=1)
        elif node.op_type == "Add":
            found = inputs[0] + inputs[1]
        else:
            assert node.op_type == "DepthToSpace"
            found = shuffled(inputs[0])
        known[node.output[0]] = found
    return known["sr"]


def convolve(x: Integers, zero: int, weight: Integers, *, saturates: bool) -> Integers:
    """3x3 sums of (x - zero) * weight, (filters, H, W), of levels x (1, channels, H, W)."""
    height, width = x.shape[2:]
    padded = np.pad(x[0], [(0, 0), (1, 1), (1, 1)], constant_values=zero)
    taps = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    patches = np.concatenate(taps)  # row, column, channel
    filters = weight.astype(np.int32).transpose(0, 2, 3, 1).reshape(len(weight), -1)
    if len(patches) % 2:
        patches = np.concatenate([patches, np.zeros_like(patches[:1])])
        filters = np.pad(filters, [(0, 0), (0, 1)])
    sums = []
    for each in filters:
        pairs = (patches * each[:, None, None]).reshape(-1, 2, height, width).sum(axis=1)
        held = np.clip(pairs, SIXTEEN.min, SIXTEEN.max) if saturates else pairs
        sums.append(held.sum(axis=0) - zero * each.sum())
    return np.stack(sums)


def shuffled(channels: Values) -> Values:
    """DepthToSpace(4) in DCR order."""
    _, _, height, width = channels.shape
    split = channels.reshape(1, 4, 4, 3, height, width)
    return split.transpose(0, 3, 4, 1, 5, 2).reshape(1, 3, 4 * height, 4 * width)


@pytest.fixture(scope="module")
def shipped() -> onnx.ModelProto:
    """The float graph of edge-s."""
    module = zoo.load(EXPORTS / "edge-s/weights.safetensors").module
    assert isinstance(module, EdgeStudent)
    return repeat_by_concat(to_graph(deployable(module, Rewrites()), Export())[0])


@pytest.fixture(scope="module")
def photograph() -> Pair:
    """A piece of the held-out photograph."""
    (pair,) = heldout(Data(), 4)
    return Pair(pair.name, pair.hr[128:320, 128:384], pair.lr[:, :, 32:80, 32:96])


def quantised(graph: onnx.ModelProto, *, reduce_range: bool) -> onnx.ModelProto:
    ranges = {"photographs": calibration(Data(), 6, 4)["photographs"]}
    quantiser = Quantiser(graph, ranges, min_channels=16, reduce_range=reduce_range)
    return quantiser.quantise("photographs", "minmax", [])


def test_full_range_weights_lose_a_decibel_where_sums_have_16_bits(
    shipped: onnx.ModelProto, photograph: Pair
) -> None:
    """Measured on a processor with AVX2 and without VNNI, edge-s lost 1.1 dB on photographs."""
    model = quantised(shipped, reduce_range=False)
    exact, cut = (
        to_bytes(emulate(model, photograph.lr, saturates=saturates)) for saturates in (False, True)
    )
    wide, narrow = (psnr(sr[0].transpose(1, 2, 0), photograph.hr, 4) for sr in (exact, cut))
    assert wide - narrow > 0.5
    found = to_bytes(run_of(model)(photograph.lr))
    assert min(off(found, exact), off(found, cut)) < 0.001, "this processor does one of the two"


def test_reduced_ranges_lose_nothing_there(shipped: onnx.ModelProto, photograph: Pair) -> None:
    model = quantised(shipped, reduce_range=True)
    exact, cut = (emulate(model, photograph.lr, saturates=saturates) for saturates in (False, True))
    assert np.array_equal(exact, cut)
    found = to_bytes(run_of(model)(photograph.lr))
    assert off(found, to_bytes(exact)) < 0.001
    full = to_bytes(emulate(quantised(shipped, reduce_range=False), photograph.lr, saturates=False))
    lost = [psnr(sr[0].transpose(1, 2, 0), photograph.hr, 4) for sr in (full, to_bytes(exact))]
    assert lost[0] - lost[1] < 0.1


def off(one: Pixels, other: Pixels) -> float:
    """The share of bytes that differ by more than a level, which rounding may."""
    return float((np.abs(one.astype(int) - other) > 1).mean())
