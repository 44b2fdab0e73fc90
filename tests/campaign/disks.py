"""Full disks: a small file system of memory, or where that cannot be mounted a limit on files."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.campaign.bench import Bench, Tally, left_behind, state
from tests.campaign.kills import COMMANDS, INPUTS
from tests.commands import Ended, run

SIZE = 24 * 2**20


def disks(bench: Bench, scratch: Path) -> list[Tally]:
    """Commands that run out of disk at a random byte, and a display that does."""
    tallies = [_display(bench)]
    with _small(scratch / "disk") as disk:
        tallies += [_full(bench, scratch, disk, name, words) for name, words in COMMANDS.items()]
    return tallies


@contextmanager
def _small(folder: Path) -> Iterator[Path | None]:
    """A file system of `SIZE` bytes; None where this user may not mount one."""
    folder.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    mount = shutil.which("mount")
    done = subprocess.run([mount, *options], capture_output=True, check=False) if mount else None
    if done is None or done.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _full(bench: Bench, scratch: Path, disk: Path | None, name: str, words: list[str]) -> Tally:
    how = "full disk" if disk else "limit on files"
    tally = Tally(f"{how}: {name}")
    for number in bench.share(0.2):
        room = int(2 ** bench.rng.uniform(8, 18))
        folder = bench.copy((disk or scratch) / "work")
        ended = _filled(folder, disk, words, room) if disk else _limited(folder, words, room)
        tally.expect(ended.told, f"{how}, {name}, {room} bytes of room: {ended}")
        if state(folder, *INPUTS) != state(bench.folder, *INPUTS):
            tally.faults.append(f"{how}, {name}, {room} bytes of room: an input has changed")
        checked = run(folder, "bundle", "check", "tiny")
        if checked.code:
            tally.faults.append(f"{how}, {name}, {room} bytes of room: bundle, {checked}")
        if left := left_behind(folder):
            tally.faults.append(f"{how}, {name}, {room} bytes of room: left {', '.join(left)}")
        del number
    return tally


def _filled(folder: Path, disk: Path, words: list[str], room: int) -> Ended:
    """Run with `room` bytes free, then free the rest."""
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - room, 1))
    try:
        return run(folder, *words, before=_own_cache)
    finally:
        filler.unlink()


def _limited(folder: Path, words: list[str], room: int) -> Ended:
    return run(folder, *words, before=partial(_limit, room))


def _limit(room: int) -> None:
    _own_cache()
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))


def _own_cache() -> None:
    os.environ["EDGESR_CACHE"] = str(Path("cache").absolute())


def _display(bench: Bench) -> Tally:
    """`> /dev/full`: the work is done and the exit code says that its output was lost."""
    tally = Tally("stdout on a full disk")
    if not Path("/dev/full").exists():
        tally.skipped = "there is no /dev/full"
        return tally
    for words in (["recipe", "show", "recipe.toml"], ["bundle", "check", "tiny"], ["doctor"]):
        ended = run(bench.folder, *words, before=_full_stdout)
        tally.expect(ended.code == 4 and ended.told, f"{' '.join(words)} > /dev/full: {ended}")
    return tally


def _full_stdout() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
