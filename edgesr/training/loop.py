"""fit(): the loop around a step, with its schedule, validation, log and checkpoints."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor

from edgesr import console
from edgesr.data.patches import REMEMBERED
from edgesr.errors import TrainingError
from edgesr.recipe import Gan, Optimisation, Recipe, Training
from edgesr.signals import ASKED, BURST, exit_code
from edgesr.training.best import better
from edgesr.training.finite import NotFinite
from edgesr.training.log import Log
from edgesr.training.means import Means
from edgesr.training.precision import tuned_convolutions
from edgesr.training.state import State
from edgesr.training.steps import Step
from edgesr.training.validation import Score, Validation

CALMER = "Try a lower learning rate, training.grad_clip = 1.0 or precision = fp32."


class Interrupted(TrainingError):
    """A signal asked to stop: everything up to the named step is saved."""

    is_fault = False

    def __init__(self, number: int, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.exit_code = exit_code(number)


@dataclass(frozen=True)
class Run:
    """What all stages of one run share.

    Attributes:
        folder: `runs/<name>`.
        leads: whether this process writes the log, the pictures and the checkpoints.
    """

    recipe: Recipe
    folder: Path
    log: Log
    validate: Validation
    leads: bool = True

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "last.pt"


def learning_rate(optimisation: Optimisation, step: int, start: float) -> float:
    """The learning rate of `step`, counted from 0, on the recipe's schedule from `start`."""
    if step < optimisation.warmup:
        start *= (step + 1) / optimisation.warmup
    if optimisation.schedule == "step":
        return start * optimisation.decay ** (step // optimisation.decay_every)
    if optimisation.schedule == "cosine":
        return start * 0.5 * (1 + math.cos(math.pi * step / optimisation.steps))
    return start


def fit(run: Run, optimisation: Optimisation, step: Step, state: State) -> Score | None:
    """Train one stage to its end, from wherever `state` stands.

    Returns:
        The score of the averaged weights after the last step; None where another process leads.

    Raises:
        TrainingError: a loss is not finite; names the step, the photographs and the checkpoint.
        Interrupted: a signal asked to stop; the state is saved.
    """
    training = run.recipe.training
    score = _validate(run, state) if state.step == 0 else None
    title = f"{state.stage} stage"
    steps = optimisation.steps
    with console.bar(state.stage, steps, state.step) as bar, stop_requested() as stop:
        meter = Meter(training.batch)
        while state.step < optimisation.steps:
            set_learning_rates(optimisation, state)
            last = state.step + 1 == optimisation.steps
            looks = not step.queues or last or _is_due(training, state.step + 1)
            record = _train(run, step, state, looks)
            state.step += 1
            state.seconds += meter.tick(record)
            state.means.add(record)
            if last or state.step % training.log_every == 0:
                _share(step, state)
                _log(run, optimisation, state, meter)
                state.means.clear()
            if last or state.step % training.validate_every == 0:
                score = _validate(run, state)
                meter.restart()
            bar.advance(1, partial(_standing, meter, state, score))
            stopped = step.agreed(stop) if looks or step.fabric.world_size == 1 else 0
            if stopped or last or state.step % training.checkpoint_every == 0:
                _share(step, state)
                _save(run, state)
                meter.restart()
            if stopped:
                step.fabric.barrier()  # no process ends before the first has saved
                raise Interrupted(
                    stopped,
                    f"stopped at step {state.step} of the {state.stage} stage; all is saved",
                    "Go on with the same command and --resume.",
                )
    if score is None and run.leads:
        score = run.validate(state.ema.module, _sample(run, state))
    if run.leads:
        console.say(f"{title}: {state.step} steps, {_versus(score)}")
    return score


def _save(run: Run, state: State) -> None:
    """Write the checkpoint; all processes refuse weights that are not finite, as all have them."""
    if strange := state.not_finite():
        raise TrainingError(
            f"after step {state.step} of the {state.stage} stage the weights are not finite: "
            f"{', '.join(strange[:5])}; nothing was saved",
            f"{_saved(run)} {CALMER}",
        )
    if run.leads:
        state.save(run.checkpoint, run.recipe)


def _saved(run: Run) -> str:
    if run.checkpoint.exists():
        return f"The last good checkpoint is {run.checkpoint}."
    return "No checkpoint was written yet."


def _train(run: Run, step: Step, state: State, looks: bool) -> dict[str, Tensor]:
    batch = state.sampler.next()
    try:
        with tuned_convolutions():
            record = step(*batch)
        state.ema.update(state.student.module)
        if looks:
            step.settle()
    except NotFinite as error:
        raise TrainingError(
            f"step {state.step - error.ago} of the {state.stage} stage: {error.message}; "
            f"batch: {', '.join(sorted(set(state.sampler.files(error.ago))))}",
            f"{_saved(run)} {CALMER}",
        ) from None
    return record


def _is_due(training: Training, step: int) -> bool:
    """Whether a GPU is waited for after `step`: where its figures are wanted, and every so often,
    for a fault or a request to stop to be seen."""
    every = (training.log_every, training.validate_every, training.checkpoint_every, REMEMBERED)
    return any(step % each == 0 for each in every)


def _share(step: Step, state: State) -> None:
    """Give every process the mean of all processes' sums, which a checkpoint has for all of them;
    each must call this."""
    if state.means.steps:
        state.means.sums = step.average({"sums": state.means.sums})["sums"]


def learning_rates(optimisation: Optimisation, state: State, step: int) -> dict[str, float]:
    """The schedule's learning rate at `step` of each network, as the log names them."""
    starts = {"lr": optimisation.lr}
    if state.discriminator is not None and isinstance(optimisation, Gan):
        starts["discriminator_lr"] = optimisation.discriminator_lr
    return {name: learning_rate(optimisation, step, start) for name, start in starts.items()}


def set_learning_rates(optimisation: Optimisation, state: State) -> None:
    """Put the schedule's learning rates into the optimisers."""
    rates = learning_rates(optimisation, state, state.step)
    state.student.set_learning_rate(rates["lr"])
    if state.discriminator is not None and "discriminator_lr" in rates:
        state.discriminator.set_learning_rate(rates["discriminator_lr"])


def _log(run: Run, optimisation: Optimisation, state: State, meter: Meter) -> None:
    if run.leads:
        rates = learning_rates(optimisation, state, state.step - 1)
        speed = round(meter.images_per_s, 1)
        means = state.means.mean()
        run.log.write(state.stage, state.step, **rates, images_per_s=speed, **means)


def _standing(meter: Meter, state: State, score: Score | None) -> str:
    """How things stand, for the screen: the learning rate is that of the generator."""
    lr = state.student.optimisers[-1].param_groups[0]["lr"]
    return f"{meter.text()} lr {lr:.2g} {_versus(score)}"


def _validate(run: Run, state: State) -> Score | None:
    if not run.leads:
        return None
    sample = _sample(run, state)
    score = run.validate(state.ema.module, sample)
    run.log.write(state.stage, state.step, validation=score.as_dict())
    run.log.show(state.stage, state.step, sample)
    if state.step and run.recipe.training.keep_best != "none":
        state.best = better(state.best, run.recipe, state.step, score, state.ema.module)
    return score


def _sample(run: Run, state: State) -> Path:
    return run.folder / "samples" / f"{state.stage}-{state.step:07d}.png"


def _versus(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{score.psnr_db:.2f} dB (bicubic {score.bicubic_psnr_db:.2f})"


class Meter:
    """What the screen shows of the steps: images per second over about the last fifty, pauses not
    counted, and the mean loss since it was shown."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.seconds_per_step = 0.0
        self.loss = Means()
        self.restart()

    def restart(self) -> None:
        """Begin to measure the next step now."""
        self.mark = time.perf_counter()

    def tick(self, record: dict[str, Tensor]) -> float:
        """Count one step, which returned `record`; returns its seconds."""
        self.loss.add({"loss": record["loss"]})
        now = time.perf_counter()
        seconds, self.mark = now - self.mark, now
        share = 0.02 if self.seconds_per_step else 1.0
        self.seconds_per_step += share * (seconds - self.seconds_per_step)
        return seconds

    @property
    def images_per_s(self) -> float:
        return self.batch / self.seconds_per_step if self.seconds_per_step else 0.0

    def text(self) -> str:
        """Loss and speed; the next loss is the mean from here on."""
        loss = self.loss.mean()["loss"]
        self.loss.clear()
        return f"loss {loss:.4f} {self.images_per_s:.0f} img/s"


@contextmanager
def stop_requested() -> Iterator[list[int]]:
    """A list that fills when a signal asks to stop; a second one, later than a burst of the same
    request, is not held back.

    A signal that the process was started to ignore, as `nohup` does with SIGHUP, stays ignored.
    """
    received: list[int] = []
    before: dict[int, Any] = {}
    first = 0.0

    def remember(number: int, _: FrameType | None) -> None:
        nonlocal first
        if not received:
            first = time.monotonic()
            received.append(number)
        elif time.monotonic() - first > BURST:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    try:
        for number in ASKED:
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, remember)
    except ValueError:  # only the main thread may; elsewhere nothing is caught
        pass
    try:
        yield received
    finally:
        for caught, handler in before.items():
            signal.signal(caught, handler)
