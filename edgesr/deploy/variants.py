"""The model files of a bundle: fp32 as it is exported, and what is made from that file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import onnx

from edgesr.bounds import SIZE, parse_size
from edgesr.bundle.records import card
from edgesr.deploy.bytes_io import to_bytes_io
from edgesr.deploy.export import lowest_ir_version
from edgesr.deploy.fixed import fix_shapes
from edgesr.deploy.half import to_fp16
from edgesr.deploy.heldout import heldout
from edgesr.deploy.int8 import Chosen, to_a16w8, to_int8
from edgesr.deploy.int8_tail import ends_in_clip, gives_levels
from edgesr.deploy.signed import to_s8s8
from edgesr.deploy.symmetric import to_symmetric
from edgesr.errors import ExportError
from edgesr.inference.contract import COLOURS
from edgesr.inference.model import Model
from edgesr.models.foreign import Foreign
from edgesr.models.zoo import Network, colours_of
from edgesr.recipe import AnyRecipe
from edgesr.variant import file_of, name_of, parse
from edgesr.workspace import atomic

MADE = ("fp16", "int8", "uint8-io", "int8-uint8-io", "s8s8", "a16w8", "s8s8-symmetric")
"""What can be made of fp32's file, by name, in the order of the card."""


Graph = tuple[onnx.ModelProto, dict[str, Any]]
"""A graph, and what card.json says of it beyond the contract."""


@dataclass(frozen=True)
class Variant:
    """One model file, and how it is called.

    Attributes:
        name: see `edgesr.variant`.
        clipped: whether the output is held to its range inside the graph.
        scale: how many times larger `sr` is than `lr`.
        dtype: of what it takes and gives: float32, float16 or uint8.
        batch: "batch", or 1 where the file takes one picture at a time.
        window: "WIDTHxHEIGHT" where the file takes that size alone.
        colours: channels of what it takes and gives: 3 of RGB, 1 of Y.
        facts: what else card.json says of it, e.g. which layers an int8 file keeps in float.
    """

    name: str
    clipped: bool
    scale: int
    dtype: str = "float32"
    batch: str | int = "batch"
    window: str = ""
    colours: int = 3
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return file_of(self.name)

    @property
    def bytes_io(self) -> bool:
        """Whether it takes and gives bytes, not floats."""
        return self.dtype == "uint8"

    def metadata(self) -> dict[str, str]:
        """What its file says of it beside what all files of the bundle say."""
        return {
            "edgesr.variant": self.name,
            "edgesr.layout": "NHWC" if self.bytes_io else "NCHW",
            "edgesr.range": "0..255" if self.bytes_io else "0..1",
            "edgesr.dtype": self.dtype,
            "edgesr.colour": COLOURS[self.colours],
            **({"edgesr.window": self.window} if self.window else {}),
        }

    def card(self, folder: Path) -> card.Variant:
        """Its entry in card.json; the file is in `folder`."""
        small: tuple[int | str, ...] = "height", "width"
        large: tuple[int | str, ...] = tuple(f"{self.scale}*{side}" for side in small)
        if self.window:
            width, height = parse_size(self.window)
            small, large = (height, width), (self.scale * height, self.scale * width)
        facts = {
            "file": self.file,
            "bytes": (folder / self.file).stat().st_size,
            "input": self._picture("lr", *small),
            "output": {**self._picture("sr", *large), "clipped": self.clipped},
            "bytes_per_pixel": self._bytes_per_pixel(folder),
        }
        return card.Variant.model_validate(facts | self.facts)

    def _bytes_per_pixel(self, folder: Path) -> int:
        """What a window of its own size takes, or one of 128 x 128."""
        model = Model(folder / self.file, provider="cpu", threads=None)
        return round(model.bytes_per_pixel)

    def _picture(self, name: str, height: int | str, width: int | str) -> dict[str, Any]:
        facts = {"name": name, "colour": COLOURS[self.colours], "dtype": self.dtype}
        if self.bytes_io:
            shape = [self.batch, height, width, self.colours]
            return {**facts, "layout": "NHWC", "range": [0, 255], "shape": shape}
        shape = [self.batch, self.colours, height, width]
        return {**facts, "layout": "NCHW", "range": [0, 1], "shape": shape}


def completed(names: Iterable[str]) -> tuple[str, ...]:
    """`names` in the order in which they are made, with int8 where one of them is made of it.

    Raises:
        ExportError: a name is no variant's.
    """
    wanted = set(names)
    for name in sorted(wanted):
        try:
            if parse(name).quantised:
                wanted.add("int8")
        except ValueError as error:
            raise ExportError(f"variant {name}: {error}") from None
    return tuple(name for name in MADE if name in wanted)


