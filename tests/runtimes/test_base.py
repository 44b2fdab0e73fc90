"""What is common to the runtimes: loading them, and their memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgesr.errors import VerifyError
from edgesr.runtimes.base import LABELS, Memory, peak_memory_mb
from edgesr.runtimes.registry import load


def test_no_adapter_imports_torch() -> None:
    modules = "edgesr.runtimes.registry, edgesr.runtimes.onnxruntime, edgesr.runtimes.web"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "module"),
    [
        *(("openvino", "openvino"), ("ncnn", "ncnn"), ("litert", "ai_edge_litert.interpreter")),
        ("executorch", "executorch.runtime"),
    ],
)
def test_a_runtime_that_is_not_installed_says_how_it_is(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"edgesr.runtimes.{name}", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(VerifyError, match=rf"runtime {name} was asked for") as caught:
        load(name)  # type: ignore[arg-type]
    assert caught.value.remedy == f"Install it: pip install 'edgesr[{name}]'"


def test_every_runtime_has_a_label() -> None:
    from edgesr.verify.measured import RUNTIMES

    assert list(LABELS) == list(RUNTIMES)


def test_memory_is_what_was_taken_since_the_start() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells the peak")
    code = (
        "from edgesr.runtimes.base import Memory; m = Memory(); b = bytearray(300_000_000);"
        "print(m.grown_mb())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert float(done.stdout) == pytest.approx(300, abs=40)


def test_where_the_peak_is_not_told_there_is_no_figure() -> None:
    nobody = 2**31 - 1
    assert peak_memory_mb(nobody) is None
    assert Memory(nobody).grown_mb() is None
