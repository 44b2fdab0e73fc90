"""Opening an ONNX file in ONNX Runtime, on the execution provider that was meant.

Imports no torch, so that an app, and the process that measures speed, stay small.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgesr.errors import ModelError, VerifyError
from edgesr.extras import onnx_runtime

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import onnxruntime

Runtime = Literal["onnxruntime", "openvino"]
Provider = Literal["cpu", "cuda"]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# ONNX Runtime's scale of severity.
WARNINGS, ERRORS_ONLY, FATAL_ONLY = 2, 3, 4
NO_FALLBACK = "fallback to CPU EP has been explicitly disabled"
"""Stands in ONNX Runtime's refusal of a strict session whose graph has a node for the CPU."""
Search = Literal["heuristic", "exhaustive", "default"]


@dataclass(frozen=True)
class CudaSettings:
    """How a session uses a GPU. No value of them has been measured on one.

    Attributes:
        tf32: whether products may keep 10 bits of mantissa, which is visible in 8-bit pixels.
        search: how a convolution's algorithm is found for each new size of picture: cuDNN is
            asked ("heuristic"), all are tried ("exhaustive", which pays where one size comes again
            and again), or one is taken for all ("default").
        memory_mb: of the GPU, the most that the session's arena takes; None for no limit.
        grows_by_powers: whether the arena grows to the next power of two, which saves requests
            and may hold twice what is needed; else by what is asked for.
    """

    tf32: bool = False
    search: Search = "heuristic"
    memory_mb: int | None = None
    grows_by_powers: bool = False

    def as_options(self) -> dict[str, str]:
        """As ONNX Runtime's CUDA provider takes them."""
        grows = "kNextPowerOfTwo" if self.grows_by_powers else "kSameAsRequested"
        limit = {} if self.memory_mb is None else {"gpu_mem_limit": str(self.memory_mb * 10**6)}
        return {
            "use_tf32": str(int(self.tf32)),
            "cudnn_conv_algo_search": self.search.upper(),
            "arena_extend_strategy": grows,
            **limit,
        }


EXACT = CudaSettings()


def open_session(
    path: Path,
    *,
    provider: Provider | None = None,
    threads: int | None = None,
    profile: Path | None = None,
    spinning: bool = True,
    cuda: CudaSettings | None = EXACT,
    memory_pattern: bool = True,
    strict: bool = False,
) -> onnxruntime.InferenceSession:
    """Open the model at `path`.

    Args:
        provider: where it must run; None takes CUDA where it works, else the CPU.
        threads: of the CPU provider; None leaves it to ONNX Runtime.
        profile: where to write ONNX Runtime's profile, without its suffix; None for no profile.
        spinning: whether idle threads wait busily. False where several sessions take turns.
        cuda: how CUDA computes; None leaves all of it to ONNX Runtime, whose default is TF32.
        memory_pattern: whether later runs of a shape take one block that was planned in the first.
            It comes on top of what the first run took, which is kept.
        strict: on CUDA no node may be the CPU's. ONNX Runtime then refuses every graph that has
            such a node, the arithmetic of shapes included; see `NO_FALLBACK`.

    Raises:
        ModelError: no such file, or none that ONNX Runtime can read.
        VerifyError: the provider that was asked for is not the one that would run.
    """
    check_file(path)
    options = _options(threads, profile, spinning)
    options.enable_mem_pattern = memory_pattern
    if provider == "cpu":
        return _open(path, options, [CPU])
    reason = _why_no_cuda()
    if reason is None:
        session = _open_on_cuda(path, options, cuda.as_options() if cuda else {}, strict=strict)
        if CUDA in session.get_providers():
            return session
        reason = "its libraries do not load or the device does not start"
        if provider is None:
            log.warning(f"{CUDA} is not available: {reason}; the CPU is used")
            return session
    if provider is None:
        return _open(path, options, [CPU])
    raise VerifyError(
        f"execution provider {CUDA} was asked for, but {reason}",
        f"{_requirement()} Without one: --provider cpu. See edgesr doctor.",
    )


def check_file(path: Path) -> None:
    """Refuse what is no model file, before a library looks at it.

    Raises:
        ModelError: nothing is there, or no regular file: opening a FIFO would wait for its writer.
    """
    if not path.is_file():
        fault = "is not a regular file" if path.exists() else "does not exist"
        raise ModelError(f"model {path} {fault}", "Export one: edgesr export")


def open_bytes(model: bytes) -> onnxruntime.InferenceSession:
    """Open a model that is held in memory, on the CPU."""
    return onnx_runtime().InferenceSession(model, _options(None, None, True), providers=[CPU])


def _options(
    threads: int | None, profile: Path | None, spinning: bool
) -> onnxruntime.SessionOptions:
    options = onnx_runtime().SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _open(
    path: Path,
    options: onnxruntime.SessionOptions,
    providers: list[str | tuple[str, dict[str, str]]],
) -> onnxruntime.InferenceSession:
    try:
        # Its fallback would move a model to the CPU whenever a run fails, and only print so.
        return onnx_runtime().InferenceSession(
            str(path), options, providers=providers, enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime raises a class of its own for each way to fail
        raise ModelError(
            f"ONNX Runtime cannot open {path}: {error}", "Export it again: edgesr export"
        ) from None


def _open_on_cuda(
    path: Path, options: onnxruntime.SessionOptions, settings: dict[str, str], *, strict: bool
) -> onnxruntime.InferenceSession:
    """A session on CUDA, or on the CPU where CUDA does not start."""
    with _hushed():
        # Finds the CUDA and cuDNN that pip installed beside torch, without importing torch.
        onnx_runtime().preload_dlls()
        if strict:  # a CPU provider that is named contradicts the entry
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
            return _open(path, options, [(CUDA, settings)])
        try:
            return _open(path, options, [(CUDA, settings), CPU])
        except ModelError:
            return _open(path, options, [CPU])  # raises if the model is at fault, not CUDA


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Keep what ONNX Runtime prints about CUDA off the terminal; callers say what matters."""
    onnx_runtime().set_default_logger_severity(FATAL_ONLY)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        onnx_runtime().set_default_logger_severity(WARNINGS)


def _requirement() -> str:
    version = getattr(onnx_runtime(), "cuda_version", "")
    needed = f"CUDA {version.split('.')[0]}" if version else "the onnxruntime-gpu package, CUDA"
    return f"Needed: an NVIDIA GPU with its driver, {needed} and cuDNN 9."


def _why_no_cuda() -> str | None:
    """Why CUDA cannot be tried here; None where it can."""
    if CUDA not in onnx_runtime().get_available_providers():
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
