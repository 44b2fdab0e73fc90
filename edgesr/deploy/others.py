"""Files of a bundle that are no ONNX: LiteRT's, ExecuTorch's, Core ML's and those of ONNX Runtime's
own format, each held against the golden vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime

from edgesr import console
from edgesr.bounds import parse_size
from edgesr.bundle.check import Golden, read_golden
from edgesr.bundle.records.card import Card, Other, Palette
from edgesr.bundle.records.golden import Tolerance
from edgesr.deploy.fidelity import off
from edgesr.deploy.formats import FORMATS, PALETTISED
from edgesr.deploy.variants import clips
from edgesr.errors import ExportError, Unsupported
from edgesr.inference.tiling import Pixels, to_values
from edgesr.models.zoo import Network, colours_of
from edgesr.recipe import AnyRecipe
from edgesr.runtimes.base import Name, Tensor, Values
from edgesr.runtimes.registry import load
from edgesr.variant import file_of
from edgesr.workspace import write_bytes

Run = Callable[[Tensor], Tensor]
LARGEST = 512
"""Sides in LR pixels that a .pte and an .mlpackage take; of larger pictures the result alone is
50 MB and more."""


class Made(NamedTuple):
    """A file as its converter gives it.

    Attributes:
        variant: of which it is a copy.
        data: its content.
        dtype: of what it takes and gives.
        clipped: whether the output is held to its range.
        largest: LR pixels of the longest side that it takes; None where any is taken.
        palette: how its weights are palettised; None where they are not.
    """

    variant: str
    data: bytes
    dtype: str = "float32"
    clipped: bool = False
    largest: int | None = None
    palette: Palette | None = None

    def file(self, suffix: str) -> str:
        """What it is called in the bundle."""
        return file_of(PALETTISED if self.palette else self.variant, suffix)


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
    makers = {"tflite": _tflite, "pte": _pte, "ort": _ort, "mlpackage": _mlpackage}
    found = []
    for name in formats:
        for made in makers[name](module, folder, card, recipe):
            other = facts(made, name, card.scale)
            write_bytes(folder / other.file, made.data)
            prove(folder / other.file, other, folder, card.scale)
            found.append(other)
    return found


def _tflite(_: Network, folder: Path, card: Card, recipe: AnyRecipe) -> Iterator[Made]:
    """Of each of fp32, fp16 and int8 that the bundle has, from its own graphs."""
    from edgesr.deploy import litert

    for variant in FORMATS["tflite"].copied:
        if variant in card.variants:
            half = variant == "fp16"
            graph = onnx.load(folder / card.variants["fp32" if half else variant].file)
            data, dtype = litert.to_litert(graph, parse_size(recipe.verify.size), half=half)
            yield Made(variant, data, dtype, card.variants[variant].output.clipped)


def _pte(module: Network, folder: Path, card: Card, recipe: AnyRecipe) -> Iterator[Made]:
    """Of fp32 and int8, for pictures of every size that verify times, too."""
    from edgesr.deploy import executorch

    clipped, largest = clips(module, recipe), _largest(recipe)
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


def _ort(module: Network, folder: Path, card: Card, recipe: AnyRecipe) -> Iterator[Made]:
    """Of all but fp16, whose conversions to float32 would stay in the file, and the list of the
    operators that they need."""
    from edgesr.deploy import ort

    del module, recipe
    variants = [name for name in FORMATS["ort"].copied if name in card.variants]
    files, operators = ort.to_ort([folder / card.variants[name].file for name in variants])
    write_bytes(folder / ort.OPERATORS, operators.encode())
    for name, data in zip(variants, files, strict=True):
        facts = card.variants[name]
        yield Made(name, data, facts.input.dtype, facts.output.clipped)


def _mlpackage(module: Network, folder: Path, card: Card, recipe: AnyRecipe) -> Iterator[Made]:
    """Of fp32, and of fp16 where the bundle has it, with weights as they are and palettised, for
    pictures as large as a .pte's."""
    from edgesr.deploy import coreml, palettes

    clipped, largest, size = clips(module, recipe), _largest(recipe), parse_size(recipe.verify.size)
    make = partial(coreml.to_coreml, module, size, largest, clip=clipped)
    yield Made("fp32", make(half=False), "float32", clipped, largest)
    if "fp16" in card.variants:
        yield Made("fp16", make(half=True), "float16", clipped, largest)
        try:
            data, palette = palettes.shortest(
                partial(make, half=True), folder, card, recipe, clipped=clipped
            )
        except ExportError as error:
            console.warn(error.message)
        else:
            yield Made("fp16", data, "float16", clipped, largest, palette)


