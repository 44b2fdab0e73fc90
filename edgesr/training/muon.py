"""Muon: the momentum of each convolution, turned into the nearest orthogonal matrix, is its step.

An Adam step is mostly the few directions that all filters of a layer share; the orthogonal one
moves along all of them alike. K. Jordan et al., "Muon: an optimizer for hidden layers in neural
networks", 2024; the scale of the step is that of arXiv:2502.16982, section 2.2.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from edgesr.errors import TrainingError

# Five rounds of a x + b (x x^T) x + c (x x^T)^2 x bring singular values from between 0.003 and 1
# to between 0.65 and 1.2, which trains as well as 1 does.
ROUNDS, A, B, C = 5, 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """Muon for convolutions, each seen as a matrix (out, in x height x width).

    A step has the root mean square that Adam's usually has, 0.2 lr, so that one learning rate
    serves both.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; `closure` is for the interface alone and must be None."""
        assert closure is None
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for shape, weights in alike.items():
                steps = self._orthogonal_steps(weights, group["momentum"])
                scale = 0.2 * group["lr"] * math.sqrt(max(steps.shape[1:]))
                for weight, step in zip(weights, steps, strict=True):
                    weight.sub_(step.view(shape), alpha=scale)

    def _orthogonal_steps(self, weights: list[Tensor], momentum: float) -> Tensor:
        """(n, out, in x height x width), for n weights of the same shape."""
        looked_ahead = []
        for weight in weights:
            assert weight.grad is not None
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            mean = state["momentum"].lerp_(weight.grad, 1 - momentum)
            looked_ahead.append(weight.grad.lerp(mean, momentum).flatten(1))
        return orthogonalised(torch.stack(looked_ahead))


def orthogonalised(matrices: Tensor) -> Tensor:
    """About the nearest orthogonal matrix to each of `matrices` (n, rows, columns), in bfloat16."""
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalised(matrices.mT).mT
    x: Tensor = (matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)).bfloat16()
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x


def hidden(
    parameters: Iterable[nn.Parameter],
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Of a network's parameters, kernels that neither read nor write a picture, and the others.

    Raises:
        TrainingError: there are no such kernels.
    """
    kernels: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in parameters:
        inside = parameter.ndim == 4 and min(parameter.shape[:2]) > 3
        (kernels if inside else others).append(parameter)
    if not kernels:
        raise TrainingError(
            'optimiser = "muon": no convolution that trains joins more than 3 channels',
            'Use optimiser = "adam".',
        )
    return kernels, others
