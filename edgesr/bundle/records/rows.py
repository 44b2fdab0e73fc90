"""The rows of verify.json: what was measured of a file, on a runtime, at a size. No torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgesr.bounds import Size, Threads
from edgesr.bundle.records.base import (
    Amount,
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
from edgesr.bundle.records.card import VariantName

Runtime = Literal["cpu", "cuda", "openvino", "ncnn", "web", "litert", "executorch"]
Side = Annotated[int, Field(ge=1, le=2**24)]


class Machine(Record):
    """Where it was measured."""

    cpu: Line
    cores: Whole | None
    isa: Annotated[list[Named], Few] | None = None
    system: Line


class FileSize(Record):
    """Of model.onnx."""

    bytes: Whole


class Placement(Record):
    """See `verify.providers.Placement`."""

    provider: Named
    variant: VariantName
    requested: bool
    available: bool
    session_providers: Annotated[list[Named], Few]
    fallback_off: bool
    nodes: Annotated[dict[Named, Whole], Few]
    proved: bool
    message: Line


class Unsupported(Record):
    """A file that a runtime does not take."""

    runtime: Runtime
    variant: VariantName
    reason: Line


class Job(Record):
    """One model file on one runtime."""

    runtime: Runtime
    variant: VariantName
    exact: bool
    """Float32 files in float32; False for the runtime as it comes."""


class Measured(Job):
    """A job, and what the runtime says of the file."""

    version: Line
    threads: Threads
    precision: Named
    note: Line


class Input(Record):
    """One input of the parity grid."""

    case: Named
    height: Side
    width: Side
    batch: Side


class Case(Input):
    """What a file made of it, beside what PyTorch did; see `verify.parity`."""

    max_abs_diff: Amount
    psnr_db: Number | None
    shown_db: Number
    tint: Amount
    changed: Whole
    values: Annotated[int, Field(ge=1, le=2**53)]


class Refused(Input):
    """An input that the runtime does not take."""

    reason: Line


class Parity(Measured):
    """A file against PyTorch, over the grid."""

    max_abs_diff: Amount
    max_pixels_changed: Annotated[float, Field(ge=0, le=1)]
    min_psnr_db: Number | None
    kinds_db: Annotated[dict[Named, Number], Few]
    flat_levels: Amount | None
    cases: Annotated[list[Case], Field(min_length=1, max_length=1000)]
    unsupported: Annotated[list[Refused], Many]
    bytes_off: Whole | None = None
    """Of a file of bytes: how many are not the float file's."""


class Shape(Record):
    """The latency at a size that the file had not seen."""

    size: Size
    first_ms: Amount
    p50_ms: Amount
    p95_ms: Amount


class Surroundings(Record):
    """See `verify.quiet.Surroundings`."""

    threads: Threads
    reference_ms: Annotated[list[Amount], Few]
    cores: Whole
    cores_taken: Amount | None
    cpu_share: Amount
    load_before: Amount | None
    load_after: Amount | None


class Speed(Measured):
    """See `verify.speed`."""

    size: Size
    batch: Side
    warmup: Whole
    runs: Whole
    open_ms: Amount
    cold_start_ms: Amount
    min_ms: Amount
    p50_ms: Amount
    p95_ms: Amount
    images_per_s: Amount
    output_megapixels_per_s: Amount
    peak_memory_mb: Amount | None
    shapes: Annotated[list[Shape], Few]
    noisy: Line
    """Why the latencies are not to be judged; empty where they are."""
    surroundings: Surroundings


class Counts(Record):
    """Of one part of a network, or of all of it."""

    parameters: Whole
    macs: Whole
    bytes: Whole
    flops: Whole


Parts = Annotated[dict[Named, Counts], Few]


class TeacherCost(Record):
    """The teacher's counts."""

    name: Named
    architecture: Line
    parts: Parts
    total: Counts


class Cost(Record):
    """What the network costs at one LR size, and its teacher where that is known."""

    size: Size
    parts: Annotated[Parts, Field(min_length=1)]
    total: Counts
    teacher: TeacherCost | None
    reduction_percent: Number | None
    mac_ratio: Number | None

    @model_validator(mode="after")
    def compared(self) -> Self:
        stated = {x is None for x in (self.teacher, self.reduction_percent, self.mac_ratio)}
        if len(stated) > 1:
            raise ValueError("teacher, reduction_percent and mac_ratio belong together")
        return self


class Scores(Record):
    """PSNR, SSIM, LPIPS and the grid, and bicubic's; LPIPS is None without its weights.

    Attributes:
        grid: see `edgesr.quality.grid`; None in small pictures, and in evidence of an
            earlier edgesr.
    """

    psnr_db: Number
    ssim: Number
    lpips: Number | None
    psnr_rgb_db: Number
    bicubic_psnr_db: Number
    bicubic_ssim: Number
    bicubic_lpips: Number | None
    bicubic_psnr_rgb_db: Number
    grid: Amount | None = None
    bicubic_grid: Amount | None = None


class PictureScores(Scores):
    """One picture, `width` x `height` HR pixels."""

    image: Line
    width: Side
    height: Side
    sha256: Digest
    """Of its pixels, see `data.photos.digest`; by it the picture is found again."""


class Quality(Job, Scores):
    """A file on one set of pictures; the means."""

    data: Line
    """What the set is called: no path."""
    kind: Literal["photographs", "graphics"]
    images: Whole
    pictures: Annotated[list[PictureScores], Many]
    loss_db: Number
    """Against fp32 on the same runtime, on Y."""
    loss_rgb_db: Number
    """The same on RGB."""


class Source(Record):
    """Where a delegate's rule is documented."""

    title: Line
    url: Line
    version: Line


class FallsBack(Record):
    """Nodes that a delegate would leave to the CPU."""

    operator: Named
    count: Whole
    why: Line
    remedy: Line


class Look(Record):
    """What a delegate would take of a graph."""

    taken: Whole
    partitions: Whole
    falls_back: Annotated[list[FallsBack], Many]


class Delegate(Record):
    """One delegate of a target."""

    delegate: Line
    sources: Annotated[list[Source], Few]
    notes: Annotated[list[Line], Few]
    as_exported: Look
    fixed: Look


class Target(Record):
    """See `verify.targets.check_target`."""

    variant: VariantName
    target: Named
    file: File
    nodes: Whole
    opset: Whole
    fixed_size: Size
    run_on_device: Literal[False]
    delegates: Annotated[list[Delegate], Few]
