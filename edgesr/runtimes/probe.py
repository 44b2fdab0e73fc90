"""Does an execution provider of ONNX Runtime work here, and if not, why?

A session of one node is opened and run in a process of its own: ONNX Runtime says the cause in its
log alone, and a driver that crashes takes only that process along. No torch:

    python -m edgesr.runtimes.probe CUDAExecutionProvider
"""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import onnxruntime

SECONDS = 120
"""After which a provider that says nothing is given up; the first start of CUDA is slow."""
DRIVER = {"libcuda.so.1": "NVIDIA's", "nvcuda.dll": "NVIDIA's", "libamdhip64.so": "AMD's"}
"""Libraries that a driver brings, and whose it is."""
ONE_NODE = (
    b'\x08\x08:5\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x03oneZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
"""An ONNX file, written without the package onnx: y = Relu(x), both float32 of shape [1]."""
CAUSES = (
    re.compile(r"Failed to load library (?:\S*[/\\])?\S+ with error: (?P<why>.+)"),
    re.compile(r"(?P<why>\S+ which is missing)"),
    re.compile(r"(?P<why>(?:CUDA|CUDNN|cuDNN|CUBLAS) failure [^;]+)"),
    re.compile(r"\[E:[^\]]*\] (?P<why>.+)"),
    re.compile(r"^probe: (?P<why>.+)"),
)
"""How ONNX Runtime's log and this file state a cause, the most telling first."""


def fault(provider: str) -> str:
    """Why `provider`, e.g. "CUDAExecutionProvider", runs nothing here; empty where it does."""
    command = [sys.executable, "-m", "edgesr.runtimes.probe", provider]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {SECONDS} s"
    if done.returncode == 0:
        return ""
    return cause(done.stderr) or f"the process that tried it ended with status {done.returncode}"


def cause(log: str) -> str:
    """What ONNX Runtime's log names as the reason that a provider does not start, in one line."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in log.splitlines()]
    for pattern in CAUSES:
        for line in lines:
            if found := pattern.search(line):
                return _with_driver(found["why"].strip())
    return lines[-1] if lines else ""


def _with_driver(why: str) -> str:
    owner = next((owner for library, owner in DRIVER.items() if library in why), None)
    return f"{owner} driver is not installed ({why})" if owner else why


def run_one_node(provider: str) -> None:
    """Open a session of one node on `provider` and run it.

    Raises:
        RuntimeError, or ONNX Runtime's own: it does not work.
    """
    if provider in ("CUDAExecutionProvider", "TensorrtExecutionProvider"):
        onnxruntime.preload_dlls()  # what pip installed beside torch
    session = onnxruntime.InferenceSession(ONE_NODE, providers=[provider], enable_fallback=0)
    if provider not in session.get_providers():
        raise RuntimeError(f"the session runs on {', '.join(session.get_providers())}")
    session.run(None, {"x": np.ones(1, np.float32)})


if __name__ == "__main__":
    try:
        run_one_node(sys.argv[1])
    except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
        sys.exit(f"probe: {str(error).partition(chr(10))[0]}")
