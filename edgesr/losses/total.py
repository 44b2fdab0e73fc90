"""Equations 1, 3 and 6: the weighted sum, and the proof that each of its terms trains something.

    L_Generator = L_percep + delta_lpips L_lpips                          (1)
    L_percep    = L_content + 1e-3 L_adversarial                          (3)
    L_content   = L1 + delta_c L_VGG                                      (6)

The weights are the recipe's; terms beyond the paper are added to the same sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgesr.errors import TrainingError
from edgesr.losses.adversarial import generator_loss
from edgesr.losses.content import l1, lattice, luma_l1, ssim_loss
from edgesr.losses.distillation import feature_affinity, frequency
from edgesr.losses.perceptual import Perceptual
from edgesr.recipe import Losses, Target

Discriminate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Outputs:
    """What one forward pass leaves for the losses.

    Attributes:
        sr, hr: (B, 3, H, W), RGB 0..1: the student's picture and the ground truth.
        scale: how many times higher and wider than LR they are.
        features: (B, C, H / scale, W / scale): what enters the student's up-sampling.
        teacher_sr, teacher_features: the teacher's, without gradient; None where no term asks.
        frames: (B, 3, h, w) each: the student's pictures of two frames of one scene, laid over
            each other; None where no term asks.
    """

    sr: Tensor
    hr: Tensor
    scale: int
    features: Tensor
    teacher_sr: Tensor | None = None
    teacher_features: Tensor | None = None
    frames: tuple[Tensor, Tensor] | None = None


class GeneratorLoss(nn.Module):
    """The generator's loss of one stage. Perceptual networks are loaded once, and frozen."""

    def __init__(self, losses: Losses, weights_folder: str = "") -> None:
        super().__init__()
        self.losses = losses
        requested = losses.vgg or losses.lpips
        self.perceptual = Perceptual(losses, weights_folder) if requested else None

    def terms(self, out: Outputs, discriminate: Discriminate | None = None) -> dict[str, Tensor]:
        """Every term with a non-zero weight, as an unweighted scalar."""
        weight = self.losses
        terms = self._differences("", out.sr, out.hr)  # eq. 5
        if weight.ssim:
            terms["ssim"] = ssim_loss(out.sr, out.hr)
        if weight.lattice:
            terms["lattice"] = lattice(out.sr - out.hr, out.scale)
        if weight.temporal:
            assert out.frames is not None, "the step enlarges two frames for this term"
            terms["temporal"] = l1(out.frames[0] - out.frames[1])
        if self.perceptual is not None:
            terms |= self.perceptual.terms(out.sr, out.hr, out.teacher_sr)  # eq. 4 and 8
        if weight.adversarial:
            assert discriminate is not None, "the GAN stage brings a discriminator"
            terms["adversarial"] = generator_loss(discriminate(out.sr))  # eq. 7
        terms |= self._differences("teacher_", out.sr, out.teacher_sr)
        if weight.feature_affinity:
            assert out.teacher_features is not None
            terms["feature_affinity"] = feature_affinity(out.features, out.teacher_features)
        if weight.frequency:
            targets = choose(weight.frequency_against, out.hr, out.teacher_sr)
            terms["frequency"] = torch.stack([frequency(out.sr, t) for t in targets]).mean()
        return terms

    def _differences(self, whose: str, sr: Tensor, target: Tensor | None) -> dict[str, Tensor]:
        """The terms of `sr` against `target`, pixel by pixel, that have a weight."""
        named = {f"{whose}l1": l1, f"{whose}luma": luma_l1}
        requested = {name: term for name, term in named.items() if getattr(self.losses, name)}
        if not requested:
            return {}
        assert target is not None, "the step runs the teacher for these terms"
        error = sr - target
        return {name: term(error) for name, term in requested.items()}

    def total(self, terms: dict[str, Tensor]) -> Tensor:
        """The weighted sum of `terms`: eq. 1 with eq. 3 and 6 put in."""
        weighted = [getattr(self.losses, name) * term for name, term in terms.items()]
        return torch.stack(weighted).sum()


def choose(against: Target, hr: Tensor, teacher_sr: Tensor | None) -> list[Tensor]:
    """The pictures that a term compares with."""
    targets: list[Tensor] = []
    if against != "teacher":
        targets.append(hr)
    if against != "hr":
        assert teacher_sr is not None, "the step runs the teacher for this term"
        targets.append(teacher_sr)
    return targets


def prove_gradients(
    terms: dict[str, Tensor], parameters: Iterable[nn.Parameter], losses: Losses, whose: str
) -> dict[str, float]:
    """Show that each weighted term moves the parameters; returns the norm of its gradient.

    Raises:
        TrainingError: a term has no gradient, a zero one, or one that is not finite.
    """
    wanted = [parameter for parameter in parameters if parameter.requires_grad]
    norms: dict[str, float] = {}
    for name, term in terms.items():
        norms[name] = getattr(losses, name, 1.0) * _gradient_norm(term, wanted)
    dead = [name for name, norm in norms.items() if not 0 < norm < float("inf")]
    if dead:
        found = ", ".join(f"{name} (norm {norms[name]:g})" for name in dead)
        raise TrainingError(
            f"these loss terms give the {whose} no usable gradient: {found}",
            "Set their weight to 0, or mend what they compare with: a term that is already "
            "zero, or cut off from the network, trains nothing.",
        )
    return norms


def _gradient_norm(term: Tensor, parameters: list[nn.Parameter]) -> float:
    if not term.requires_grad:
        return 0.0
    grads = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
    norms = [grad.float().norm() for grad in grads if grad is not None]
    return float(torch.stack(norms).norm()) if norms else 0.0
