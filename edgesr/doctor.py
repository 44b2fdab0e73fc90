"""What this machine can do: versions, devices, execution providers, perceptual weights."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from rich.table import Table

from edgesr import __version__
from edgesr.errors import MissingPackage
from edgesr.extras import absent
from edgesr.extras import onnx_runtime as load_runtime
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
        ("CPU", f"{cpu_name()}, {os.cpu_count()} cores"),
        ("ONNX Runtime", onnx_runtime()),
    ]
    rows += [(f"  {name}", state) for name, state in providers()]
    return rows + training()


def training() -> list[tuple[str, str]]:
    """What `edgesr[train]` brings: its packages, devices and weights; a line where it is not
    installed."""
    try:
        import torch

        from edgesr import weights
    except ModuleNotFoundError as error:
        return [("training", str(absent(error) or error))]
    rows = [("GPU for training", _gpu()), ("torch uses", f"{torch.get_num_threads()} threads")]
    rows += [(name, metadata.version(name)) for name in PACKAGES]
    for status in weights.status():
        rows.append((f"weights {status.network}", str(status.path or "missing: edgesr weights")))
    return rows


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none that torch can use"
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
    return f"{', '.join(names)} ({bf16})"


def onnx_runtime() -> str:
    """Its version and the packages that it comes from, of which there should be one; or how it is
    installed."""
    packages = sorted(set(metadata.packages_distributions().get("onnxruntime", [])))
    try:
        version = load_runtime().__version__
    except MissingPackage as error:
        return str(error)
    found = f"{version} from {', '.join(packages) or 'no package'}"
    if len(packages) > 1:
        found += (
            f": they overwrite each other's files; pip uninstall {' '.join(packages)}, then "
            "install the one that is meant"
        )
    return found


def providers() -> list[tuple[str, str]]:
    """Each provider of this build of ONNX Runtime, and whether it runs one node or why not."""
    try:
        names = load_runtime().get_available_providers()
    except MissingPackage:
        return []
    from edgesr.runtimes import probe

    return [
        (name.removesuffix("ExecutionProvider"), probe.fault(name) or "works") for name in names
    ]
