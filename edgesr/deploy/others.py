"""Files of a bundle for runtimes that open no ONNX: LiteRT's and ExecuTorch's, each proved by the
golden vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import onnx

from edgesr import console
from edgesr.bounds import parse_size
from edgesr.bundle.check import Golden, read_golden
from edgesr.bundle.records.card import Card, Other
from edgesr.bundle.records.golden import Tolerance
from edgesr.deploy.variants import clips
from edgesr.errors import ExportError, Unsupported
from edgesr.inference.tiling import Pixels, to_values
from edgesr.models.zoo import Network, colours_of
from edgesr.recipe import AnyRecipe
from edgesr.runtimes.base import Name, Running, Values
from edgesr.runtimes.registry import load
from edgesr.variant import file_of
from edgesr.workspace import write_bytes


@dataclass(frozen=True)
class Format:
    """Files of one suffix.

    Attributes:
        converter: the module that makes them.
        runtime: that opens them.
        copied: the variants that are copied, where the bundle has them.
        layout: of the pictures in and out.
        made_by: the packages that have a part in the making.
        proved_by: the package of the runtime.
    """

    converter: str
    runtime: Name
    copied: tuple[str, ...]
    layout: Literal["NCHW", "NHWC"]
    made_by: tuple[str, ...]
    proved_by: str


FORMATS = {
    "tflite": Format(
        converter="edgesr.deploy.litert",
        runtime="litert",
        copied=("fp32", "fp16", "int8"),
        layout="NHWC",
        made_by=("litert-torch", "torch"),
        proved_by="ai-edge-litert",
    ),
    "pte": Format(
        converter="edgesr.deploy.executorch",
        runtime="executorch",
        copied=("fp32", "int8"),
        layout="NCHW",
        made_by=("executorch", "torch"),
        proved_by="executorch",
    ),
}
"""What can be asked for, by the suffix of its files."""
LARGEST = 512
"""Sides in LR pixels that a .pte takes; of larger pictures the result alone is 50 MB and more."""


class Made(NamedTuple):
    """A file as its converter gives it.

    Attributes:
        variant: of which it is a copy.
        data: its content.
        dtype: of what it takes and gives.
        clipped: whether the output is held to its range.
        largest: LR pixels of the longest side that it takes; None where any is taken.
    """

    variant: str
    data: bytes
    dtype: str = "float32"
    clipped: bool = False
    largest: int | None = None


def check_formats(formats: tuple[str, ...]) -> None:
    """Load the converters, before anything else is done.

    Raises:
        ModuleNotFoundError: one is not installed, see `extras.absent`.
    """
    for name in formats:
        import_module(FORMATS[name].converter)


def files_in(folder: Path) -> list[str]:
    """The files for other runtimes that a bundle has; empty where there is no bundle."""
    return sorted(path.name for name in FORMATS for path in folder.glob(f"model*.{name}"))


def formats_in(folder: Path) -> tuple[str, ...]:
    """Of which `FORMATS` a bundle has files."""
    return tuple(name for name in FORMATS if any(folder.glob(f"model*.{name}")))


def of_formats(variants: Sequence[str], formats: tuple[str, ...]) -> list[str]:
    """The files that `write_others` makes of a bundle that has `variants`."""
    return [
        file_of(variant, name)
        for name in formats
        for variant in FORMATS[name].copied
        if variant in variants
    ]


def write_others(
    module: Network, folder: Path, card: Card, recipe: AnyRecipe, formats: tuple[str, ...]
) -> list[Other]:
    """Write files for other runtimes into a bundle whose ONNX files and golden vectors are there.

    Raises:
        ExportError: the network cannot be converted, or what a converter made does not hold the
            golden vectors.
    """
    if colours_of(module) != 3:
        raise ExportError(
            "files for other runtimes than those of ONNX are made of networks of RGB, and this one "
            "takes Y alone",
            f"Leave out {', '.join(f'--{name}' for name in formats)}.",
        )
    found = []
    for name in formats:
        copies = _pte if name == "pte" else _tflite
        for made in copies(module, folder, card, recipe):
            file = file_of(made.variant, name)
            write_bytes(folder / file, made.data)
            other = facts(made, name, card.scale)
            prove(folder / file, other, folder, card.scale)
            found.append(other)
    return found


def _tflite(module: Network, folder: Path, card: Card, recipe: AnyRecipe) -> Iterator[Made]:
    """Of each of fp32, fp16 and int8 that the bundle has."""
    from edgesr.deploy import litert

    clipped = clips(module, recipe)
    fp32 = litert.to_litert(module, parse_size(recipe.verify.size), clip=clipped)
    yield Made("fp32", fp32, clipped=clipped)
    if "fp16" in card.variants:
        yield Made("fp16", litert.to_fp16(fp32), clipped=clipped)
    if "int8" in card.variants:
        try:
            int8 = litert.to_int8(fp32, onnx.load(folder / card.variants["int8"].file))
        except ExportError as error:
            console.warn(error.message)
        else:
            yield Made("int8", int8, dtype="uint8", clipped=True)


def _pte(module: Network, folder: Path, card: Card, recipe: AnyRecipe) -> Iterator[Made]:
    """Of fp32 and int8, for pictures of every size that verify times, too."""
    from edgesr.deploy import executorch

    clipped, settings = clips(module, recipe), recipe.verify
    timed = [side for size in (settings.size, *settings.shapes) for side in parse_size(size)]
    largest = max(LARGEST, *timed)
    data = executorch.to_executorch(module, largest, clip=clipped)
    yield Made("fp32", data, clipped=clipped, largest=largest)
    if "int8" in card.variants:
        try:
            int8 = onnx.load(folder / card.variants["int8"].file)
            data = executorch.to_int8(module, int8, largest)
        except ExportError as error:
            console.warn(error.message)
        else:
            yield Made("int8", data, clipped=True, largest=largest)


def facts(made: Made, name: str, scale: int) -> Other:
    """What the card says of a file of the format `name`."""
    kind = FORMATS[name]
    large = f"{scale}*height", f"{scale}*width"
    output = _picture("sr", made.dtype, kind.layout, *large) | {"clipped": made.clipped}
    return Other.model_validate(
        {
            "runtime": kind.runtime,
            "variant": made.variant,
            "file": file_of(made.variant, name),
            "bytes": len(made.data),
            "input": _picture("lr", made.dtype, kind.layout, "height", "width"),
            "output": output,
            "largest": made.largest,
            "made_by": ", ".join(map(_version, kind.made_by)),
            "proved_by": _version(kind.proved_by),
        }
    )


def _version(package: str) -> str:
    return f"{package} {metadata.version(package)}"


def _picture(name: str, dtype: str, layout: str, height: str, width: str) -> dict[str, Any]:
    white = 255 if dtype == "uint8" else 1
    shape = [1, height, width, 3] if layout == "NHWC" else [1, 3, height, width]
    said = {"name": name, "colour": "RGB", "dtype": dtype, "range": [0, white]}
    return said | {"layout": layout, "shape": shape}


def prove(file: Path, other: Other, folder: Path, scale: int) -> None:
    """Hold a file, by its own runtime, against the golden vectors of the variant that it copies.

    Args:
        folder: of the bundle.

    Raises:
        ExportError: it gives something else, or its runtime does not take it.
        VerifyError: its runtime is not installed.
    """
    tolerance, goldens = read_golden(folder / "golden", scale)
    with closing(load(other.runtime).open(file, threads=1)) as running:
        for golden in goldens:
            _compare(file.name, other, running, golden, tolerance[other.variant])


def _compare(
    file: str, other: Other, running: Running, golden: Golden, tolerance: Tolerance
) -> None:
    expected = golden.expected[other.variant]
    try:
        sr = _values(running, other, golden.pixels)
    except Unsupported as error:
        raise ExportError(f"{file} is refused on golden vector {golden.name}: {error}") from None
    if sr.shape != expected.shape:
        raise ExportError(f"{file} gives {sr.shape} of {golden.name}, expected {expected.shape}")
    if other.output.clipped:
        expected = expected.clip(0, 1)
    off, limit = float(np.abs(sr - expected).max()), tolerance.max_abs
    assert limit is not None, "only files of bytes have another, and none of these is a copy of one"
    if not off <= limit:
        raise ExportError(
            f"{file} is not the network: off by {off:.2g} on golden vector {golden.name}, "
            f"at most {limit:.2g} is tolerated. It was made by {other.made_by}",
            "Leave this format out, or try another version of the converter.",
        )


def _values(running: Running, other: Other, pixels: Pixels) -> Values:
    """What a file makes of `pixels`, (H, W, 3), as values of 0..1, (1, 3, H, W)."""
    if other.input.dtype == "uint8":
        sr, _ = running.run(pixels[None])
        return to_values(np.asarray(sr, np.uint8))
    sr, _ = running.run(to_values(pixels[None]))
    return np.asarray(sr, np.float32)
