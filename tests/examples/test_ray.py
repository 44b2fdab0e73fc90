"""Pictures shared among two local workers of Ray, one of which is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from edgesr import Upscaler

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "exports/edge-xs-x2"
PATIENCE = 240
"""Seconds that Ray may take to start two workers on a machine that is busy."""
COUNT = 40

pytest.importorskip("ray", reason="needs Ray: pip install 'edgesr[ray]'")


def command() -> list[str]:
    words = [sys.executable, str(ROOT / "examples/ray/upscale.py"), str(MODEL), "in", "out"]
    return [*words, "--variant", "fp32", "--manifest", "done.jsonl"]


def kill_a_worker(driver: int, out: Path) -> None:
    """As soon as there is a result."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if any(out.glob("*.png")):
            workers = [
                child
                for child in psutil.Process(driver).children(recursive=True)
                if child.name().startswith("ray::MapWorker")
            ]
            workers[0].kill()
            return
        time.sleep(0.05)
    raise AssertionError("no picture was enlarged")


def test_every_picture_is_done_once_though_a_worker_is_killed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        pixels = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"in/{number}.png")
    (tmp_path / "in/bad.jpg").write_text("not a picture")
    with (tmp_path / "said").open("wb") as said:
        running = subprocess.Popen(command(), cwd=tmp_path, stdout=said, stderr=said)
        try:
            kill_a_worker(running.pid, tmp_path / "out")
            assert running.wait(PATIENCE) == 1, (tmp_path / "said").read_text()[-2000:]
        finally:
            running.kill()
    rows = [json.loads(line) for line in (tmp_path / "done.jsonl").read_text().splitlines()]
    names = [row["name"] for row in rows if row["state"] == "done"]
    assert sorted(names) == sorted(f"{number}.png" for number in range(COUNT))
    assert [row["name"] for row in rows if row["state"] == "failed"] == ["bad.jpg"]
    upscaler = Upscaler(MODEL, threads=1, provider="cpu")
    for number in (0, COUNT - 1):
        with Image.open(tmp_path / f"in/{number}.png") as image:
            large = np.asarray(upscaler(image))
        with Image.open(tmp_path / f"out/{number}.png.png") as found:
            assert np.abs(np.asarray(found).astype(int) - large).max() <= 1
    assert len(list((tmp_path / "out").iterdir())) == COUNT
