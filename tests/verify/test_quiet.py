"""When a machine is too busy to time anything, by injected figures."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from edgesr.verify import quiet
from edgesr.verify.quiet import NEEDED, VARIES, Surroundings, Watch

QUIET = Surroundings(
    threads=2,
    reference_ms=[6.0, 6.1, 6.0, 6.2, 9.9],  # one straggler is an interrupt
    cores=4,
    cores_taken=0.1,
    cpu_share=0.97,
    load_before=2.0,
    load_after=2.1,
)
CASES = {
    "quiet": ({}, ""),
    "a high load average, which may be our own": ({"load_before": 9.0}, ""),
    "the system does not tell": ({"cores_taken": None}, ""),
    "others are busy and there are cores enough": ({"cores_taken": 2.0}, ""),
    "others take a core that is needed": (
        {"cores_taken": 3.1},
        "other processes took 3.1 of 4 cores, 2 threads were timed",
    ),
    "more threads than cores": ({"threads": 8, "cores_taken": 0.1}, ""),
    "the reference varies": (
        {"reference_ms": [6.0, 6.0, 6.0, 12.0, 15.0]},
        "a fixed kernel took 6.0 to 12.0 ms around it, 2.0 x, at most 1.5 x is quiet",
    ),
}


@pytest.mark.parametrize(("change", "noise"), CASES.values(), ids=list(CASES))
def test_a_run_is_noisy_for_a_stated_reason(change: dict[str, object], noise: str) -> None:
    assert replace(QUIET, **change).noise == noise


def test_the_limits_themselves_are_quiet() -> None:
    assert not replace(QUIET, reference_ms=[1.0, VARIES, VARIES]).noise
    assert not replace(QUIET, cores_taken=4 - 2 * NEEDED).noise


def test_what_others_took_is_what_all_did_less_what_we_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, busy, own = iter([10.0, 12.0]), iter([100.0, 105.0]), iter([1.0, 4.0])
    monkeypatch.setattr(quiet.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(quiet, "busy_seconds", lambda: next(busy))
    monkeypatch.setattr(quiet, "own_seconds", lambda: next(own))
    monkeypatch.setattr(quiet, "reference_ms", lambda _: [5.0, 5.0])
    found = Watch(threads=2).stop()
    assert found.cores_taken == 1.0  # 5 s were worked, 3 of them by us, in 2 s
    assert found.cpu_share == 0.75
    assert found.reference_ms == [5.0] * 4
    assert found.as_dict()["surroundings"]["cores_taken"] == 1.0


def test_a_system_that_counts_no_time_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = psutil.cpu_times()._make([0.0] * len(psutil.cpu_times()))
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: [nothing] * 64 if percpu else nothing)
    assert quiet.busy_seconds() is None


def test_work_of_a_child_that_has_ended_is_our_own() -> None:
    before = quiet.own_seconds()
    code = "import time\nwhile time.process_time() < .2: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert quiet.own_seconds() - before >= 0.15


def test_the_reference_is_timed_by_as_many_threads_as_are_judged() -> None:
    assert len(quiet.reference_ms(2)) == quiet.SAMPLES
