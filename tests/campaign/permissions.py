"""Folders and files that are closed. Root gives up what lets it pass any permission."""

from __future__ import annotations

import ctypes
import os
from functools import partial
from pathlib import Path

from tests.campaign.bench import Bench, Tally, left_behind, state
from tests.commands import run

CLOSED = {
    "the workspace": (".", 0o555),
    "exports/": ("exports", 0o555),
    "runs/": ("runs", 0o555),
    "the bundle": ("exports/tiny", 0o555),
    "the bundle's golden/": ("exports/tiny/golden", 0o555),
    "the bundle, unreadable": ("exports/tiny", 0o000),
    "the card": ("exports/tiny/card.json", 0o000),
    "the weights of the run": ("runs/tiny/model.safetensors", 0o000),
    "a photograph": ("photographs/1.png", 0o000),
    "the photographs": ("photographs", 0o000),
    "the recipe": ("recipe.toml", 0o000),
    "the cache": ("cache", 0o555),
}
COMMANDS = (
    ["export", "tiny", "--onnx"],
    ["blend", "tiny", "other", "--alpha", "0.5", "--name", "both"],
    ["verify", "tiny", "--again"],
    ["distill", "recipe.toml", "--set", "name=new"],
    ["distill", "recipe.toml", "--fresh"],
    ["evaluate", "tiny", "--data", "photographs", "-o", "scores.json"],
    ["upscale", "tiny", "photographs", "-o", "large"],
    ["report", "tiny"],
)


def permissions(bench: Bench, scratch: Path) -> list[Tally]:
    """Each command with each of the places closed, in a random order, while there is time."""
    tally = Tally("a place that is closed")
    if not _can_be_stopped():
        tally.skipped = "no permission stops root here"
        return [tally]
    cases = [(place, words) for place in CLOSED for words in COMMANDS]
    bench.rng.shuffle(cases)
    for number in bench.share(1.0):
        if number == len(cases):
            break
        place, words = cases[number]
        _case(bench, scratch / "closed", place, words, tally)
    return [tally]


def _case(bench: Bench, folder: Path, place: str, words: list[str], tally: Tally) -> None:
    name, mode = CLOSED[place]
    _open(folder)
    bench.copy(folder)
    (folder / "cache").mkdir()
    before = state(folder, "runs/big", "runs/other", "photographs", "exports/tiny")
    (folder / name).chmod(mode)
    ended = run(folder, *words, before=partial(_give_up, folder))
    how = f"{' '.join(words)}, {place} closed"
    tally.expect(ended.told, f"{how}: {ended}")
    _open(folder)
    if (
        ended.code
        and before != state(folder, "runs/big", "runs/other", "photographs", "exports/tiny")
        and words[0] != "verify"
    ):
        tally.faults.append(f"{how}: it failed, and something has changed")
    if ended.code in (2, 3) and (left := left_behind(folder)):
        tally.faults.append(f"{how}: left behind {', '.join(left)}")


def _open(folder: Path) -> None:
    """Everything may be read and written again."""
    if folder.exists():
        for place, _ in CLOSED.values():
            if (folder / place).exists():
                (folder / place).chmod(0o755)
        for path in folder.rglob("*"):
            path.chmod(0o755)


def _give_up(folder: Path) -> None:
    """What root may do beyond others."""
    os.environ |= {"EDGESR_CACHE": str(folder / "cache"), "HOME": str(folder)}
    _drop_capabilities()


def _drop_capabilities() -> bool:
    """Have permissions count for this process also where it is root's; whether that was done."""
    version_3, this_process = 0x20080522, 0
    head = (ctypes.c_uint32 * 2)(version_3, this_process)
    none = (ctypes.c_uint32 * 6)()
    return ctypes.CDLL(None).capset(head, none) == 0


def _can_be_stopped() -> bool:
    """Whether a child can be had that permissions stop."""
    pid = os.fork()
    if not pid:
        os._exit(0 if os.getuid() or _drop_capabilities() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
