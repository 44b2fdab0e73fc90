"""What is computed from timings, and that the measuring process is alone with the model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesr.errors import VerifyError
from edgesr.runtimes.base import Facts, Tensor
from edgesr.verify.speed import measure, noise, speed, summarise


def test_percentiles_and_rates_follow_from_the_latencies() -> None:
    seconds = [0.010] * 19 + [0.110]
    found = summarise(seconds, 16 * 320 * 180)
    assert found["p50_ms"] == pytest.approx(10)
    assert found["p95_ms"] == pytest.approx(15)
    assert found["images_per_s"] == pytest.approx(1 / 0.015)
    assert found["output_megapixels_per_s"] == pytest.approx(16 * 320 * 180 / 1e6 / 0.015)


@pytest.fixture(scope="module")
def measured(exported: Path) -> dict[str, Any]:
    model = exported / "small/model.onnx"
    return speed("cpu", model, sizes=["9x7", "16x12", "5x5"], threads=1, runs=5)


def test_a_measurement_states_its_settings(measured: dict[str, Any]) -> None:
    stated = {key: measured[key] for key in ("precision", "threads", "size", "batch", "runs")}
    assert stated == {"precision": "float32", "threads": 1, "size": "9x7", "batch": 1, "runs": 5}
    assert 0 < measured["p50_ms"] <= measured["p95_ms"]
    if sys.platform == "linux":
        assert 1 < measured["peak_memory_mb"] < 1000


def test_a_cold_start_is_opening_and_the_first_run(measured: dict[str, Any]) -> None:
    assert 0 < measured["open_ms"] < measured["cold_start_ms"]


def test_each_new_shape_has_its_first_run_apart(measured: dict[str, Any]) -> None:
    assert [shape["size"] for shape in measured["shapes"]] == ["16x12", "5x5"]
    for shape in measured["shapes"]:
        assert shape["first_ms"] > 0
        assert 0 < shape["p50_ms"] <= shape["p95_ms"]


@dataclass
class Clock:
    """A runtime whose runs take 1, 2, 3, ... seconds."""

    runs: int = 0
    open_seconds: float = 0.5

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        self.runs += 1
        return lr, float(self.runs)

    def describe(self) -> Facts:
        return Facts("1", 1, "float32")

    def memory_mb(self) -> float | None:
        return None

    def close(self) -> None:
        self.runs = -1

    def open(self, *_: object, **__: object) -> Clock:
        return self


def test_the_first_run_is_cold_and_the_warm_up_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("edgesr.verify.speed.load", lambda _: clock)
    job = {"runtime": "cpu", "model": "x", "sizes": ["4x4", "8x8"], "threads": 1, "runs": 5}
    found = measure(job | {"dtype": "float32", "colours": 3, "exact": True})
    assert found["cold_start_ms"] == 1500
    assert found["p50_ms"] == 6000  # runs 4 to 8, behind three that warm up
    assert found["shapes"][0]["first_ms"] == 9000
    assert found["shapes"][0]["p50_ms"] == 14000
    assert clock.runs == -1  # closed


def test_noise_is_what_the_file_takes() -> None:
    for dtype in ("float32", "float16"):
        values = noise("5x3", dtype)
        assert (values.shape, values.dtype) == ((1, 3, 3, 5), dtype)
    pixels = noise("5x3", "uint8")
    assert (pixels.shape, pixels.dtype) == ((1, 3, 5, 3), np.uint8)


def test_the_worker_imports_no_torch() -> None:
    code = "import sys, edgesr.verify.speed; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_failing_worker_is_an_error_that_names_the_model(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match=r"timing .*nothing\.onnx on cpu failed"):
        speed("cpu", tmp_path / "nothing.onnx", sizes=["4x4"], threads=1, runs=5)
