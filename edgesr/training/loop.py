"""fit(): the loop around a step, with its schedule, validation, log and checkpoints."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor

from edgesr import console
from edgesr.errors import TrainingError
from edgesr.recipe import Gan, Optimisation, Recipe
from edgesr.signals import ASKED, BURST, exit_code
from edgesr.training.log import Log
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
            record = _train(run, step, state)
            state.step += 1
            state.seconds += meter.tick()
            last = state.step == optimisation.steps
            if last or state.step % training.log_every == 0:
                _log(run, optimisation, state, step.average(record), meter)
            if last or state.step % training.validate_every == 0:
                score = _validate(run, state)
                meter.restart()
            bar.advance(1, f"{meter.text(record)} {_versus(score)}")
            stopped = step.agreed(stop)
            if stopped or last or state.step % training.checkpoint_every == 0:
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


def _train(run: Run, step: Step, state: State) -> dict[str, Tensor]:
    batch = state.sampler.next()
    try:
        record = step(*batch)
    except TrainingError as error:
        raise TrainingError(
            f"step {state.step} of the {state.stage} stage: {error.message}; "
            f"batch: {', '.join(sorted(set(state.sampler.last_files)))}",
            f"{_saved(run)} {CALMER}",
        ) from None
    state.ema.update(state.student.module)
    return record


def set_learning_rates(optimisation: Optimisation, state: State) -> None:
    """Put the schedule's learning rates into the optimisers."""
    networks = [(state.student, optimisation.lr)]
    if state.discriminator is not None and isinstance(optimisation, Gan):
        networks.append((state.discriminator, optimisation.discriminator_lr))
    for network, start in networks:
        network.set_learning_rate(learning_rate(optimisation, state.step, start))


def _log(
    run: Run, optimisation: Optimisation, state: State, record: dict[str, Tensor], meter: Meter
) -> None:
    if run.leads:
        values = {name: float(value) for name, value in record.items()}
        lr = learning_rate(optimisation, state.step - 1, optimisation.lr)
        speed = round(meter.images_per_s, 1)
        run.log.write(state.stage, state.step, lr=lr, images_per_s=speed, **values)


def _validate(run: Run, state: State) -> Score | None:
    if not run.leads:
        return None
    score = run.validate(state.ema.module, _sample(run, state))
    run.log.write(state.stage, state.step, validation=score.as_dict())
    return score


def _sample(run: Run, state: State) -> Path:
    return run.folder / "samples" / f"{state.stage}-{state.step:07d}.png"


def _versus(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{score.psnr_db:.2f} dB (bicubic {score.bicubic_psnr_db:.2f})"


class Meter:
    """Images per second, over about the last fifty steps; pauses do not count."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.seconds_per_step = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin to measure the next step now."""
        self.mark = time.perf_counter()

    def tick(self) -> float:
        """Count one step; returns its seconds."""
        now = time.perf_counter()
        seconds, self.mark = now - self.mark, now
        share = 0.02 if self.seconds_per_step else 1.0
        self.seconds_per_step += share * (seconds - self.seconds_per_step)
        return seconds

    @property
    def images_per_s(self) -> float:
        return self.batch / self.seconds_per_step if self.seconds_per_step else 0.0

    def text(self, record: dict[str, Tensor]) -> str:
        return f"loss {float(record['loss']):.4f} {self.images_per_s:.0f} img/s"


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
