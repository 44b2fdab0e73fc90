"""ExecuTorch on the CPU, by XNNPACK: a bundle's .pte file."""

from __future__ import annotations

import time
from importlib import metadata
from pathlib import Path

import numpy as np

from edgesr.errors import Unsupported, VerifyError
from edgesr.runtimes.base import EXACT, Facts, Memory, Tensor
from edgesr.streams import unheard

try:
    with unheard():
        import torch
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime
except ImportError as error:
    raise VerifyError(
        f"the runtime executorch was asked for and cannot be loaded: {error}",
        "Install it: pip install 'edgesr[executorch]'",
    ) from None


class ExecuTorch:
    """Opens .pte files with ExecuTorch's Python runtime."""

    def open(self, model: Path, *, threads: int, exact: bool = True) -> ExecuTorchFile:
        """See `base.Runtime`; XNNPACK computes float32 files in float32 either way. The threads
        are those of the process, for every file that is open in it.

        Raises:
            Unsupported: ExecuTorch cannot open this file.
        """
        del exact
        return ExecuTorchFile(model, threads)


class ExecuTorchFile:
    """A file that is open in ExecuTorch; it takes one picture at a time, up to a size."""

    def __init__(self, model: Path, threads: int) -> None:
        self._threads, self._memory = threads, Memory()
        start = time.perf_counter()
        with unheard():
            # A file that is open has the old pool's address: no new one where it would be the same.
            if portable_lib._threadpool_get_thread_count() != threads:
                portable_lib._unsafe_reset_threadpool(threads)
            try:
                self._forward = Runtime.get().load_program(model).load_method("forward")
            except (RuntimeError, KeyError) as error:
                raise Unsupported(f"ExecuTorch cannot open it: {_in_a_line(error)}") from None
        self.open_seconds = time.perf_counter() - start
        self._most = tuple(self._forward.metadata.input_tensor_meta(0).sizes())

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        if len(lr) != 1:
            raise Unsupported("ExecuTorch takes one picture at a time")
        height, width = lr.shape[2:]
        if height > self._most[2] or width > self._most[3]:
            raise Unsupported(
                f"ExecuTorch takes at most {self._most[3]}x{self._most[2]} of this file, not "
                f"{width}x{height}"
            )
        picture = torch.from_numpy(np.ascontiguousarray(lr))
        start = time.perf_counter()
        try:
            (sr,) = self._forward.execute([picture])
        except RuntimeError as error:
            raise Unsupported(f"ExecuTorch cannot run it: {_in_a_line(error)}") from None
        seconds = time.perf_counter() - start
        return sr.numpy(), seconds

    def describe(self) -> Facts:
        return Facts(metadata.version("executorch"), self._threads, EXACT, "XNNPACK")

    def memory_mb(self) -> float | None:
        return self._memory.grown_mb()

    def close(self) -> None:
        del self._forward


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no reason given"
