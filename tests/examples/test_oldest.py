"""A shipped bundle in the oldest ONNX Runtime that docs/embedding.md promises, by the Python
example: 1.16. In 1.15 some int8 files end in an error of its own while it fuses them."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from edgesr.bundle.card import read_card

ROOT = Path(__file__).parents[2]
OLDEST = "1.16.0"


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason=f"ONNX Runtime {OLDEST} ends at 3.11")
def test_the_golden_vectors_hold_in_the_oldest_onnx_runtime(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    needed = [f"onnxruntime=={OLDEST}", "numpy<2", "pillow"]
    installed = subprocess.run(
        [python, "-m", "pip", "install", "-q", "--retries", "0", *needed],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode:
        pytest.skip(f"pip cannot install {needed}: {installed.stderr.strip()[-200:]}")
    example, bundle = ROOT / "examples/python/golden.py", ROOT / "exports/edge-s-video"
    done = subprocess.run(
        [python, example, bundle], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passes") == 3 * len(read_card(bundle).variants)
