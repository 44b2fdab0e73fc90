"""The best of a stage's validations, whose weights are kept beside the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from edgesr.errors import TrainingError
from edgesr.recipe import Metric, Recipe
from edgesr.training.validation import Score, Validation


@dataclass(frozen=True)
class Best:
    """The averaged weights after `step` of a stage, and their score; it goes into checkpoints, so
    that a resumed run knows it.

    Attributes:
        metric: by what they are the best.
        score: `Score.as_dict`.
        weights: a state_dict of their own, on the CPU.
    """

    step: int
    metric: Metric
    score: dict[str, Any]
    weights: dict[str, Tensor]


def better(best: Best | None, recipe: Recipe, step: int, score: Score, module: nn.Module) -> Best:
    """`best`, or `module` after `step` where its `score` is above; of equals the earlier one."""
    metric = recipe.training.keep_best
    assert metric != "none"
    value = score.value(metric)
    if best is not None and not value > Score.from_dict(best.score).value(metric):
        return best
    weights = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
    return Best(step, metric, score.as_dict(), weights)


def check_measured(recipe: Recipe, validation: Validation) -> None:
    """Raise TrainingError where the best is kept by what `validation` cannot measure."""
    if recipe.training.keep_best == "lpips" and not validation.sees:
        raise TrainingError(
            'training.keep_best = "lpips": LPIPS cannot be measured without the weights of '
            "AlexNet, on held-out photographs of at least 32 pixels a side",
            'Fetch them: edgesr weights --fetch. Or keep the best by PSNR: keep_best = "psnr".',
        )
