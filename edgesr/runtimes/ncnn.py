"""ncnn on the CPU, from the ONNX file by way of pnnx."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from edgesr.errors import ExportError, Unsupported, VerifyError
from edgesr.runtimes.base import EXACT, Facts, Memory, Tensor
from edgesr.runtimes.channel_order import use_crd

try:
    import ncnn
except ImportError as error:
    raise VerifyError(
        f"the runtime ncnn was asked for and cannot be loaded: {error}",
        "Install it: pip install 'edgesr[ncnn]'",
    ) from None

# pnnx finds out what is dynamic from two shapes of the input.
SHAPES = ("inputshape=[1,3,24,32]f32", "inputshape2=[1,3,33,17]f32")
# Where the processor computes in half precision, ncnn would do so with float32 files too.
HALF = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
)


class Ncnn:
    """Converts ONNX files with pnnx and opens them with ncnn."""

    def __init__(self) -> None:
        self._pnnx = find_pnnx()

    def open(self, model: Path, *, threads: int, exact: bool = True) -> NcnnFile:
        """See `base.Runtime`. The conversion does not count as opening.

        Raises:
            Unsupported: pnnx cannot convert this file, or makes layers of it that ncnn lacks.
        """
        with tempfile.TemporaryDirectory() as folder:
            return NcnnFile(convert(model, Path(folder), self._pnnx), threads, exact)


class NcnnFile:
    """A network that is open in ncnn; it takes one picture at a time."""

    def __init__(self, stem: Path, threads: int, exact: bool) -> None:
        self._threads = threads
        self._note = "half precision off, Winograd convolutions on" if exact else ""
        self._net, self._memory = ncnn.Net(), Memory()
        self._net.opt.num_threads = threads
        self._net.opt.use_vulkan_compute = False
        for option in HALF if exact else ():
            setattr(self._net.opt, option, False)
        start = time.perf_counter()
        failed = self._net.load_param(f"{stem}.param") or self._net.load_model(f"{stem}.bin")
        self.open_seconds = time.perf_counter() - start
        if failed:
            raise Unsupported(f"ncnn cannot load it: status {failed}")

    def run(self, lr: Tensor) -> tuple[Tensor, float]:
        if lr.shape[0] != 1:
            raise Unsupported("ncnn takes one picture at a time")
        picture = np.ascontiguousarray(lr[0])  # ncnn does not look at strides
        start = time.perf_counter()
        with self._net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(picture))
            failed, sr = extractor.extract("out0")
            seconds = time.perf_counter() - start
            if failed:
                raise Unsupported(f"ncnn cannot run it: status {failed}")
            return np.array(sr)[None], seconds

    def describe(self) -> Facts:
        return Facts(ncnn.__version__, self._threads, EXACT, self._note)

    def memory_mb(self) -> float | None:
        return self._memory.grown_mb()

    def close(self) -> None:
        self._net.clear()


def find_pnnx() -> Path:
    """The converter's program; its Python package, which imports torch, is not loaded.

    Raises:
        VerifyError: it is not installed.
    """
    found = importlib.util.find_spec("pnnx")
    suffix = ".exe" if sys.platform == "win32" else ""
    program = Path(found.origin).with_name(f"pnnx{suffix}") if found and found.origin else None
    if program is None or not program.is_file():
        raise VerifyError(
            "the runtime ncnn was asked for, but its converter pnnx is not installed",
            "Install it: pip install 'edgesr[ncnn]'",
        )
    return program


def convert(model: Path, folder: Path, pnnx: Path) -> Path:
    """Convert an ONNX file whose height and width are free, in float32.

    Args:
        folder: an empty one; pnnx writes ten files beside its input.

    Returns:
        The path of the .param and the .bin file without their suffixes.

    Raises:
        Unsupported: pnnx failed, or left parts of the graph that ncnn has no layer for.
    """
    try:
        onnx.save(use_crd(onnx.load(model)), folder / "model.onnx")
    except (DecodeError, ExportError):  # pnnx or ncnn refuses it as it is
        shutil.copyfile(model, folder / "model.onnx")
    done = subprocess.run(
        [pnnx, "model.onnx", *SHAPES, "fp16=0"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    stem = folder / "model.ncnn"
    parameters = stem.with_suffix(".ncnn.param")
    if done.returncode or not parameters.is_file():
        lines = (done.stderr + done.stdout).strip().splitlines() or ["no reason given"]
        raise Unsupported(f"pnnx cannot convert it: {lines[-1]}")
    kinds = {line.split()[0] for line in parameters.read_text(encoding="utf-8").splitlines()[2:]}
    foreign = sorted(kind for kind in kinds if "." in kind)  # e.g. pnnx.Expression, Tensor.to
    if foreign:
        raise Unsupported(f"pnnx makes layers of it that ncnn lacks: {', '.join(foreign)}")
    return stem
