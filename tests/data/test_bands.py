"""A photograph in tiles is the photograph in one piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgesr.data import bands
from edgesr.data.degrade import to_image, to_tensor
from edgesr.models import zoo
from edgesr.recipe import Edge, Srgan

CPU = torch.device("cpu")
LR = np.random.default_rng(5).integers(0, 256, (70, 90, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "WHOLE", 1000)
    monkeypatch.setattr(bands, "SIDE", 40)


def network(spec: Any) -> torch.nn.Module:
    """Of large weights, so that what one pixel is reaches far."""
    torch.manual_seed(1)
    module = zoo.build(spec).double().eval()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.endswith("conv.weight"):
                weight.mul_(2)
    return module


def difference(module: torch.nn.Module, halo: int | None) -> int:
    """By how many levels the picture in tiles differs from that in one piece."""

    def run(lr: torch.Tensor) -> Any:
        return module(lr.double())

    parts = list(bands.in_bands(run, LR, scale=4, halo=halo, device=CPU))
    assert len(parts) > 1
    with torch.no_grad():
        whole = to_image(run(to_tensor(LR)).float())
    return int(np.abs(np.concatenate(parts).astype(int) - whole).max())


@pytest.mark.parametrize(
    "spec", [Edge(channels=8, depth=3), Srgan(blocks=1, channels=8)], ids=["edge", "srgan"]
)
def test_tiles_with_the_networks_halo_make_the_picture_of_the_whole(spec: Any) -> None:
    module = network(spec)
    assert difference(module, bands.halo(module)) == 0
    assert difference(module, 0) > 0


def test_a_network_that_states_no_halo_gets_a_generous_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bands, "OVERLAP", 12)
    stranger = torch.nn.Sequential(network(Edge(channels=8, depth=3)))
    assert bands.halo(stranger) is None
    assert difference(stranger, None) == 0


def test_a_photograph_that_is_not_large_is_one_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "WHOLE", 70 * 90)
    module = zoo.build(Edge(channels=4, depth=1)).eval()
    (picture,) = bands.in_bands(module, LR, scale=4, halo=3, device=CPU)
    assert picture.shape == (280, 360, 3)
