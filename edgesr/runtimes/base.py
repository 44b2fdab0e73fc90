"""What runs a model file: ONNX Runtime, OpenVINO, ncnn, LiteRT, ..., each a small adapter.

Imports no torch and no runtime; `runtimes.registry` opens the one that is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Tensor = Values | NDArray[np.float16] | Pixels
"""float32 or float16 (B, 3, H, W) RGB 0..1, or bytes (B, H, W, 3), as the file wants it."""

Name = Literal["cpu", "cuda", "openvino", "ncnn", "web", "litert", "executorch"]
LABELS: dict[str, str] = {
    "cpu": "CPU",
    "cuda": "CUDA",
    "openvino": "OpenVINO",
    "ncnn": "ncnn",
    "web": "Web",
    "litert": "LiteRT",
    "executorch": "ExecuTorch",
}
"""As tables print them; CPU and CUDA are ONNX Runtime's."""
OWN_FILES: dict[str, str] = {"litert": "tflite", "executorch": "pte"}
"""Runtimes that open no ONNX file but one of their own, which the bundle holds; its suffix."""

EXACT = "float32"
"""The precision that a runtime states where it computes float32 files in float32."""


@dataclass(frozen=True)
class Facts:
    """What a runtime says of an open file.

    Attributes:
        version: of the runtime.
        threads: that it was told to use.
        precision: in which float32 products are computed: `EXACT`, "tf32", "bfloat16", ...
        note: what was changed from the runtime's defaults, in words; else empty.
    """

    version: str
    threads: int
    precision: str
    note: str = ""


class Running(Protocol):
    """A file that is open in a runtime.

    Attributes:
        open_seconds: how long opening took: reading, optimising, compiling. Starting a process,
            loading libraries and converting the file to another format are not in it.
    """

    open_seconds: float

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        """The output, and the seconds inside the runtime.

        Raises:
            Unsupported: the runtime does not take this input.
        """

    def describe(self) -> Facts:
        """Version, threads, precision."""

    def memory_mb(self) -> float | None:
        """The most memory held above the libraries' own, in MB; None where it is not known."""

    def close(self) -> None:
        """Free what it holds."""


class Runtime(Protocol):
    """What opens files."""

    def open(self, model: Path, *, threads: int, exact: bool = True) -> Running:
        """Open a model file: ONNX, or of those of `OWN_FILES` its own.

        Args:
            threads: of the CPU.
            exact: compute float32 files in float32; False leaves precision to the runtime's
                defaults.

        Raises:
            Unsupported: the runtime works and does not take this file.
            VerifyError: the runtime is not there.
        """


class Memory:
    """Measures the memory of a process from now on."""

    def __init__(self, pid: int | Literal["self"] = "self") -> None:
        self._pid, self._before = pid, peak_memory_mb(pid)

    def grown_mb(self) -> float | None:
        """The peak above what was held at the start, in MB; None where Linux does not tell it."""
        now = peak_memory_mb(self._pid)
        return None if now is None or self._before is None else now - self._before


def peak_memory_mb(pid: int | Literal["self"] = "self") -> float | None:
    """The most memory that a process has held, in MB; None where Linux does not tell it."""
    # Not getrusage: its peak is inherited from the process that started this one.
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    kibibytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kibibytes[0]) * 1024 / 1e6 if kibibytes else None
