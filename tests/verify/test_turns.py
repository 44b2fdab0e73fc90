"""Files that take turns."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgesr.errors import VerifyError
from edgesr.runtimes.base import Tensor
from edgesr.verify.speed import WARMUP
from edgesr.verify.turns import RUNS, TURNS, Timed, in_turn, measure


@dataclass
class Clock:
    """A runtime on which the first runs of a file take 100 s, and later ones as its name says."""

    journal: list[str] = field(default_factory=list)

    def open(self, model: Path, **_: int) -> Clock:
        self.journal.append(f"open {model.name}")
        self.seconds, self.runs = float(model.name), 0
        return self

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        self.runs += 1
        return lr, 100.0 if self.runs <= WARMUP else self.seconds

    def close(self) -> None:
        self.journal.append("close")


def test_one_file_is_open_at_a_time_and_each_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("edgesr.verify.turns.load", lambda _: clock)
    files = [{"model": "1"}, {"model": "2", "runtime": "openvino", "exact": False}]
    found = measure({"files": files, "size": "4x4", "threads": 1, "patience": 1e9})["rows"]
    assert clock.journal == ["open 1", "close", "open 2", "close"] * TURNS
    assert clock.runs == WARMUP + RUNS
    assert [(row["p50_ms"], row["p95_ms"]) for row in found] == [(1000, 1000), (2000, 2000)]


def test_the_worker_imports_no_torch() -> None:
    code = "import sys, edgesr.verify.turns; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_failing_worker_is_an_error_that_says_at_what(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match=r"timing networks on cpu failed: \S"):
        in_turn([Timed(tmp_path / "nothing.onnx")], size="4x4", threads=1)


def test_a_file_that_takes_far_too_long_is_run_once_in_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("edgesr.verify.turns.load", lambda _: clock)
    job = {"files": [{"model": "1"}], "size": "4x4", "threads": 1, "patience": 5.0}
    assert measure(job)["rows"][0]["p50_ms"] == 100e3
    assert clock.runs == 1
