"""The adversarial game, on logits: D = sigmoid(logit), -log D = softplus(-logit)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus


def generator_loss(fake: Tensor) -> Tensor:
    """Eq. 7: mean of -log D(G(LR)) over the logits `fake`; a scalar."""
    return softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Eq. 2 as a loss: mean of -log D(HR) - log(1 - D(G(LR))) over logits; a scalar."""
    return softplus(-real).mean() + softplus(fake).mean()
