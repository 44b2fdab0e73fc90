"""A child process ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHILD = """
import os, sys, time
from edgesr.children import follow
follow()
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""
PARENT = """
import subprocess, sys
from edgesr import ending
from edgesr.children import lifeline
def work():
    with lifeline() as line:
        subprocess.run([sys.executable, *sys.argv[1:]], stdin=line)
ending.run(work)
"""


def wait_for(condition: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    """Whether a process is there and is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux' /proc")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_child_ends_with_its_parent(name: str, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "-c", CHILD, str(told)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: told.exists() and told.read_text())
    child = int(told.read_text())
    assert runs(child)
    parent.send_signal(getattr(signal, name))
    parent.wait()
    wait_for(lambda: not runs(child))
