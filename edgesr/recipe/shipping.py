"""What is exported, how it is measured, what it must keep: [export], [verify], [gates]."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgesr import bounds, variant
from edgesr.bounds import (
    Channels,
    Fraction,
    Number,
    Photos,
    Positive,
    Size,
    StepsOrNone,
    Threads,
    Weight,
)
from edgesr.recipe.table import Table


class Rewrites(Table):
    """Exact rewrites of the exported graph, each one the same function with less work."""

    fold_batch_norm: bool = True
    """A convolution also does what the batch normalisation behind it does."""
    collapse_branches: bool = True
    """Branches beside a 3x3 convolution become part of it."""
    leaky_relu: bool = True
    """A PReLU with one slope becomes a LeakyReLU, which runtimes fuse into the convolution."""
    prelu_before_shuffle: bool = True
    """PixelShuffle > PReLU becomes PReLU > PixelShuffle, the slopes repeated."""
    low_resolution_tail: bool = True
    """PixelShuffle > activation > convolution becomes activation > convolution > PixelShuffle, at
    the lower resolution."""
    low_resolution_anchor: bool = True
    """The input, enlarged and added behind PixelShuffle by an edge student, is added before it, at
    the lower resolution."""
    split_prelu: bool = False
    """A PReLU with a slope of each channel, in another project's network, becomes the sum of a
    scaled ReLU and the scaled input: quicker in ONNX Runtime on x86, slower elsewhere."""
    clip: bool = False
    """Clip the output to 0..1 inside the graph; changes values outside it only."""


class Fp16(Table):
    """How `edgesr export --fp16` converts."""

    io: Literal["float32", "float16"] = "float32"
    """Type of `lr` and `sr`. With `float32` the file casts at both ends and is called as
    `model.onnx` is; with `float16` the app does."""


class Int8(Table):
    """How `edgesr export --int8` quantises."""

    images: Photos = 24
    """Training photographs, the middle of each, that set the ranges of the activations, alone or
    with drawn pictures beside them."""
    max_psnr_loss_db: Positive = 0.05
    """PSNR that the held-out photographs may lose, on Y and on RGB. Where calibration loses more,
    or less is kept than `gates.int8` asks, the network is fine-tuned, and then the most harmful
    convolutions stay in float."""
    reduce_range: bool = True
    """Weights such that no two of one sign in a filter add up to more than 128 steps: sums of their
    products fit 16 bits, which is where processors without VNNI add them, and cut off the rest."""
    min_channels: Channels = 16
    """Convolutions to fewer channels stay in float: ONNX Runtime's 8-bit ones are slower there."""
    finetune_steps: StepsOrNone = 1_000
    """Steps of quantisation-aware fine-tuning, where it is needed; 0 for none."""
    finetune_lr: Positive = 1e-4
    """Its learning rate at the start."""


def check_fixed(text: str) -> str:
    """`text` where it is a size, or the name of a variant of one size.

    Raises:
        ValueError: it is neither.
    """
    name, _, size = text.rpartition("-")
    bounds.check_size(size)
    return variant.check(text) if name else text


Fixed = Annotated[
    str, AfterValidator(check_fixed), Field(json_schema_extra={"pattern": variant.FIXED})
]


class Export(Table):
    """How ONNX files are written."""

    opset: Annotated[int, Field(ge=13, le=23)] = 17
    """Version of ONNX's default operator set."""
    rewrites: Rewrites = Rewrites()
    """Exact rewrites of the exported graph."""
    depth_to_space: Literal["DCR", "CRD"] = "DCR"
    """Channel order of DepthToSpace: `DCR`, the weights permuted and the function the same, as
    delegates want it (`edgesr verify --target`); `CRD` as torch has it."""
    fixed: Annotated[list[Fixed], Field(max_length=bounds.MAX_ITEMS)] = []
    """LR sizes: of each a copy of every model file that takes this size alone, for delegates that
    refuse shapes that are not fixed; or the name of one such copy, `int8-256x256`. As
    `edgesr export --fixed`."""
    fp16: Fp16 = Fp16()
    """How `edgesr export --fp16` converts."""
    int8: Int8 = Int8()
    """How `edgesr export --int8` quantises."""


class Verify(Table):
    """How a bundle is measured."""

    size: Size = "128x128"
    """LR width x height at which latency and cost are stated."""
    shapes: Annotated[list[Size], Field(max_length=bounds.MAX_ITEMS)] = ["64x64", "160x96"]
    """Further LR sizes: each is timed after `size`, its first run apart from the later ones."""
    threads: Threads = 2
    """CPU threads of every runtime."""
    runs: Annotated[int, Field(ge=5, le=bounds.MAX_RUNS)] = 20
    """Timed runs after the warm-up, of each size."""


Variant = Annotated[
    str, AfterValidator(variant.check), Field(json_schema_extra={"pattern": variant.PATTERN})
]
"""A model file of a bundle by its name; `edgesr.variant` says what names say."""


class VariantGates(Table):
    """What one variant must keep on one runtime. What was not measured does not hold."""

    p50_ms: Positive | None = None
    """Median of the latency in ms."""
    p95_ms: Positive | None = None
    """95th percentile of the latency in ms."""
    size: Size | None = None
    """LR width x height at which `p50_ms`, `p95_ms` and `min_speedup` must hold; `verify.size`
    unless given."""
    max_psnr_loss_db: Weight | None = None
    """PSNR of fp32 on the same runtime, less this one's, on the photographs that verify measures
    on; on Y or on RGB, whichever lost more."""
    max_abs_diff: Positive | None = None
    """Largest |PyTorch - runtime| over the parity grid, values in 0..1; of int8, and of files that
    clip, both held to 0..1."""
    max_mb: Positive | None = None
    """Size of the variant's file in MB (10^6 bytes)."""
    min_speedup: Positive | None = None
    """Median latency of fp32 on the same runtime, over this one's."""


