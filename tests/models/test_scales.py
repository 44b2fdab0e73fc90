"""Both architectures at every scale: sizes, receptive fields, rewrites."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgesr.models import zoo
from edgesr.models.rewrite import deployable
from edgesr.recipe import Edge, Rewrites, Srgan

NETWORKS = [
    kind.model_validate({"scale": scale, **table})
    for scale in (2, 3, 4)
    for kind, table in (
        (Srgan, {"blocks": 1, "channels": 4, "prelu": "channel"}),
        (Edge, {"channels": 4, "depth": 2, "branches": ["expand", "identity"]}),
    )
]


def trained(spec: Srgan | Edge) -> zoo.Student:
    """Random weights in every layer, and statistics of batch normalisation."""
    torch.manual_seed(0)
    module = zoo.build(spec)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -0.4, 0.4)
    for _ in range(3):
        module.train()(torch.rand(2, 3, 8, 8))
    return module.eval()


@pytest.mark.parametrize("spec", NETWORKS, ids=str)
def test_the_result_is_scale_times_larger_and_the_field_as_wide_as_stated(
    spec: Srgan | Edge, receptive_radius: Callable[[nn.Module], int]
) -> None:
    module = trained(spec)
    assert module(torch.rand(2, 3, 5, 7)).shape == (2, 3, 5 * spec.scale, 7 * spec.scale)
    assert receptive_radius(module) == module.halo


@pytest.mark.parametrize("spec", NETWORKS, ids=str)
@torch.no_grad()
def test_what_is_exported_is_the_function_that_was_trained(spec: Srgan | Edge) -> None:
    module = trained(spec).double()
    rewritten = deployable(module, Rewrites())
    lr = torch.rand(2, 3, 6, 9, dtype=torch.float64)
    assert (rewritten(lr) - module(lr)).abs().max() < 1e-12


def test_the_name_says_another_scale_than_four() -> None:
    assert [zoo.describe(spec) for spec in NETWORKS[:2]] == ["SRGAN N=1 x2", "edge 4x2 x2"]
    assert [zoo.describe(spec) for spec in NETWORKS[4:]] == ["SRGAN N=1", "edge 4x2"]
