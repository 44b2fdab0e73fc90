"""LiteRT on the CPU, by XNNPACK: a bundle's .tflite files."""

from __future__ import annotations

import time
from importlib import metadata
from pathlib import Path

import numpy as np

from edgesr.errors import Unsupported, VerifyError
from edgesr.runtimes.base import EXACT, Facts, Memory, Tensor

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError as error:
    raise VerifyError(
        f"the runtime litert was asked for and cannot be loaded: {error}",
        "Install it: pip install 'edgesr[litert]'",
    ) from None


class LiteRt:
    """Opens .tflite files with LiteRT's interpreter, whose default on a CPU is XNNPACK."""

    def open(self, model: Path, *, threads: int, exact: bool = True) -> LiteRtFile:
        """See `base.Runtime`; XNNPACK computes float32 files in float32 either way.

        Raises:
            Unsupported: LiteRT cannot open this file.
        """
        del exact
        return LiteRtFile(model, threads)


class LiteRtFile:
    """A file that is open in LiteRT; it takes one picture at a time, of any size."""

    def __init__(self, model: Path, threads: int) -> None:
        self._threads, self._memory = threads, Memory()
        start = time.perf_counter()
        try:
            self._interpreter = Interpreter(str(model), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise Unsupported(f"LiteRT cannot open it: {_in_a_line(error)}") from None
        self.open_seconds = time.perf_counter() - start
        (self._input,) = self._interpreter.get_input_details()
        (self._output,) = self._interpreter.get_output_details()
        self._shape = tuple(int(side) for side in self._input["shape"])

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        """The files are channel-last: floats are transposed before and after, not timed."""
        floats = lr.dtype != np.uint8
        picture = np.ascontiguousarray(lr.transpose(0, 2, 3, 1) if floats else lr)
        if len(picture) != 1:
            raise Unsupported("LiteRT takes one picture at a time")
        start = time.perf_counter()
        try:
            self._fit(picture.shape)
            self._interpreter.set_tensor(self._input["index"], picture)
            self._interpreter.invoke()
            sr = self._interpreter.get_tensor(self._output["index"])
        except (ValueError, RuntimeError) as error:
            raise Unsupported(f"LiteRT cannot run it: {_in_a_line(error)}") from None
        seconds = time.perf_counter() - start
        return np.ascontiguousarray(sr.transpose(0, 3, 1, 2)) if floats else sr, seconds

    def _fit(self, shape: tuple[int, ...]) -> None:
        if shape != self._shape:
            self._interpreter.resize_tensor_input(self._input["index"], shape)
            self._interpreter.allocate_tensors()
            self._shape = shape

    def describe(self) -> Facts:
        return Facts(metadata.version("ai-edge-litert"), self._threads, EXACT, "XNNPACK")

    def memory_mb(self) -> float | None:
        return self._memory.grown_mb()

    def close(self) -> None:
        del self._interpreter


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no reason given"