class Fidelity(Table):
    """What an int8 file must keep of the float one, by kind of picture: PSNR in dB on RGB between
    the two pictures as they are shown. `edgesr export --int8` keeps layers in float for it, and
    `edgesr verify` judges by it on every runtime."""

    min_photograph_db: Positive | None = 38.0
    """A photograph that is held out."""
    min_text_db: Positive | None = 34.0
    """A page of text as on a screen."""
    min_drawing_db: Positive | None = 34.0
    """Strokes and areas in flat and saturated colours."""
    min_noise_db: Positive | None = 26.0
    """Every value as likely as every other."""
    min_checkerboard_db: Positive | None = 13.0
    """Single pixels of black and white in turn, the strongest contrast that there is."""
    max_flat_levels: Weight | None = 1
    """8-bit levels by which a flat colour may move: white, black, greys and primaries."""


class HalfGates(VariantGates):
    """What model.fp16.onnx must keep on every runtime that it is measured on."""

    max_psnr_loss_db: Weight | None = 0.02
    """As `gates.cpu`'s."""
    max_abs_diff: Positive | None = 0.02
    """As `gates.cpu`'s: five steps of 8 bits."""


class Int8Gates(VariantGates, Fidelity):
    """What model.int8.onnx, and any other file that computes with integers, must keep on every
    runtime that it is measured on, on pictures of every kind. `min_*_db` is PSNR on RGB between its
    pictures and the float network's, as they are shown; `edgesr export --int8` keeps layers in
    float for it."""

    max_psnr_loss_db: Weight | None = 0.1
    """As `gates.cpu`'s."""


class BytesGates(VariantGates):
    """What model.uint8-io.onnx must keep on every runtime that it is measured on. On ONNX Runtime's
    CPU its bytes must be the float file's own in any case."""

    max_psnr_loss_db: Weight | None = 0.01
    """As `gates.cpu`'s."""
    max_abs_diff: Positive | None = 0.004
    """As `gates.cpu`'s: one step of 8 bits."""


class Gates(Table):
    """What a bundle must keep to ship. What is measured and has no limit is shown as not judged."""

    max_mb: Positive | None = None
    """Size of model.onnx in MB (10^6 bytes)."""
    max_abs_diff: Positive | None = 1e-4
    """Largest |PyTorch - runtime| of fp32 over the parity grid, values in 0..1; on every runtime
    whose own table does not state one."""
    max_pixels_changed: Fraction | None = 0.001
    """Largest share of 8-bit values that differ over any case of the parity grid; of fp32, on
    every runtime."""
    p95_ms: Positive | None = None
    """95th percentile of the latency of fp32 in ms at `verify.size`, by ONNX Runtime."""
    min_psnr_db: Number | None = None
    """PSNR on Y over the photographs that verify measures on: those that ship, or `--data`."""
    min_gain_over_bicubic_db: Number | None = None
    """The same PSNR less bicubic's; 0 unless given, but where there is a [gan] stage."""
    max_lpips: Positive | None = None
    """LPIPS (AlexNet) over the same photographs. Not judged where its weights are missing."""
    min_lpips_gain: Number | None = None
    """Bicubic's LPIPS less this one; 0 unless given, where there is a [gan] stage."""
    max_grid: Weight | None = None
    """Energy of a lattice of as many pixels as the scale, in the smooth quarter of the same
    photographs, over the ground truth's there: 0 is none, 0.4 does not show yet."""
    min_reduction_percent: Number | None = None
    """Parameters saved against the teacher, in percent."""
    fp16: HalfGates = HalfGates()
    """model.fp16.onnx, where it is there, on every runtime whose own table does not say else."""
    int8: Int8Gates = Int8Gates()
    """model.int8.onnx, likewise."""
    uint8_io: BytesGates = BytesGates()
    """model.uint8-io.onnx, likewise."""
    cpu: dict[Variant, VariantGates] = {}
    """ONNX Runtime on the CPU."""
    cuda: dict[Variant, VariantGates] = {}
    """ONNX Runtime on CUDA."""
    openvino: dict[Variant, VariantGates] = {}
    """OpenVINO; measured where `edgesr verify --runtime openvino` asks."""
    ncnn: dict[Variant, VariantGates] = {}
    """ncnn; measured where `edgesr verify --runtime ncnn` asks."""
    web: dict[Variant, VariantGates] = {}
    """ONNX Runtime Web; measured where `edgesr verify --runtime web` asks."""
    litert: dict[Variant, VariantGates] = {}
    """LiteRT; measured where `edgesr verify --runtime litert` asks, on a bundle's .tflite files."""
    executorch: dict[Variant, VariantGates] = {}
    """ExecuTorch; measured where `edgesr verify --runtime executorch` asks, on .pte files."""

    @property
    def variants(self) -> tuple[str, ...]:
        """Those beside fp32 that a runtime's table names: without its file such a gate fails."""
        named = {*self.cpu, *self.cuda, *self.openvino, *self.ncnn, *self.web}
        named |= {*self.litert, *self.executorch}
        return tuple(sorted(named - {"fp32"}))
