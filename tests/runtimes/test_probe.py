"""One node on each provider: it works, or the cause is told that only ONNX Runtime's log has."""

from __future__ import annotations

import subprocess

import onnxruntime
import pytest

from edgesr.inference.session import CPU, CUDA, cuda_device_present
from edgesr.runtimes import probe


def test_the_cpu_runs_one_node() -> None:
    assert probe.fault(CPU) == ""


def test_cuda_without_a_driver_names_the_driver() -> None:
    if cuda_device_present() or CUDA not in onnxruntime.get_available_providers():
        pytest.skip("needs onnxruntime-gpu and no GPU")
    assert "cannot open shared object file" in probe.fault(CUDA)


def test_a_provider_that_the_build_does_not_have_is_a_fault() -> None:
    assert "NoSuchExecutionProvider" in probe.fault("NoSuchExecutionProvider")


LOADING = (
    "\x1b[1;31m2026-01-01 00:00:00.1 [E:onnxruntime:Default, provider_bridge_ort.cc:2458 "
    "operator()] provider_bridge_ort.cc:2043 Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load "
    "library /env/onnxruntime/capi/libonnxruntime_providers_cuda.so with error: {}: cannot open "
    "shared object file: No such file or directory\n\x1b[m\n"
    "[W:onnxruntime:Default, state.cc:1295 Create] Failed to create CUDAExecutionProvider. "
    "Require cuDNN 9.* and CUDA 13.*.\n"
    "probe: the session runs on CPUExecutionProvider\n"
)
OLD_DRIVER = (
    "[E:onnxruntime:Default, provider_bridge_ort.cc:2458 operator()] cuda_call.cc:129 CudaCall() "
    "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; "
    "hostname=x ; file=cuda_execution_provider.cc\nprobe: the session runs on CPU\n"
)
LOGS = {
    "a library is missing": (
        LOADING.format("libcublasLt.so.13"),
        "libcublasLt.so.13: cannot open shared object file: No such file or directory",
    ),
    "the driver is missing": (
        LOADING.format("libcuda.so.1"),
        "NVIDIA's driver is not installed (libcuda.so.1: cannot open shared object file: No such "
        "file or directory)",
    ),
    "the driver is too old": (
        OLD_DRIVER,
        "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
    ),
    "a library is missing on Windows": (
        "[E:onnxruntime:Default, x.cc:1 Get] C:\\env\\onnxruntime_providers_cuda.dll depends on "
        "cublasLt64_13.dll which is missing. (Error 126)\n",
        "cublasLt64_13.dll which is missing",
    ),
    "an error that is not known": ("[E:onnxruntime:, a.cc:1 b] Device is lost\n", "Device is lost"),
    "an exception alone": ("probe: Unknown provider\n", "Unknown provider"),
    "a traceback": ("Traceback ...\nImportError: no module\n", "ImportError: no module"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("log", "cause"), LOGS.values(), ids=list(LOGS))
def test_the_log_tells_the_cause_and_not_what_follows_from_it(log: str, cause: str) -> None:
    assert probe.cause(log) == cause


def test_a_provider_that_crashes_or_hangs_is_a_fault_and_no_crash_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crashed = subprocess.CompletedProcess([], -11, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: crashed)
    assert probe.fault(CUDA) == "the process that tried it ended with status -11"

    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired([], probe.SECONDS)

    monkeypatch.setattr(subprocess, "run", hang)
    assert "no answer within" in probe.fault(CUDA)
