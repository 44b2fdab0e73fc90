"""Quantisation-aware fine-tuning: its rounding is the file's, and it brings the network closer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edgesr.deploy.finetune import (
    EightBitConv,
    EightBits,
    finetune,
    separate_branches,
    unwrap,
    wrap,
)
from edgesr.deploy.heldout import heldout
from edgesr.models import zoo
from edgesr.models.edge import EdgeStudent
from edgesr.models.rewrite import deployable
from edgesr.models.zoo import Student
from edgesr.recipe import Data, Edge, Recipe, Rewrites, Srgan

SPECS: list[Edge | Srgan] = [Edge(channels=4, depth=2), Srgan(blocks=1, channels=4)]
specs = pytest.mark.parametrize("spec", SPECS, ids=["edge", "srgan"])


def test_an_activation_falls_on_256_levels_and_zero_is_one_of_them() -> None:
    rounding = EightBits()
    x = torch.linspace(-0.3, 0.9, 1000)
    for _ in range(200):
        rounding(x)
    rounding.rounding = True
    y = rounding.eval()(torch.cat([x, torch.zeros(1)]))
    assert len(y.unique()) <= 256
    assert y[-1] == 0
    assert (y[:-1] - x).abs().max() < 1.2 / 255


def test_gradients_pass_the_rounding() -> None:
    conv = EightBitConv(nn.Conv2d(2, 3, 3, padding=1), rounds_output=True)
    conv(torch.rand(1, 2, 4, 4))
    conv.input.rounding = True
    conv(torch.rand(1, 2, 4, 4)).sum().backward()
    assert conv.conv.weight.grad is not None
    assert conv.conv.weight.grad.abs().sum() > 0


@specs
def test_wrapping_and_unwrapping_changes_nothing(spec: Edge | Srgan) -> None:
    torch.manual_seed(0)
    network = deployable(zoo.build(spec).eval(), Rewrites())
    before = copy.deepcopy(network)
    wrap(network, relus=isinstance(spec, Edge))
    unwrap(network)
    x = torch.rand(1, 3, 8, 8)
    assert list(network.state_dict()) == list(before.state_dict())
    assert torch.equal(network(x), before(x))


def test_only_the_last_convolution_of_a_relu_network_rounds_its_output() -> None:
    network = deployable(zoo.build(SPECS[0]).eval(), Rewrites())
    wrap(network, relus=True)
    wrapped = [layer for layer in network.modules() if isinstance(layer, EightBitConv)]
    assert [layer.output is not None for layer in wrapped] == [False, False, False, True]


def test_a_convolution_to_few_channels_stays_as_it_is_as_in_the_file() -> None:
    network = deployable(zoo.build(SPECS[1]).eval(), Rewrites())
    before = sum(type(layer) is nn.Conv2d for layer in network.modules())
    wrap(network, relus=False, min_channels=16)
    wrapped = [layer for layer in network.modules() if isinstance(layer, EightBitConv)]
    assert [layer.conv.out_channels for layer in wrapped] == [16, 16]
    assert sum(type(layer) is nn.Conv2d for layer in network.modules()) == before


def test_batch_normalisation_that_was_not_folded_keeps_its_statistics() -> None:
    torch.manual_seed(0)
    module = zoo.build(SPECS[1])
    module.train()(torch.rand(4, 3, 12, 12))
    raw = {
        "name": "tiny",
        "model": SPECS[1].model_dump(),
        "training": {"patch": 16, "batch": 2},
        "export": {"int8": {"finetune_steps": 2}, "rewrites": {"fold_batch_norm": False}},
    }
    tuned = finetune(module.eval(), Recipe.model_validate(raw))
    before, after = (
        [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
        for network in (module, tuned)
    )
    assert len(after) == 3
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one.running_mean, other.running_mean)
        assert torch.equal(one.running_var, other.running_var)


@pytest.mark.parametrize("collapse", [True, False])
@pytest.mark.parametrize("branches", [[], ["point"]], ids=str)
def test_only_branches_apart_are_added_up_before_the_relu(
    branches: list[str], collapse: bool
) -> None:
    rewrites = {"collapse_branches": collapse}
    raw = {"name": "tiny", "model": {"arch": "edge", "channels": 4, "branches": branches}}
    recipe = Recipe.model_validate(raw | {"export": {"rewrites": rewrites}})
    module = zoo.build(recipe.model)
    assert isinstance(module, EdgeStudent)
    assert separate_branches(module, recipe) == (branches == ["point"] and not collapse)


def rounded_error(network: nn.Module, reference: Student) -> float:
    """Mean |difference| to `reference` of `network` in eight bits, on a held-out photograph."""
    x = torch.from_numpy(heldout(Data(), 4)[0].lr)
    layers = wrap(network, relus=True)
    network.train()
    with torch.no_grad():
        for _ in range(50):
            network(x)
        for layer in layers:
            layer.rounding = True
        return float((network.eval()(x) - reference(x)).abs().mean())


def uneven(spec: Edge) -> Student:
    """A network with one channel that is much louder than the others, so that eight bits hurt."""
    torch.manual_seed(0)
    module = zoo.build(spec).eval()
    assert isinstance(module, EdgeStudent)
    with torch.no_grad():
        # Brightness is what makes it loud, so its filters must not sum to zero.
        module.head.initialise(1.0)
        module.head.conv.weight[0] *= 40
    return module


def test_it_brings_the_rounded_network_closer_to_the_float_one() -> None:
    spec = Edge(channels=4, depth=2)
    module = uneven(spec)
    raw = {
        "name": "tiny",
        "model": spec.model_dump(),
        "training": {"patch": 32, "batch": 4},
        "export": {"int8": {"finetune_steps": 150, "finetune_lr": 3e-4, "min_channels": 1}},
    }
    tuned = finetune(module, Recipe.model_validate(raw))
    before = rounded_error(deployable(module, Rewrites()), module)
    assert rounded_error(tuned, module) < 0.9 * before
