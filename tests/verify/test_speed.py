"""What is computed from timings, and that the measuring process is alone with the model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgesr.errors import VerifyError
from edgesr.recipe import Verify
from edgesr.verify.speed import speed, summarise


def test_percentiles_and_rates_follow_from_the_latencies() -> None:
    seconds = [0.010] * 19 + [0.110]
    found = summarise(seconds, 320, 180)
    assert found["p50_ms"] == pytest.approx(10)
    assert found["p95_ms"] == pytest.approx(15)
    assert found["images_per_s"] == pytest.approx(1 / 0.015)
    assert found["output_megapixels_per_s"] == pytest.approx(16 * 320 * 180 / 1e6 / 0.015)


def test_a_measurement_states_its_settings(exported: Path) -> None:
    settings = Verify(size="9x7", threads=1, runs=5)
    found = speed(exported / "small/model.onnx", "cpu", settings)
    stated = {key: found[key] for key in ("provider", "threads", "size", "batch", "runs")}
    assert stated == {
        "provider": "CPUExecutionProvider",
        "threads": 1,
        "size": "9x7",
        "batch": 1,
        "runs": 5,
    }
    assert 0 < found["p50_ms"] <= found["p95_ms"]
    if sys.platform == "linux":
        assert 1 < found["peak_memory_mb"] < 1000


def test_the_worker_imports_no_torch() -> None:
    code = "import sys, edgesr.verify.speed; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_failing_worker_is_an_error_that_names_the_model(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match=r"timing .*nothing\.onnx failed"):
        speed(tmp_path / "nothing.onnx", "cpu", Verify())
