"""The orthogonal step: what it does to one matrix, and which parameters of a network get it."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric

from edgesr.errors import TrainingError
from edgesr.models import zoo
from edgesr.recipe import Edge, Optimisation, Srgan
from edgesr.training.muon import Muon, hidden, orthogonalised
from edgesr.training.steps import TrainedNetwork


@pytest.mark.parametrize("shape", [(3, 8, 40), (2, 40, 8), (1, 16, 16)], ids=str)
def test_singular_values_become_about_one_and_directions_stay(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    values = u.mT @ orthogonalised(matrices).float() @ v.mT
    diagonal = values.diagonal(dim1=1, dim2=2)
    assert diagonal.min() > 0.6
    assert diagonal.max() < 1.3
    assert (values - torch.diag_embed(diagonal)).abs().max() < 0.05


def test_a_gradient_of_nothing_moves_nothing() -> None:
    assert orthogonalised(torch.zeros(1, 4, 9)).count_nonzero() == 0


def test_one_learning_rate_serves_kernels_of_every_shape() -> None:
    """The root mean square of a step is a fifth of the learning rate, Adam's usual one."""
    kernels = [torch.zeros(n, m, k, k) for n, m, k in [(16, 16, 1), (32, 64, 3), (256, 64, 3)]]
    generator = torch.Generator().manual_seed(0)
    for kernel in kernels:
        kernel.grad = torch.randn(kernel.shape, generator=generator)
    Muon(kernels, lr=1e-2).step()
    for kernel in kernels:
        assert kernel.square().mean().sqrt() == pytest.approx(2e-3, rel=0.2)


def test_the_step_follows_the_momentum_of_earlier_gradients() -> None:
    kernel = torch.zeros(4, 4, 1, 1)
    muon = Muon([kernel], lr=1.0)
    first, second = torch.eye(4)[:, :, None, None], torch.eye(4).flip(0)[:, :, None, None]
    for gradient in [first] * 8 + [second]:
        before = kernel.clone()
        kernel.grad = gradient.clone()
        muon.step()
    assert ((kernel - before) * first).sum() < 0  # still down the first, though it is gone


@pytest.mark.parametrize(
    ("spec", "outside"),
    [
        (Edge(channels=8, depth=2), {"head.conv.weight"}),
        (Srgan(blocks=1, channels=8), {"head.conv.weight", "tail.conv.weight"}),
    ],
    ids=["edge", "srgan"],
)
def test_kernels_at_the_picture_and_everything_else_stay_with_adam(
    spec: Edge | Srgan, outside: set[str]
) -> None:
    net = zoo.build(spec)
    kernels, others = hidden(net.parameters())
    ids = {id(kernel) for kernel in kernels}
    assert len(kernels) + len(others) == len(list(net.parameters()))
    convolutions = {name: p for name, p in net.named_parameters() if p.ndim == 4}
    assert {name for name, p in convolutions.items() if id(p) not in ids} == outside


def test_a_network_too_narrow_for_muon_is_told_so() -> None:
    fabric, net = Fabric(accelerator="cpu"), zoo.build(Edge(channels=2, depth=1))
    with pytest.raises(TrainingError, match='"muon": no convolution'):
        TrainedNetwork.prepared(fabric, net, Optimisation(), "muon")
