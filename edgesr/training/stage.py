"""train() and distill(): a recipe in, a finished run on disk out.

setup -> pixel stage -> GAN stage, warm-started -> runs/<name>/model.safetensors, run.json
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch

import edgesr
from edgesr import console
from edgesr.bundle.records import run as record
from edgesr.data import shards
from edgesr.data.patches import PatchSampler
from edgesr.data.stream import StreamSampler
from edgesr.errors import TrainingError
from edgesr.folders import RUN, check_replaceable, discard, locked
from edgesr.machine import machine
from edgesr.models import zoo
from edgesr.models.srgan import Discriminator
from edgesr.models.unet import UNetDiscriminator
from edgesr.models.zoo import Trainable
from edgesr.recipe import Gan, Optimisation, Recipe, stages
from edgesr.recipe import io as recipe_io
from edgesr.training.allocator import keep_freed_memory
from edgesr.training.batch_norm import share_batch_norm
from edgesr.training.best import Best
from edgesr.training.ema import Ema
from edgesr.training.initialise import initialise
from edgesr.training.loop import Run, fit
from edgesr.training.preflight import frozen_layers, idle_layers
from edgesr.training.processes import (
    agree,
    connected,
    part,
    recipe_notes,
    started,
    told_to_all,
    warn_of_drift,
)
from edgesr.training.setup import Setup, set_up
from edgesr.training.state import Sampler, State, digest, read_checkpoint
from edgesr.training.steps import Step, TrainedNetwork
from edgesr.training.validation import Score
from edgesr.workspace import BEST, Workspace, is_litter, sha256, write_text

Command = Literal["train", "distill"]


def train(
    recipe: Recipe, workspace: Workspace, *, resume: bool = False, fresh: bool = False
) -> Path:
    """Train the recipe's model without a teacher; see `distill` for the rest."""
    if recipe.teacher is not None:
        raise TrainingError(
            f"recipe '{recipe.name}' names a teacher", "Use edgesr distill, or drop [teacher]."
        )
    return _run(recipe, workspace, "train", resume=resume, fresh=fresh)


def distill(
    recipe: Recipe, workspace: Workspace, *, resume: bool = False, fresh: bool = False
) -> Path:
    """Train the recipe's model as a student of its teacher.

    Args:
        resume: go on from the run's last checkpoint; the result is that of an uninterrupted run.
        fresh: throw an earlier run of this name away.

    Returns:
        `runs/<name>`, with model.safetensors, run.json, recipe.toml, log.jsonl and samples/.

    Raises:
        EdgesrError: the recipe, its teacher, photographs or weights do not do, a loss term
            trains nothing, or training went wrong.
    """
    if recipe.teacher is None:
        raise TrainingError(
            f"recipe '{recipe.name}' names no teacher",
            "Add [teacher] path = ..., give --teacher FILE, or use edgesr train.",
        )
    return _run(recipe, workspace, "distill", resume=resume, fresh=fresh)


def _run(
    recipe: Recipe, workspace: Workspace, command: Command, *, resume: bool, fresh: bool
) -> Path:
    fabric = started(recipe.training)
    folder = workspace.run(recipe.name)
    checkpoint = folder / "checkpoints" / "last.pt"
    with connected(checkpoint), ExitStack() as held:
        told = {"command": command, "--resume": str(resume), "--fresh": str(fresh)}
        agree(fabric, recipe_notes(recipe) | told | {"edgesr": edgesr.__version__})
        with told_to_all(fabric):
            if fabric.is_global_zero:
                held.enter_context(locked(folder, f"edgesr {command} {recipe.name}"))
                if not resume:
                    _check_free(workspace, recipe, fresh=fresh)
            saved = read_checkpoint(checkpoint, recipe) if resume else None
        setup = set_up(recipe, workspace, fabric)
        agree(fabric, _found(setup, saved))
        _train(setup, workspace, command, saved)
        part(fabric)
    return folder


def _found(setup: Setup, saved: dict[str, Any] | None) -> dict[str, str]:
    """What every process must have found on its machine."""
    return {
        "photographs": f"{setup.cache.key} {shards.key(setup.sources) if setup.sources else ''}",
        "teacher": setup.taught_by.sha256 if setup.taught_by else "none",
        "checkpoint": digest(saved | {"path": None}) if saved else "none",
    }


def _train(
    setup: Setup, workspace: Workspace, command: Command, checkpoint: dict[str, Any] | None
) -> None:
    recipe = setup.recipe
    keep_freed_memory()
    torch.manual_seed(recipe.seed)
    student = zoo.build(recipe.model)
    initialise(student, setup.start, setup.cache, setup.run.validate.pairs)
    if setup.fabric.world_size > 1:
        share_batch_norm(student)
    if setup.run.leads:
        _begin(workspace, recipe, anew=checkpoint is None)
    seconds, score, best = 0.0, None, None
    for stage, optimisation, _ in stages(recipe):
        if checkpoint is not None and checkpoint["stage"] != stage:
            continue  # done before the interruption; the checkpoint holds its weights
        state, step = _stage(setup, student, stage, optimisation)
        state.seconds = seconds
        if checkpoint is not None:
            _resume(setup.run, state, checkpoint)
            checkpoint = None
        else:
            step.prove(*state.sampler.next())
        score = fit(setup.run, optimisation, step, state)
        warn_of_drift(setup.fabric, digest(state.trained()))
        student.load_state_dict(state.ema.module.state_dict())
        seconds, best = state.seconds, state.best
    if setup.run.leads:
        _finish(setup, student, command, seconds, score, best)
        workspace.mark_latest(recipe.name)


