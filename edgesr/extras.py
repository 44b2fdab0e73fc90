"""Packages that a light install leaves out, and the command that installs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edgesr.errors import MissingPackage

RUNTIME = "onnxruntime"
TRAINING = frozenset(
    (
        *("torch", "torchvision", "lpips", "lightning", "lightning_fabric", "safetensors"),
        *("onnx", "onnxscript", "onnxsim", "spandrel", "skimage", "scipy", "jinja2", "pooch"),
    )
)
"""The modules that `edgesr[train]` brings."""
STREAM = ("webdataset", "datasets")
LITERT = ("ai_edge_litert", "flatbuffers")
COREML = ("coremltools", "kmeans1d")
INSTALL = {
    RUNTIME: 'pip install "edgesr[cpu]", or "edgesr[gpu]" for an NVIDIA GPU',
    "openvino": 'pip install "edgesr[openvino]"',
    "av": 'pip install "edgesr[video]"',
    **dict.fromkeys(STREAM, 'pip install "edgesr[stream]"'),
    **dict.fromkeys(LITERT, 'pip install "edgesr[litert]"'),
    "executorch": 'pip install "edgesr[executorch]"',
    **dict.fromkeys(COREML, 'pip install "edgesr[coreml]"'),
    **dict.fromkeys(TRAINING, 'pip install "edgesr[train]"'),
}


def onnx_runtime() -> Any:
    """The module `onnxruntime`, loaded when a model is opened: help and messages do without it.

    Raises:
        MissingPackage: it is not installed.
    """
    return _module(RUNTIME)


def openvino() -> Any:
    """The module `openvino`, likewise.

    Raises:
        MissingPackage: it is not installed.
    """
    return _module("openvino")


def webdataset() -> Any:
    """The module `webdataset`, likewise.

    Raises:
        MissingPackage: it is not installed.
    """
    return _module("webdataset")


def datasets() -> Any:
    """The module `datasets`, Hugging Face's, likewise.

    Raises:
        MissingPackage: it is not installed.
    """
    return _module("datasets")


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise absent(error) or error from None


def absent(error: Exception) -> MissingPackage | None:
    """One line of a module that one of edgesr's extras brings and that is not installed; None of
    any other error."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    return MissingPackage(f"{name} is not installed: {INSTALL[name]}") if name in INSTALL else None
