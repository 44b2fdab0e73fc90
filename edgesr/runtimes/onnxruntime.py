"""ONNX Runtime on the CPU or on CUDA, as edgesr and examples/python open it."""

from __future__ import annotations

import time
from pathlib import Path

import onnxruntime

from edgesr.errors import VerifyError
from edgesr.inference import session as sessions
from edgesr.inference.session import Provider, open_session
from edgesr.runtimes.base import EXACT, Facts, Memory, Tensor


class OnnxRuntime:
    """Opens files on one execution provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider

    def open(self, model: Path, *, threads: int, exact: bool = True) -> OnnxRuntimeFile:
        """See `base.Runtime`. Without `exact`, CUDA uses TF32; the CPU knows nothing of the kind.

        Raises:
            ModelError, VerifyError: as `open_session`.
        """
        return OnnxRuntimeFile(model, self.provider, threads, exact)


class OnnxRuntimeFile:
    """A file that is open in ONNX Runtime."""

    def __init__(self, model: Path, provider: Provider, threads: int, exact: bool) -> None:
        self._model, self._threads = model, threads
        self._precision = "tf32" if provider == "cuda" and not exact else EXACT
        self._memory = Memory()
        start = time.perf_counter()
        self._device = provider
        self._session = open_session(
            model, provider=provider, threads=threads, cuda=sessions.EXACT if exact else None
        )
        self.open_seconds = time.perf_counter() - start

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        start = time.perf_counter()
        try:
            sr: Tensor = self._session.run(["sr"], {"lr": lr})[0]
        except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
            reason = str(error).partition("\n")[0]
            raise VerifyError(f"{self._model} fails on an input of {lr.shape}: {reason}") from None
        return sr, time.perf_counter() - start

    def run_bound(self, lr: Tensor) -> tuple[Tensor, float]:
        """As `run`, its seconds without copies: input and output lie on the device before and
        after."""
        binding = self._session.io_binding()
        held = onnxruntime.OrtValue.ortvalue_from_numpy(lr, self._device)
        binding.bind_ortvalue_input("lr", held)
        binding.bind_output("sr", self._device)
        binding.synchronize_inputs()
        start = time.perf_counter()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        seconds = time.perf_counter() - start
        sr: Tensor = binding.copy_outputs_to_cpu()[0]
        return sr, seconds

    def describe(self) -> Facts:
        return Facts(onnxruntime.__version__, self._threads, self._precision)

    def memory_mb(self) -> float | None:
        return self._memory.grown_mb()

    def close(self) -> None:
        del self._session