def _resume(run: Run, state: State, checkpoint: dict[str, Any]) -> None:
    state.restore(checkpoint)
    if run.leads:
        run.log.rewind(state.stage, state.step)
        if checkpoint["path"] != run.checkpoint:  # the one before, as the last is damaged
            checkpoint["path"].replace(run.checkpoint)


def _check_free(workspace: Workspace, recipe: Recipe, *, fresh: bool) -> None:
    """Refuse to begin anew where there is a run, or anything else, unless `fresh`."""
    folder = workspace.run(recipe.name)
    if fresh:
        check_replaceable(folder, RUN, _inputs(workspace, recipe))
    elif folder.exists() and any(not is_litter(path.name) for path in folder.iterdir()):
        raise TrainingError(
            f"{folder} holds an earlier run",
            "Go on with --resume, begin anew with --fresh (the old run is deleted), "
            "or give another name: --set name=...",
        )


def _inputs(workspace: Workspace, recipe: Recipe) -> list[Path]:
    """What a training reads, which deleting an earlier run must not take from it."""
    teacher = recipe.teacher
    models = [recipe.training.init, *([teacher.path] if teacher else [])]
    folders = [recipe.data.photos, recipe.data.lr, *recipe.data.validation_sets]
    folders += [recipe.weights.folder, teacher.pictures if teacher else ""]
    found = [workspace.find_model(Path(name)) for name in models]
    found += [Path(name) for name in folders if name]
    found += [shard for source in shards.find(recipe.data) for shard in source.shards]
    return [path for path in found if path.exists()]


def _begin(workspace: Workspace, recipe: Recipe, *, anew: bool) -> None:
    """Write the recipe into the run's folder, now that everything it needs was found."""
    folder = workspace.run(recipe.name)
    if anew:
        discard(folder, RUN, _inputs(workspace, recipe))
    write_text(folder / "recipe.toml", recipe_io.dumps(recipe))


def _stage(
    setup: Setup, student: Trainable, name: str, optimisation: Optimisation
) -> tuple[State, Step]:
    fabric = setup.fabric
    loss = setup.losses[name]
    discriminator = None
    if loss.losses.adversarial and isinstance(optimisation, Gan):
        judge = Discriminator() if optimisation.discriminator == "srgan" else UNetDiscriminator()
        if fabric.world_size > 1:
            share_batch_norm(judge)
        discriminator = TrainedNetwork.prepared(fabric, judge, optimisation)
    freeze = frozen_layers(student, optimisation.freeze) + idle_layers(student)
    network = TrainedNetwork.prepared(fabric, student, optimisation, optimisation.optimiser, freeze)
    ema = Ema(network.module, setup.recipe.training.ema)
    step = Step(fabric, network, loss, setup.teacher, discriminator, optimisation.grad_clip)
    return State(name, network, ema, _sampler(setup), discriminator), step


def _sampler(setup: Setup) -> Sampler:
    recipe, fabric = setup.recipe, setup.fabric
    shared: dict[str, Any] = {
        "patch": recipe.training.patch,
        "batch": recipe.training.batch,
        "seed": recipe.seed,
        "device": fabric.device,
        "rank": fabric.global_rank,
        "world": fabric.world_size,
    }
    if setup.sources:
        return StreamSampler(setup.sources, recipe.data, scale=recipe.model.scale, **shared)
    return PatchSampler(setup.cache, targets=setup.targets, **shared)


def _finish(
    setup: Setup,
    student: Trainable,
    command: Command,
    seconds: float,
    score: Score | None,
    best: Best | None,
) -> None:
    recipe, folder = setup.recipe, setup.run.folder
    model = folder / "model.safetensors"
    # A kill between the two files leaves a run to be resumed, not weights with another's sum.
    (folder / "run.json").unlink(missing_ok=True)
    zoo.save(student, model, licence=recipe.licence)
    facts = record.Run.model_validate(
        {
            "name": recipe.name,
            "command": command,
            "architecture": zoo.describe(recipe.model),
            "teacher": setup.taught_by,
            "sha256": sha256(model),
            "steps": sum(optimisation.steps for _, optimisation, _ in stages(recipe)),
            "seconds": round(seconds, 1),
            "hardware": {"device": str(setup.fabric.device), **machine()},
            "validation": score and score.as_dict(),
            "best": best and _keep(best, recipe, folder),
            "versions": {"edgesr": edgesr.__version__, "torch": torch.__version__},
        }
    )
    facts.write(folder / "run.json")
    took = console.duration(seconds)
    console.say(f"{folder}: {zoo.describe(recipe.model)}, {took} of training")
    *_, (_, _, losses) = stages(recipe)
    if score is not None and (remark := score.remark(losses)):
        console.warn(f"{recipe.name} {remark}")


def _keep(best: Best, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Write the weights of the best validation; what run.json says of them."""
    student = zoo.build(recipe.model)
    student.load_state_dict(best.weights)
    zoo.save(student, folder / BEST, licence=recipe.licence)
    facts = {"step": best.step, "metric": best.metric, "validation": best.score}
    return facts | {"sha256": sha256(folder / BEST)}
