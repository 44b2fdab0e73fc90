"""Which runtimes there are; `load` imports the one that is meant."""

from __future__ import annotations

from edgesr.runtimes.base import Name, Runtime


def load(name: Name) -> Runtime:
    """The runtime called `name`, whose libraries are loaded by that.

    Raises:
        VerifyError: it is not installed; the remedy says how it is.
    """
    match name:
        case "cpu" | "cuda":
            from edgesr.runtimes.onnxruntime import OnnxRuntime

            return OnnxRuntime(name)
        case "openvino":
            from edgesr.runtimes.openvino import OpenVino

            return OpenVino()
        case "ncnn":
            from edgesr.runtimes.ncnn import Ncnn

            return Ncnn()
        case "web":
            from edgesr.runtimes.web import Web

            return Web()
        case "litert":
            from edgesr.runtimes.litert import LiteRt

            return LiteRt()
        case "executorch":
            from edgesr.runtimes.executorch import ExecuTorch

            return ExecuTorch()
