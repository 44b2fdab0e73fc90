"""OpenVINO on the CPU."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from edgesr.errors import Unsupported, VerifyError
from edgesr.inference.openvino import core, reason, settings
from edgesr.runtimes.base import EXACT, Facts, Memory, Tensor

try:
    import openvino
except ImportError as error:
    raise VerifyError(
        f"the runtime openvino was asked for and cannot be loaded: {error}",
        "Install it: pip install 'edgesr[openvino]'",
    ) from None

PRECISIONS = {"f32": EXACT, "bf16": "bfloat16", "f16": "float16"}


class OpenVino:
    """Opens files with OpenVINO's CPU plugin, one request at a time."""

    def open(self, model: Path, *, threads: int, exact: bool = True) -> OpenVinoFile:
        """See `base.Runtime`. Without `exact`, OpenVINO takes bfloat16 where the CPU has it.

        Raises:
            Unsupported: OpenVINO cannot compile this file.
        """
        return OpenVinoFile(model, threads, exact)


class OpenVinoFile:
    """A file that OpenVINO has compiled."""

    def __init__(self, model: Path, threads: int, exact: bool) -> None:
        self._threads = threads
        self._note = "INFERENCE_PRECISION_HINT=f32" if exact else ""
        opened, self._memory = core(), Memory()
        start = time.perf_counter()
        try:
            self._compiled = opened.compile_model(str(model), "CPU", settings(threads, exact=exact))
            self._request = self._compiled.create_infer_request()
        except RuntimeError as error:
            raise Unsupported(f"OpenVINO cannot compile it: {reason(error)}") from None
        self.open_seconds = time.perf_counter() - start

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        start = time.perf_counter()
        try:
            outputs = self._request.infer({"lr": lr}, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise Unsupported(f"OpenVINO cannot run it: {reason(error)}") from None
        seconds = time.perf_counter() - start
        return np.array(outputs["sr"]), seconds  # a copy: OpenVINO writes its next output there

    def describe(self) -> Facts:
        kind = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        version = openvino.__version__.partition("-")[0]
        return Facts(version, self._threads, PRECISIONS.get(kind, kind), self._note)

    def memory_mb(self) -> float | None:
        return self._memory.grown_mb()

    def close(self) -> None:
        del self._request, self._compiled
