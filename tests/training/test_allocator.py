"""What the C library is told about freed memory."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from edgesr.training import allocator

FAULTS = """
import resource, sys
from edgesr.training.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
import torch
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(2**23) for _ in range(2)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults(), float(torch.ones(2**23).sum()))
"""


def faults(how: str) -> tuple[float, float]:
    """Page faults of twenty times two blocks of 32 MiB, and a sum over one more."""
    command = [sys.executable, "-c", FAULTS, how]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    count, total = done.stdout.split()
    return float(count), float(total)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_blocks_are_used_again_without_page_faults_and_hold_the_same_values() -> None:
    usual, kept = faults("usual"), faults("kept")
    assert kept[0] < usual[0] / 10
    assert kept[1] == usual[1] == 2**23


def test_a_c_library_other_than_glibc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Musl:
        def mallopt(self, *_: int) -> int:
            raise AssertionError("told to a library that is not glibc")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Musl())
    assert not allocator.keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert not allocator.keep_freed_memory()
