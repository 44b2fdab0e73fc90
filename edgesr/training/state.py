"""What a checkpoint holds, and how a run goes on from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgesr import console, recipe_io
from edgesr.data.patches import PatchSampler
from edgesr.errors import TrainingError
from edgesr.recipe import Recipe
from edgesr.training.ema import Ema
from edgesr.training.steps import Player
from edgesr.workspace import atomic

CHANGEABLE = (
    *("training.steps", "training.log_every", "training.validate_every"),
    *("training.checkpoint_every", "gan.steps", "export.", "verify.", "gates."),
)
"""Keys that a run may be resumed with other values of. Where `steps` changes, the schedule of the
learning rate is the new one's from there on."""


@dataclass
class State:
    """Everything that changes while a stage trains. The teacher does not, so it is not here.

    Attributes:
        stage: "pixel" or "gan".
        step: steps of the stage that are done.
        seconds: training time of the run so far.
    """

    stage: str
    student: Player
    ema: Ema
    sampler: PatchSampler
    discriminator: Player | None = None
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path, recipe: Recipe) -> None:
        """Write a checkpoint atomically."""
        checkpoint: dict[str, Any] = {
            "recipe": recipe_io.dumps(recipe),
            "stage": self.stage,
            "step": self.step,
            "seconds": self.seconds,
            "student": _dump(self.student),
            "discriminator": self.discriminator and _dump(self.discriminator),
            "ema": {"module": self.ema.module.state_dict(), "updates": self.ema.updates},
            "sampler": self.sampler.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        with atomic(path) as temporary:
            torch.save(checkpoint, temporary)

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Go on where `checkpoint`, of the same stage, was written."""
        self.step, self.seconds = checkpoint["step"], checkpoint["seconds"]
        _restore(self.student, checkpoint["student"])
        if self.discriminator is not None:
            _restore(self.discriminator, checkpoint["discriminator"])
        self.ema.module.load_state_dict(checkpoint["ema"]["module"])
        self.ema.updates = checkpoint["ema"]["updates"]
        self.sampler.load_state_dict(checkpoint["sampler"])
        torch.set_rng_state(checkpoint["rng"])
        if checkpoint["cuda_rng"]:
            torch.cuda.set_rng_state_all(checkpoint["cuda_rng"])


def read_checkpoint(path: Path, recipe: Recipe) -> dict[str, Any]:
    """The checkpoint at `path`, tensors on the CPU.

    Raises:
        TrainingError: there is none, it is damaged, or it belongs to another recipe.
    """
    if not path.is_file():
        raise TrainingError(f"there is no checkpoint {path} to resume", "Leave --resume out.")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        theirs = recipe_io.loads(checkpoint["recipe"])
    except Exception as error:  # whatever a damaged file leads torch.load to raise
        raise TrainingError(f"checkpoint {path} is damaged: {error}") from None
    if "optimisers" not in checkpoint["student"]:
        raise TrainingError(
            f"checkpoint {path} was written by an earlier edgesr, with one optimiser for all",
            "Begin anew with --fresh.",
        )
    changed = recipe_io.difference(theirs, recipe)
    if fixed := [key for key in changed if not key.startswith(CHANGEABLE)]:
        raise TrainingError(
            f"checkpoint {path} was written by another recipe: {', '.join(fixed)} changed",
            "Resume with the same recipe, or begin anew with --fresh.",
        )
    for key in changed:
        console.say(f"resumed with another {key}")
    return checkpoint


def _dump(player: Player) -> dict[str, Any]:
    optimisers = [optimiser.state_dict() for optimiser in player.optimisers]
    return {"net": player.module.state_dict(), "optimisers": optimisers}


def _restore(player: Player, state: dict[str, Any]) -> None:
    player.module.load_state_dict(state["net"])
    for optimiser, theirs in zip(player.optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(theirs)
