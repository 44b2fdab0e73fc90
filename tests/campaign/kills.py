"""`kill -9` at random moments: the next command works, nothing is lost. SIGTERM: nothing stays."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from tests.campaign.bench import Bench, Tally, left_behind, state
from tests.commands import Command, Ended, run

COMMANDS = {
    "export": ["export", "tiny", "--onnx", "--uint8-io"],
    "blend": ["blend", "tiny", "other", "--alpha", "0.5", "--name", "both"],
    "verify": ["verify", "tiny", "--again"],
    "distill": ["distill", "recipe.toml", "--set", "name=new"],
}
INPUTS = ("photographs", "runs/tiny", "runs/other", "runs/big")


def kills(bench: Bench, scratch: Path) -> list[Tally]:
    """Every command in its turn, killed and asked to stop, each with its share of the time."""
    tallies = []
    for number, (name, words) in enumerate(COMMANDS.items()):
        left = len(COMMANDS) - number
        tallies.append(_kill(bench, scratch, name, words, 2 / (3 * left)))
        tallies.append(_stop(bench, scratch, name, words, 1 / (3 * left - 2)))
    return tallies


def _stop(bench: Bench, scratch: Path, name: str, words: list[str], part: float) -> Tally:
    """SIGTERM and SIGHUP: the exit code says so, and no child, file or traceback is left."""
    tally = Tally(f"SIGTERM, SIGHUP of {name}")
    for number in bench.share(part):
        folder = bench.copy(scratch / f"stop-{name}-{number % 2}")
        after, requested = (
            bench.rng.uniform(0, 3),
            bench.rng.choice([signal.SIGTERM, signal.SIGHUP]),
        )
        command = Command(folder, *words)
        time.sleep(after)
        with suppress(ProcessLookupError):  # it has ended
            os.kill(command.pid, requested)
        ended = command.wait()
        how = f"{name} stopped by {requested.name} after {after:.3f} s"
        # Minus the signal: it came before the command had begun.
        fine = ended.code in (0, 1, 128 + requested, -requested) and "Traceback" not in ended.said
        tally.expect(fine, f"{how}: {ended}")
        if left := left_behind(folder):
            tally.faults.append(f"{how}: left behind {', '.join(left)}")
        if state(folder, *INPUTS) != state(bench.folder, *INPUTS):
            tally.faults.append(f"{how}: an input has changed")
        if _alive(command.pid):
            tally.faults.append(f"{how}: a child goes on")
            command.kill()
    return tally


def _alive(group: int) -> bool:
    """Whether a process group has members."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _kill(bench: Bench, scratch: Path, name: str, words: list[str], part: float) -> Tally:
    tally = Tally(f"kill -9 of {name}")
    folder = bench.copy(scratch / f"whole-{name}")
    began = time.monotonic()
    whole = run(folder, *words)
    took = time.monotonic() - began
    tally.expect(whole.code in (0, 1), f"{name}, not killed: {whole}")
    wanted = state(folder, "runs/new/model.safetensors", "runs/both/model.safetensors", "runs/new")
    for number in bench.share(part):
        folder = bench.copy(scratch / f"{name}-{number % 2}")
        after = bench.rng.uniform(0, 1.05 * took)
        command = Command(folder, *words)
        time.sleep(after)
        command.kill()
        command.wait()
        for fault in _faults(bench, folder, name, words, wanted):
            tally.faults.append(f"{name} killed after {after:.3f} s: {fault}")
        tally.cases += 1
    return tally


def _faults(
    bench: Bench, folder: Path, name: str, words: list[str], wanted: dict[str, str]
) -> list[str]:
    """What is wrong after a kill."""
    found = []
    checked = run(folder, "bundle", "check", "tiny")
    if checked.code != 0:
        found.append(f"the bundle is not whole, {checked}")
    if left := [path for path in left_behind(folder) if "new-" in path or "old-" in path]:
        found.append(f"the next command leaves {', '.join(left)}")
    if state(folder, *INPUTS) != state(bench.folder, *INPUTS):
        found.append("an input has changed")
    again = _again(folder, name, words)
    if again.code not in (0, 1) or not again.told:
        found.append(f"the same command fails, {again}")
    weights = "runs/new/model.safetensors"
    if name == "distill" and state(folder, "runs/new").get(weights) != wanted.get(weights):
        found.append("what was resumed ends in other weights")
    if left := left_behind(folder):
        found.append(f"left behind: {', '.join(left)}")
    return found


def _again(folder: Path, name: str, words: list[str]) -> Ended:
    if name != "distill" or not (folder / "runs/new").exists():
        return run(folder, *words)
    saved = (folder / "runs/new/checkpoints/last.pt").exists()
    return run(folder, *words, "--resume" if saved else "--fresh")
