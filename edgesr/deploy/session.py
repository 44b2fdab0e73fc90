"""Opening an ONNX file in ONNX Runtime, on the execution provider that was meant.

Imports no torch, so that an app, and the process that measures speed, stay small.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from pathlib import Path
from typing import Literal

import onnxruntime

from edgesr.errors import ModelError, VerifyError

Provider = Literal["cpu", "cuda"]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
ERRORS_ONLY = 3


def open_session(
    path: Path,
    *,
    provider: Provider | None = None,
    threads: int | None = None,
    profile: Path | None = None,
    spinning: bool = True,
) -> onnxruntime.InferenceSession:
    """Open the model at `path`.

    Args:
        provider: where it must run; None takes CUDA where it works, else the CPU.
        threads: of the CPU provider; None leaves it to ONNX Runtime.
        profile: where to write ONNX Runtime's profile, without its suffix; None for no profile.
        spinning: whether idle threads wait busily. False where several sessions take turns.

    Raises:
        ModelError: no such file, or none that ONNX Runtime can read.
        VerifyError: the provider that was asked for is not the one that would run.
    """
    if not path.is_file():
        raise ModelError(f"model {path} does not exist", "Export one: edgesr export --onnx")
    wanted = _wanted(provider)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
        raise ModelError(f"ONNX Runtime cannot open {path}: {error}") from None
    found = session.get_providers()
    if provider == "cuda" and CUDA not in found:
        raise VerifyError(
            f"execution provider {CUDA} was asked for, but the session runs on {', '.join(found)}",
            "CUDA and cuDNN of the version that onnxruntime-gpu asks for must be installed.",
        )
    return session


def _wanted(provider: Provider | None) -> list[str]:
    """The providers to ask ONNX Runtime for, best first."""
    if provider == "cpu":
        return [CPU]
    reason = _why_no_cuda()
    if reason is None:
        return [CUDA, CPU]
    if provider is None:
        return [CPU]
    raise VerifyError(
        f"execution provider {CUDA} was asked for, but {reason}",
        "Ask for --provider cpu, or see edgesr doctor.",
    )


def _why_no_cuda() -> str | None:
    """Why CUDA cannot be tried here; None where it can."""
    if CUDA not in onnxruntime.get_available_providers():
        return "this build of ONNX Runtime does not have it (onnxruntime-gpu does)"
    if not cuda_device_present():
        return "no CUDA device was found on this machine"
    return None


@cache
def cuda_device_present() -> bool:
    """Whether the CUDA driver is installed and counts at least one device."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return False
    count = ctypes.c_int(0)
    done = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return done and count.value > 0
