"""What a checkpoint holds, and how a run goes on from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from edgesr import console
from edgesr.errors import TrainingError
from edgesr.recipe import Recipe, stages
from edgesr.recipe import io as recipe_io
from edgesr.training.best import Best
from edgesr.training.ema import Ema
from edgesr.training.means import Means
from edgesr.training.steps import TrainedNetwork
from edgesr.workspace import atomic

CHANGEABLE = (
    *("training.steps", "training.log_every", "training.validate_every"),
    *("training.checkpoint_every", "gan.steps", "data.validation_sets", "data.stream.workers"),
    *("export.", "verify.", "gates."),
)
"""Keys that a run may be resumed with other values of. Where `steps` changes, the schedule of the
learning rate is the new one's from there on."""


class Sampler(Protocol):
    """Where the batches come from: `PatchSampler`, `StreamSampler`."""

    def next(self) -> tuple[Tensor, ...]: ...
    def files(self, ago: int = 0) -> list[str]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass
class State:
    """Everything that changes while a stage trains. The teacher does not, so it is not here.

    Attributes:
        stage: "pixel" or "gan".
        step: steps of the stage that are done.
        seconds: training time of the run so far.
        means: the loss and its terms since the last line of the log.
        best: of the stage's validations; None before the first, and where none is kept.
    """

    stage: str
    student: TrainedNetwork
    ema: Ema
    sampler: Sampler
    discriminator: TrainedNetwork | None = None
    step: int = 0
    seconds: float = 0.0
    means: Means = field(default_factory=Means)
    best: Best | None = None

    def save(self, path: Path, recipe: Recipe) -> None:
        """Write a checkpoint atomically; the one that was at `path` becomes `previous(path)`."""
        checkpoint: dict[str, Any] = {
            "recipe": recipe_io.dumps(recipe),
            "stage": self.stage,
            "step": self.step,
            "seconds": self.seconds,
            "student": _dump(self.student),
            "discriminator": self.discriminator and _dump(self.discriminator),
            "ema": {"module": self.ema.module.state_dict(), "updates": self.ema.updates},
            "sampler": self.sampler.state_dict(),
            "means": self.means.state_dict(),
            "best": self.best and vars(self.best),
            "rng": torch.get_rng_state(),
            "cuda_rng": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
        }
        with atomic(path) as temporary:
            torch.save({"sha256": digest(checkpoint), **checkpoint}, temporary)
            if path.is_file():
                path.replace(previous(path))

    def trained(self) -> dict[str, Tensor]:
        """The average's values but of parameters that do not train: SPAN sets its own anew whenever
        it is validated, which the first process alone does."""
        kept = {
            name
            for name, parameter in self.student.module.named_parameters()
            if not parameter.requires_grad
        }
        values = self.ema.module.state_dict()
        return {name: value for name, value in values.items() if name not in kept}

    def not_finite(self) -> list[str]:
        """The names of tensors that hold NaN or infinity, of the networks and of the average."""
        networks = {"student": self.student.module, "average": self.ema.module}
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator.module
        return [
            f"{network}.{name}"
            for network, module in networks.items()
            for name, value in module.state_dict().items()
            if not torch.isfinite(value).all()
        ]

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Go on where `checkpoint`, of the same stage, was written."""
        self.step, self.seconds = checkpoint["step"], checkpoint["seconds"]
        _restore(self.student, checkpoint["student"])
        if self.discriminator is not None:
            _restore(self.discriminator, checkpoint["discriminator"])
        self.ema.module.load_state_dict(checkpoint["ema"]["module"])
        self.ema.updates = checkpoint["ema"]["updates"]
        self.sampler.load_state_dict(checkpoint["sampler"])
        self.means.load_state_dict(checkpoint["means"])
        best = checkpoint.get("best")  # those of earlier versions have none
        self.best = Best(**best) if best else None
        torch.set_rng_state(checkpoint["rng"])
        if checkpoint["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(checkpoint["cuda_rng"][0])  # each process has one card


class Damaged(TrainingError):
    """A checkpoint that does not hold what was written into it."""


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name("previous.pt")


def read_checkpoint(path: Path, recipe: Recipe) -> dict[str, Any]:
    """The checkpoint at `path`, tensors on the CPU; the one before where it is missing or damaged,
    which is said.

    Returns:
        What `State.restore` takes, and as "path" the file that it was read from.

    Raises:
        TrainingError: there is none, none is whole, or it belongs to another recipe.
    """
    found = [each for each in (path, previous(path)) if each.is_file()]
    if not found:
        raise TrainingError(f"there is no checkpoint {path} to resume", "Leave --resume out.")
    faults = [] if path in found else [f"checkpoint {path} is missing"]
    for each in found:
        try:
            checkpoint = _load(each)
        except Damaged as error:
            faults.append(error.message)
            continue
        _check_belongs(each, checkpoint, recipe)
        for fault in faults:
            console.warn(f"{fault}; going on from the one before, {_place(each, checkpoint)}")
        return checkpoint | {"path": each}
    raise TrainingError("; ".join(faults), "Begin anew with --fresh.")


def _load(path: Path) -> dict[str, Any]:
    """The checkpoint at `path`, if it holds what was written into it."""
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        stated = checkpoint.pop("sha256", None)
        found = digest(checkpoint)
    except Exception as error:  # whatever a damaged file leads torch.load to raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Damaged(f"checkpoint {path} is damaged: {reason}") from None
    if stated is None or "means" not in checkpoint:
        raise TrainingError(
            f"checkpoint {path} was written by an earlier edgesr",
            "Begin anew with --fresh.",
        )
    if stated != found:
        raise Damaged(f"checkpoint {path} is damaged: its content is not what its SHA-256 states")
    return checkpoint


def _check_belongs(path: Path, checkpoint: dict[str, Any], recipe: Recipe) -> None:
    """Raise TrainingError where `recipe` would not have come by this checkpoint."""
    changed = recipe_io.difference(recipe_io.loads(checkpoint["recipe"]), recipe)
    if fixed := [key for key in changed if not key.startswith(CHANGEABLE)]:
        raise TrainingError(
            f"checkpoint {path} was written by another recipe: {', '.join(fixed)} changed",
            "Resume with the same recipe, or begin anew with --fresh.",
        )
    _check_place(path, checkpoint, recipe)
    for key in changed:
        console.say(f"resumed with another {key}")


def _check_place(path: Path, checkpoint: dict[str, Any], recipe: Recipe) -> None:
    """Raise TrainingError where the checkpoint's stage and step are none of the recipe's."""
    steps = {name: optimisation.steps for name, optimisation, _ in stages(recipe)}
    if checkpoint["stage"] not in steps:
        raise TrainingError(
            f"{_place(path, checkpoint)}: the recipe has {' and '.join(steps)} stages only",
            "Begin anew with --fresh.",
        )
    last = steps[checkpoint["stage"]]
    if not 0 <= checkpoint["step"] <= last:
        raise TrainingError(
            f"{_place(path, checkpoint)}, which has {last} steps in the recipe",
            "Resume with at least as many steps as are done, or begin anew with --fresh.",
        )


def _place(path: Path, checkpoint: dict[str, Any]) -> str:
    return f"{path} of step {checkpoint['step']} of the {checkpoint['stage']} stage"


def digest(value: object) -> str:
    """The SHA-256 of dictionaries, lists, tensors and plain values inside each other. What
    `torch.save` writes of them carries sums that `torch.load` does not compare."""
    sums = hashlib.sha256()
    _add(sums, value)
    return sums.hexdigest()


def _add(sums: hashlib._Hash, value: object) -> None:
    if isinstance(value, Tensor):
        sums.update(f"{value.dtype} {tuple(value.shape)}".encode())
        sums.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, dict):
        _add(sums, list(value.items()))
    elif isinstance(value, list | tuple):
        sums.update(f"{len(value)} in".encode())
        for each in value:
            _add(sums, each)
    else:
        sums.update(repr(value).encode())


def _dump(network: TrainedNetwork) -> dict[str, Any]:
    optimisers = [optimiser.state_dict() for optimiser in network.optimisers]
    scaler = network.scaler.state_dict()
    return {"net": network.module.state_dict(), "optimisers": optimisers, "scaler": scaler}


def _restore(network: TrainedNetwork, state: dict[str, Any]) -> None:
    network.module.load_state_dict(state["net"])
    for optimiser, theirs in zip(network.optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(theirs)
    if scaler := state.get("scaler"):  # those of earlier versions have none
        network.scaler.load_state_dict(scaler)
