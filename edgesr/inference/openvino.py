"""Opening an ONNX file in OpenVINO on the CPU; see `infer.Session` for what is asked of it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from edgesr import extras
from edgesr.errors import ModelError
from edgesr.inference.session import check_file

TYPES = {"f32": "tensor(float)", "f16": "tensor(float16)", "u8": "tensor(uint8)"}
"""OpenVINO's names for what ONNX Runtime calls so."""


@cache
def core() -> Any:
    """The process's one `Core`, which is never closed.

    Each has a stack of its own for signals and, closed, gives back the one that it found: closed in
    another order than opened, two leave the process with a stack that is gone, and the next Ctrl-C
    is a segmentation fault (OpenVINO 2026.4).

    Raises:
        MissingPackage: OpenVINO is not installed.
    """
    return extras.openvino().Core()


def settings(threads: int | None, *, exact: bool) -> dict[str, Any]:
    """One request at a time, as fast as it goes.

    Args:
        threads: of the CPU; None leaves it to OpenVINO.
        exact: compute float32 files in float32; else in bfloat16 where the processor has it.
    """
    found: dict[str, Any] = {"NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        found["INFERENCE_NUM_THREADS"] = threads
    if exact:
        found["INFERENCE_PRECISION_HINT"] = "f32"
    return found


def reason(error: RuntimeError) -> str:
    """What OpenVINO says below the places in its own source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


class OpenVinoSession:
    """A file that is open in OpenVINO; threads may use it at once, and take turns inside.

    Args:
        threads, exact: see `settings`.

    Raises:
        MissingPackage: OpenVINO is not installed.
        ModelError: no such file, or none that OpenVINO can compile.
    """

    def __init__(self, path: Path, *, threads: int | None = None, exact: bool = True) -> None:
        opened = core()
        check_file(path)
        try:
            model = opened.read_model(str(path))
            self._facts = _metadata(model)
            self._compiled = opened.compile_model(model, "CPU", settings(threads, exact=exact))
        except RuntimeError as error:
            raise ModelError(
                f"OpenVINO cannot open {path}: {reason(error)}", "Export it again: edgesr export"
            ) from None

    def run(self, names: list[str], feeds: dict[str, Any]) -> list[Any]:
        """As ONNX Runtime's; a request costs a tenth of a millisecond, so each run has its own."""
        try:
            found = self._compiled.create_infer_request().infer(feeds, share_inputs=True)
        except RuntimeError as error:
            raise ModelError(f"OpenVINO cannot run it: {reason(error)}") from None
        return [found[name] for name in names]

    def get_inputs(self) -> list[SimpleNamespace]:
        """Name, shape and type of each input."""
        return [_input(each) for each in self._compiled.inputs]

    def get_modelmeta(self) -> SimpleNamespace:
        """The file's metadata."""
        return SimpleNamespace(custom_metadata_map=self._facts)

    def get_providers(self) -> list[str]:
        """One, which is no execution provider of ONNX Runtime's."""
        return ["OpenVINO"]


def _metadata(model: Any) -> dict[str, str]:
    """Where OpenVINO keeps those of an ONNX file."""
    if not model.has_rt_info("framework"):
        return {}
    return {name: value.astype(str) for name, value in model.get_rt_info()["framework"].items()}


def _input(each: Any) -> SimpleNamespace:
    shape = [None if side.is_dynamic else side.get_length() for side in each.partial_shape]
    kind = each.element_type.to_string()
    return SimpleNamespace(name=each.any_name, shape=shape, type=TYPES.get(kind, kind))
