"""edgesr: distil super-resolution networks, export them to ONNX, prove what ships."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgesr.inference.upscaler import Upscaler

__version__ = "0.1.0"
__all__ = ["Upscaler", "__version__"]


def __getattr__(name: str) -> object:
    # Importing edgesr stays cheap: the upscaler, and with it ONNX Runtime, loads when asked for.
    if name == "Upscaler":
        from edgesr.inference.upscaler import Upscaler

        return Upscaler
    raise AttributeError(f"module 'edgesr' has no attribute '{name}'")
