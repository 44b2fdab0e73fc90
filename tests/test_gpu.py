"""What `make gpu` writes down of its jobs; the jobs themselves are run by `make gpu DRY=1`."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("gpu")


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("gpu_tables")


def job(gpu: Any, name: str, code: str, **how: Any) -> Any:
    return gpu.Job(name, [sys.executable, "-c", code], **{"minutes": 1, **how})


def run(gpu: Any, folder: Path, *jobs: Any, minutes: float = 1.0) -> list[dict[str, Any]]:
    facts = {"dry": True, "card": "none", "versions": {"torch": "2"}}
    hour = gpu.Hour(folder, folder / "gpu.json", facts, minutes)
    for each in jobs:
        hour.run(each)
    done: list[dict[str, Any]] = json.loads((folder / "gpu.json").read_text())["jobs"]
    return done


def test_a_job_that_fails_is_told_with_its_reason_and_the_next_one_runs(
    gpu: Any, tmp_path: Path
) -> None:
    first, second = run(
        gpu,
        tmp_path,
        job(gpu, "one", "print('well'); raise SystemExit('no card')"),
        job(gpu, "two", "print('| a |')"),
    )
    assert (first["outcome"], first["reason"]) == ("failed", "exit code 1: no card")
    assert (second["outcome"], second["reason"]) == ("passed", "")
    assert second["output"] == "| a |\n"


def test_what_takes_too_long_has_failed_unless_it_has_no_end_of_its_own(
    gpu: Any, tmp_path: Path
) -> None:
    forever = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); time.sleep(60)"
    )
    slow = job(gpu, "slow", forever, minutes=0.03)
    training = job(gpu, "training", forever, minutes=0.03, endless=True)
    failed, passed = run(gpu, tmp_path, slow, training)
    assert failed["outcome"] == "failed"
    assert "took longer than" in failed["reason"]
    assert passed["outcome"] == "passed"


def test_where_no_time_is_left_a_job_is_left_out(gpu: Any, tmp_path: Path) -> None:
    (left_out,) = run(gpu, tmp_path, job(gpu, "late", "pass"), minutes=0.0)
    assert (left_out["outcome"], left_out["reason"]) == ("left out", "no time was left")


def test_the_page_keeps_what_stands_before_its_mark_and_shows_each_outcome(
    tables: Any, tmp_path: Path, gpu: Any
) -> None:
    run(gpu, tmp_path, job(gpu, "one", "raise SystemExit('a | b')"))
    report = json.loads((tmp_path / "gpu.json").read_text())
    text = tables.page(report, f"# On a GPU\n{tables.MARK}\nold tables\n")
    assert text.startswith(f"# On a GPU\n{tables.MARK}\n")
    assert "| one | failed: exit code 1: a \\| b |" in text
    assert "old tables" not in text


def test_the_page_in_docs_is_the_one_that_its_json_makes(tables: Any) -> None:
    source, page = ROOT / "docs/gpu.json", (ROOT / "docs/gpu.md").read_text(encoding="utf-8")
    report = json.loads(source.read_text(encoding="utf-8")) if source.is_file() else None
    assert tables.page(report, page) == page
