"""The files of a bundle for runtimes that open no ONNX: what each format is called, and is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

from edgesr.errors import ExportError
from edgesr.runtimes.base import Name
from edgesr.variant import file_of

PALETTISED = "palettised"
"""What stands for the variant in the name of a file with palettised weights."""


@dataclass(frozen=True)
class Format:
    """Files of one suffix.

    Attributes:
        suffix: after the dot.
        converter: the module that makes them.
        runtime: that opens them.
        copied: the variants that are copied, where the bundle has them.
        layout: of the pictures of floats in and out; those of bytes are NHWC.
        made_by: the packages that have a part in the making.
        any_network: whether they are made of other projects' networks too.
        proved_by: the package of the runtime; None where edgesr cannot run it.
        palettised: of which variant there is another copy, with palettised weights.
    """

    suffix: str
    converter: str
    runtime: Name | Literal["onnxruntime", "coreml"]
    copied: tuple[str, ...]
    layout: Literal["NCHW", "NHWC"]
    made_by: tuple[str, ...]
    any_network: bool
    proved_by: str | None
    palettised: str | None = None


FORMATS = {
    "tflite": Format(
        suffix="tflite",
        converter="edgesr.deploy.litert",
        runtime="litert",
        copied=("fp32", "fp16", "int8"),
        layout="NHWC",
        made_by=("edgesr", "ai-edge-litert"),
        any_network=True,
        proved_by="ai-edge-litert",
    ),
    "pte": Format(
        suffix="pte",
        converter="edgesr.deploy.executorch",
        runtime="executorch",
        copied=("fp32", "int8"),
        layout="NCHW",
        made_by=("executorch", "torch"),
        any_network=False,
        proved_by="executorch",
    ),
    "ort": Format(
        suffix="ort",
        converter="edgesr.deploy.ort",
        runtime="onnxruntime",
        copied=("fp32", "int8", "uint8-io", "int8-uint8-io"),
        layout="NCHW",
        made_by=("onnxruntime",),
        any_network=True,
        proved_by="onnxruntime",
    ),
    "mlpackage": Format(
        suffix="mlpackage.zip",
        converter="edgesr.deploy.coreml",
        runtime="coreml",
        copied=("fp32", "fp16"),
        layout="NCHW",
        made_by=("coremltools", "torch"),
        any_network=False,
        proved_by=None,
        palettised="fp16",
    ),
}
"""What can be asked for, by the name of its option."""


def check_formats(formats: tuple[str, ...], *, own: bool = True) -> None:
    """Load the converters, before anything else is done.

    Args:
        own: the network is one whose layers edgesr knows.

    Raises:
        ModuleNotFoundError: one is not installed, see `extras.absent`.
        ExportError: one does not take another project's network.
    """
    for name in formats:
        if not (own or FORMATS[name].any_network):
            raise ExportError(
                f"--{name} is of networks whose layers edgesr knows, not of other projects'",
                f"Leave out --{name}.",
            )
        import_module(FORMATS[name].converter)


def files_in(folder: Path) -> list[str]:
    """The files for other runtimes that a bundle has; empty where there is no bundle."""
    return sorted(
        path.name for kind in FORMATS.values() for path in folder.glob(f"model*.{kind.suffix}")
    )


def formats_in(folder: Path) -> tuple[str, ...]:
    """Of which `FORMATS` a bundle has files."""
    return tuple(
        name for name, kind in FORMATS.items() if any(folder.glob(f"model*.{kind.suffix}"))
    )


def of_formats(variants: Sequence[str], formats: tuple[str, ...]) -> list[str]:
    """The files that `others.write_others` makes of a bundle that has `variants`."""
    found = []
    for kind in (FORMATS[name] for name in formats):
        found += [file_of(each, kind.suffix) for each in kind.copied if each in variants]
        if kind.palettised in variants:
            found.append(file_of(PALETTISED, kind.suffix))
    return found
