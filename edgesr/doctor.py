"""What this machine can do: versions, devices, execution providers, perceptual weights."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import onnxruntime
import torch
from rich.table import Table

from edgesr import __version__, weights
from edgesr.deploy.session import cuda_device_present
from edgesr.machine import cpu_name

PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "onnxsim", "lightning-fabric", "spandrel")


def table() -> Table:
    """The findings as a table of two columns that fits 80 columns."""
    result = Table(show_header=False, box=None, pad_edge=False)
    for name, value in findings():
        result.add_row(name, value)
    return result


def findings() -> list[tuple[str, str]]:
    """Name and state of everything that the chain depends on."""
    rows = [
        ("edgesr", __version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        (
            "CPU",
            f"{cpu_name()}, {os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads",
        ),
        ("GPU for training", _gpu()),
        ("ONNX Runtime", f"{onnxruntime.__version__}, {_providers()}"),
    ]
    rows += [(name, metadata.version(name)) for name in PACKAGES]
    for status in weights.status():
        rows.append((f"weights {status.network}", str(status.path or "missing: edgesr weights")))
    return rows


def _gpu() -> str:
    if not torch.cuda.is_available():
        return "none that torch can use"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
    return f"{', '.join(names)} ({bf16})"


def _providers() -> str:
    """Providers that this build has and this machine can run."""
    built = onnxruntime.get_available_providers()
    names = ["CPU"]
    if "CUDAExecutionProvider" in built:
        names.append("CUDA" if cuda_device_present() else "CUDA built in but no device")
    return ", ".join(names)