class Maker:
    """Makes variants of `module` from the file `fp32`.

    Args:
        kept: the int8 graph that there is already, and what its card says; see `deploy.kept`.
    """

    def __init__(
        self, module: Network, fp32: Path, recipe: AnyRecipe, kept: Graph | None = None
    ) -> None:
        self.module, self.recipe, self._fp32, self._kept = module, recipe, fp32, kept

    def __call__(self, name: str) -> Graph:
        """The graph of a variant, one of `MADE`, and what its card says beyond the contract.

        Raises:
            ExportError: its outputs are not what they should be.
        """
        floats, settings = onnx.load(self._fp32), self.recipe.export
        match name:
            case "fp16":
                judges = heldout(self.recipe.data, self.module.scale)
                return to_fp16(floats, judges, settings.fp16.io)
            case "int8":
                return self._int8
            case "uint8-io":
                return to_bytes_io(floats), {}
            case "int8-uint8-io":
                return to_bytes_io(self._int8[0]), self._int8[1]
            case "s8s8":
                return to_s8s8(self._int8[0]), self._int8[1]
        if self._kept:
            raise ExportError(f"{name} is calibrated with int8: leave out --keep-int8, or it")
        return {"a16w8": to_a16w8, "s8s8-symmetric": to_symmetric}[name](self._chosen)

    @property
    def _int8(self) -> Graph:
        return self._kept or (self._chosen.int8.model, self._chosen.facts)

    @cached_property
    def _chosen(self) -> Chosen:
        return to_int8(self.module, onnx.load(self._fp32), self.recipe)


def write_variant(name: str, make: Maker, folder: Path, metadata: dict[str, str]) -> Variant:
    """Make variant `name` and write it beside the bundle's fp32 file.

    Args:
        metadata: what all files of the bundle say.

    Raises:
        ExportError: the variant cannot be made, or is not a valid ONNX file.
    """
    model, facts = make(name)
    dtype = input_dtype(model)
    clipped = clips(make.module, make.recipe) or dtype == "uint8"
    clipped |= gives_levels(model) or ends_in_clip(model)
    variant = Variant(
        name,
        clipped,
        make.module.scale,
        dtype,
        batch_of(model),
        colours=colours_of(make.module),
        facts=facts,
    )
    _save(model, variant, folder, metadata)
    return variant


def write_fixed(free: Variant, window: str, folder: Path, metadata: dict[str, str]) -> Variant:
    """Write the copy of `free`, whose file is there, that takes pictures of the size `window`
    alone, one at a time."""
    name = str(parse(free.name).fixed(window))
    variant = replace(free, name=name, batch=1, window=window)
    model = fix_shapes(onnx.load(folder / free.file), window, free.scale)
    _save(model, variant, folder, metadata)
    return variant


def _save(model: onnx.ModelProto, variant: Variant, folder: Path, metadata: dict[str, str]) -> None:
    """Write the file of `variant`, with what it says of itself.

    Raises:
        ExportError: it is not a valid ONNX file.
    """
    model.ir_version = lowest_ir_version(model)
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    version = {"edgesr.opset": str(opset), "edgesr.ir_version": str(model.ir_version)}
    model.ClearField("metadata_props")
    onnx.helper.set_model_props(model, metadata | variant.metadata() | version)
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"variant {variant.name} is not a valid ONNX file: {error}") from None
    with atomic(folder / variant.file) as temporary:
        onnx.save_model(model, temporary)


def free_names(variants: Iterable[str], recipe: AnyRecipe) -> tuple[str, ...]:
    """The files of any size beside fp32's: `variants`, and those that `export.fixed` names a copy
    of."""
    named = (each for each in recipe.export.fixed if not re.fullmatch(SIZE, each))
    return completed([*variants, *(str(parse(each).fixed("")) for each in named)])


def copies(free: Iterable[str], fixed: Iterable[str]) -> list[str]:
    """The files that `export.fixed` asks for: of a size one of each in `free`, of a name that."""
    names = list(free)
    found = [
        [str(parse(name).fixed(each)) for name in names] if re.fullmatch(SIZE, each) else [each]
        for each in fixed
    ]
    return list(dict.fromkeys(chain(*found)))


def all_names(variants: Iterable[str], recipe: AnyRecipe) -> list[str]:
    """Every file of a bundle that is to have `variants` beside fp32's, by name."""
    free = ["fp32", *free_names(variants, recipe)]
    return [*free, *copies(free, recipe.export.fixed)]


def names_in(folder: Path) -> list[str]:
    """The model files that a bundle has, by name; empty where there is no bundle."""
    found = (name_of(path.name) for path in sorted(folder.glob("model*.onnx")))
    return [name for name in found if name]


def clips(module: Network, recipe: AnyRecipe) -> bool:
    """Whether the float file holds its output to 0..1: of others' networks always."""
    return recipe.export.rewrites.clip or isinstance(module, Foreign)


def batch_of(model: onnx.ModelProto) -> str | int:
    """The batch that `model` takes: a name where it is free."""
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    return str(batch.dim_param) or int(batch.dim_value)


def input_dtype(model: onnx.ModelProto) -> str:
    """Type of what `model` takes, as NumPy calls it."""
    kind = model.graph.input[0].type.tensor_type.elem_type
    return str(onnx.helper.tensor_dtype_to_np_dtype(kind))