def _largest(recipe: AnyRecipe) -> int:
    """LR pixels of the longest side of a picture that a file with a bound takes."""
    settings = recipe.verify
    timed = [side for size in (settings.size, *settings.shapes) for side in parse_size(size)]
    return max(LARGEST, *timed)


def facts(made: Made, name: str, scale: int) -> Other:
    """What the card says of a file of the format `name`."""
    kind = FORMATS[name]
    large = f"{scale}*height", f"{scale}*width"
    layout = "NHWC" if made.dtype == "uint8" else kind.layout
    output = _picture("sr", made.dtype, layout, *large) | {"clipped": made.clipped}
    return Other.model_validate(
        {
            "runtime": kind.runtime,
            "variant": made.variant,
            "file": made.file(kind.suffix),
            "bytes": len(made.data),
            "input": _picture("lr", made.dtype, layout, "height", "width"),
            "output": output,
            "largest": made.largest,
            "made_by": ", ".join(map(_version, kind.made_by)),
            "proved_by": kind.proved_by and _version(kind.proved_by),
            **({"palette": made.palette} if made.palette else {}),
        }
    )


def _version(package: str) -> str:
    if package == "onnxruntime":  # which onnxruntime-gpu brings as well
        return f"{package} {onnxruntime.__version__}"
    return f"{package} {metadata.version(package)}"


def _picture(name: str, dtype: str, layout: str, height: str, width: str) -> dict[str, Any]:
    white = 255 if dtype == "uint8" else 1
    shape = [1, height, width, 3] if layout == "NHWC" else [1, 3, height, width]
    said = {"name": name, "colour": "RGB", "dtype": dtype, "range": [0, white]}
    return said | {"layout": layout, "shape": shape}


def prove(file: Path, other: Other, folder: Path, scale: int) -> None:
    """Hold a file against the golden vectors of the variant that it copies: by its own runtime, but
    Core ML's by its graph.

    Args:
        folder: of the bundle.

    Raises:
        ExportError: it gives something else, or its runtime does not take it.
        VerifyError: its runtime is not installed.
    """
    tolerances, goldens = read_golden(folder / "golden", scale)
    tolerance = tolerances[other.variant]
    if other.palette:
        tolerance = Tolerance(max_abs=other.palette.max_abs)
    with _opened(file, other) as run:
        for golden in goldens:
            _compare(file.name, other, run, golden, tolerance)


@contextmanager
def _opened(file: Path, other: Other) -> Iterator[Run]:
    """What runs `file`, for the block."""
    if other.runtime == "coreml":
        from edgesr.deploy.mil import MlProgram

        program = MlProgram(file)
        program.check(other)
        yield program.run
    else:
        runtime: Name = "cpu" if other.runtime == "onnxruntime" else other.runtime
        with closing(load(runtime).open(file, threads=1)) as running:
            yield lambda lr: running.run(lr)[0]


def _compare(file: str, other: Other, run: Run, golden: Golden, tolerance: Tolerance) -> None:
    expected = golden.expected[other.variant]
    try:
        sr = _values(run, other, golden.pixels)
    except Unsupported as error:
        raise ExportError(f"{file} is refused on golden vector {golden.name}: {error}") from None
    if sr.shape != expected.shape:
        raise ExportError(f"{file} gives {sr.shape} of {golden.name}, expected {expected.shape}")
    found, limit = off(sr, expected, clipped=other.output.clipped), _values_off(tolerance)
    if not found <= limit:
        raise ExportError(
            f"{file} is not the network: off by {found:.2g} on golden vector {golden.name}, "
            f"at most {limit:.2g} is tolerated. It was made by {other.made_by}",
            "Leave this format out, or try another version of the converter.",
        )


def _values_off(tolerance: Tolerance) -> float:
    """The most that a value of 0..1 may be off."""
    if tolerance.max_levels is not None:
        return tolerance.max_levels / 255
    assert tolerance.max_abs is not None, "it states one of both"
    return tolerance.max_abs


def _values(run: Run, other: Other, pixels: Pixels) -> Values:
    """What a file makes of `pixels`, (H, W, 3), as values of 0..1, (1, 3, H, W)."""
    if other.input.dtype == "uint8":
        return to_values(np.asarray(run(pixels[None]), np.uint8))
    return np.asarray(run(to_values(pixels[None])), np.float32)
