"""edgesr: distil super-resolution networks, export them to ONNX, prove what ships."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesr.inference.upscaler import Upscaler, upscale

__version__ = "0.1.0"
__all__ = ["Upscaler", "__version__", "upscale"]

# A library prints nothing: an app that wants to hear of it adds a handler of its own.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    # Importing edgesr stays cheap: the upscaler, and with it ONNX Runtime, loads when asked for.
    if name in ("Upscaler", "upscale"):
        from edgesr.inference import upscaler

        return getattr(upscaler, name)
    raise AttributeError(f"module 'edgesr' has no attribute '{name}'")
