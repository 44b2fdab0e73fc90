"""The paper's generator and discriminator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from edgesr.models import zoo
from edgesr.models.srgan import Discriminator, Generator
from edgesr.recipe import Srgan


@pytest.mark.parametrize(("blocks", "parameters"), [(16, 1_549_462), (4, 660_106)])
def test_parameters_are_those_behind_the_papers_sizes(blocks: int, parameters: int) -> None:
    assert sum(p.numel() for p in Generator(Srgan(blocks=blocks)).parameters()) == parameters


@pytest.mark.parametrize(("blocks", "halo"), [(4, 16), (16, 40)])
def test_halo_is_the_receptive_radius_by_hand(blocks: int, halo: int) -> None:
    assert Generator(Srgan(blocks=blocks)).halo == halo


def test_halo_covers_what_gradients_reach(receptive_radius: Callable[[nn.Module], int]) -> None:
    generator = Generator(Srgan(blocks=1, channels=4))
    assert receptive_radius(generator) <= generator.halo <= receptive_radius(generator) + 1


def test_tanh_output_stays_inside_0_and_1() -> None:
    generator = Generator(Srgan(blocks=1, channels=4, output="tanh")).eval()
    sr = generator(50 * torch.randn(1, 3, 8, 8))
    assert sr.min() >= 0
    assert sr.max() <= 1


@pytest.mark.parametrize("size", [16, 33, 96, 130])
def test_discriminator_takes_any_patch(size: int) -> None:
    assert Discriminator(channels=4)(torch.rand(2, 3, size, size)).shape == (2, 1)


@pytest.mark.parametrize("name", ["srresnet16", "srgan16"])
def test_published_generators_load_strictly(shared: Path, name: str) -> None:
    model = zoo.load(shared / f"teachers/{name}.safetensors")
    assert model.spec == Srgan(blocks=16, prelu="channel", output="tanh", bn_eps=1e-3)
    assert model.architecture == "SRGAN N=16"
    assert model.licence == "Apache-2.0"
