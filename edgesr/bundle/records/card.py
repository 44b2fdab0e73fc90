"""The type of card.json: what an app must know to call a bundle's files. No torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgesr import recipe
from edgesr.bounds import MAX_SIDE
from edgesr.bundle.records.base import (
    MAX_ABS,
    Digest,
    Few,
    File,
    Line,
    Many,
    Named,
    Number,
    Record,
    Whole,
)

FORMAT = 3
VariantName = recipe.Variant
Role = Literal["teacher", "student"]
Side = Annotated[int, Field(ge=1, le=16 * MAX_SIDE)]
Losses = Annotated[dict[Named, Number], Few]
WEIGHTS = "weights.safetensors"
ORIGINAL = "original.onnx"
"""In place of weights where a bundle was made of an ONNX file: that file, behind the contract."""


class Picture(Record):
    """What a model file takes."""

    name: Literal["lr", "sr"]
    colour: Literal["RGB", "Y"]
    """Y: luma of BT.601 in full range, one channel."""
    dtype: Literal["float32", "float16", "uint8"]
    layout: Literal["NCHW", "NHWC"]
    range: Annotated[list[Literal[0, 1, 255]], Field(min_length=2, max_length=2)]
    shape: Annotated[list[Named | Side], Field(min_length=4, max_length=4)]
    """A name where it is free."""


class Output(Picture):
    """What a model file gives."""

    clipped: bool
    """Whether the graph holds it to its range."""


class Variant(Record):
    """One model file of the bundle."""

    file: File
    bytes: Whole
    input: Picture
    output: Output
    bytes_per_pixel: Whole | None = None
    """Memory by which a process grows for each LR pixel of a picture, ONNX Runtime on the CPU, the
    result included; None of files that were exported before it was measured."""
    psnr_to_fp32_db: Number | None = None
    """Of fp16, on the worst of the photographs that judge."""
    needs: Line | None = None
    """Of int8, as all that follows: what its arithmetic asks of a processor."""
    calibration: Named | None = None
    """How the ranges were found."""
    calibrated_on: Named | None = None
    """The pictures that they were found on."""
    calibration_images: Whole | None = None
    psnr_loss_db: Losses | None = None
    """By way of calibration, against fp32."""
    finetuned: bool | None = None
    psnr_loss_db_of_one_layer: Annotated[dict[Named, Number], Many] | None = None
    float_layers: Annotated[list[Named], Many] | None = None
    layers: Whole | None = None
    psnr_loss_db_shipped: Number | None = None
    likeness_db: Losses | None = None
    """PSNR against fp32's picture, by kind of picture."""
    flat_levels: Whole | None = None
    """The most 8-bit levels that a flat colour moves."""
    judged_on: Line | None = None

    @property
    def window(self) -> tuple[int, int] | None:
        """Height and width of the one size that it takes, in LR pixels; None where it takes any."""
        shape = self.input.shape
        height, width = shape[1:3] if self.input.layout == "NHWC" else shape[2:4]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None


class Palette(Record):
    """Weights that stand as indices into tables of 2^bits values, one for each layer, and what that
    loses."""

    bits: Literal[4, 6, 8]
    layers: Whole
    """That have a table: those of more than 2048 weights."""
    max_abs: Annotated[float, Field(gt=0, le=MAX_ABS)]
    """The most that a value of a golden vector is off fp32's, where the graph is computed in
    float32."""
    psnr_loss_db_shipped: Number
    likeness_db: Losses
    """PSNR against fp32's picture, by kind of picture."""
    flat_levels: Whole
    """The most 8-bit levels that a flat colour moves."""
    judged_on: Line


class Other(Record):
    """A model file that is no ONNX, for a runtime that opens none: a copy of one of the
    variants."""

    runtime: Literal["litert", "executorch", "onnxruntime", "coreml"]
    variant: VariantName
    file: File
    bytes: Whole
    input: Picture
    output: Output
    largest: Side | None = None
    """LR pixels of the longest side that it takes; None where any is taken."""
    made_by: Line
    """The converter and torch, with their versions."""
    proved_by: Line | None
    """The runtime by which it holds the golden vectors; None where it was not run."""
    palette: Palette | None = None
    """None where weights stand for themselves."""


class Origin(Record):
    """The network that taught."""

    name: recipe.Name
    architecture: Line
    spec: recipe.Model | None
    """None where it is a foreign network."""


class Card(Record):
    """card.json."""

    format: Literal[3]
    name: recipe.Name
    architecture: Line
    scale: recipe.Scale
    min_size: Annotated[int, Field(ge=1, le=1024)]
    """LR pixels of the shortest side that the files take."""
    halo: Annotated[int, Field(ge=0, le=4096)]
    """LR pixels around a pixel that decide its value."""
    multiple: Annotated[int, Field(ge=1, le=1024)] = 1
    """LR pixels of which both sides are a multiple; tiles begin and end at multiples."""
    tileable: bool = True
    """False where the network sees the whole picture: no halo suffices."""
    licence: Line
    git_revision: Named
    """Of edgesr: its commit, or its version."""
    opset: Annotated[int, Field(ge=1, le=1000)]
    ir_version: Annotated[int, Field(ge=1, le=1000)]
    simplified: bool
    spec: recipe.Model | None
    """None where it is a network of another project."""
    variants: Annotated[dict[VariantName, Variant], Field(min_length=1)]
    others: Annotated[list[Other], Few] = Field(default_factory=list)
    """Files for other runtimes than those that open ONNX."""
    sha256: Annotated[dict[File, Digest], Few]
    """Of the model files, the weights and the recipe."""
    role: Role
    teacher: Origin | None

    @model_validator(mode="after")
    def complete(self) -> Self:
        files = [variant.file for variant in self.variants.values()]
        files += [other.file for other in self.others]
        missing = [] if "fp32" in self.variants else ["the variant fp32"]
        stored = ORIGINAL if ORIGINAL in self.sha256 else WEIGHTS
        stated = (*files, stored, "recipe.toml")
        missing += [f"SHA-256 of {file}" for file in stated if file not in self.sha256]
        if missing:
            raise ValueError(f"it does not state: {', '.join(missing)}")
        return self
