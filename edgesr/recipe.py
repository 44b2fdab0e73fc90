"""The types of a recipe. Every default of edgesr lives here and nowhere else.

Reading and writing the TOML file is the business of `edgesr.recipe_io`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edgesr import bounds
from edgesr.bounds import (
    Channels,
    Fraction,
    Layers,
    Number,
    Photos,
    Place,
    PlaceOrNone,
    Positive,
    Size,
    Steps,
    StepsOrNone,
    Text,
    Threads,
    Weight,
)

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
LONGEST_NAME = 100
"""Room is left in a file's name for what stands before and behind."""
RESERVED = ("latest",)
"""Files in `runs/` that are not run."""


def check_name(name: str) -> str:
    """`name` where a run and a bundle may be called so.

    Raises:
        ValueError: they may not; says why.
    """
    if name in RESERVED:
        raise ValueError(f"'{name}' is reserved, give another name")
    if not re.fullmatch(NAME, name):
        raise ValueError("expected letters, digits, '.', '_' and '-', a letter or digit first")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"{len(name)} characters, expected at most {LONGEST_NAME}")
    return name


Name = Annotated[
    str,
    AfterValidator(check_name),
    Field(json_schema_extra={"pattern": NAME, "maxLength": LONGEST_NAME}),
]


class Table(BaseModel):
    """A table of a recipe: unknown keys refused, values of exactly the named type."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


class Srgan(Table):
    """The SRGAN generator of Ledig et al., x4, with `blocks` residual blocks."""

    arch: Literal["srgan"] = "srgan"
    blocks: Layers = 4
    """Residual blocks: 16 in the paper's teacher, 4 in its student."""
    channels: Channels = 64
    """Feature channels of every layer but the last."""
    prelu: Literal["layer", "channel"] = "layer"
    """One PReLU slope per layer or one per channel; their sizes differ by 0.3 %."""
    output: Literal["linear", "tanh"] = "linear"
    """`linear`: the last convolution is the image; `tanh`: (tanh(x) + 1) / 2."""
    bn_eps: Annotated[float, Field(gt=0, le=1)] = 1e-5
    """Epsilon of batch normalisation."""

    @model_validator(mode="after")
    def fits(self) -> Self:
        bounds.check_parameters(18 * self.channels**2 * self.blocks)
        return self


class Edge(Table):
    """A student that stays at low resolution until its last operation, x4."""

    arch: Literal["edge"] = "edge"
    channels: Channels = 32
    """Width of every 3x3 convolution."""
    depth: Layers = 8
    """3x3 convolutions of `channels` -> `channels` between the first and the last one."""
    branches: Annotated[
        list[Literal["expand", "point", "identity"]], Field(max_length=bounds.MAX_ITEMS)
    ] = []
    """Branches that train beside each 3x3 convolution but the first and collapse into it at export:
    `expand` is a 1x1 convolution to twice the width and a 3x3 one, `point` a 1x1 one."""

    @model_validator(mode="after")
    def fits(self) -> Self:
        bounds.check_parameters(9 * self.channels**2 * self.depth)
        return self


Model = Annotated[Srgan | Edge, Field(discriminator="arch")]


class Teacher(Table):
    """The network that the student learns from. It is only read, never trained."""

    path: Place = "teacher"
    """A model that edgesr trained: a run or a bundle by its name or folder, or a file; or any model
    file that spandrel opens, x4."""
    once: bool = False
    """Run the teacher once over each photograph and keep its 8-bit pictures in the cache,
    instead of in every step. Not for `feature_affinity`, which needs the teacher's features."""


class Data(Table):
    """The photographs."""

    photos: Place = "embedded"
    """A folder of images, a folder in DIV2K's layout, or `embedded` for the ones that the
    scikit-image package carries."""
    validation: Photos = 4
    """How many images of a plain folder are held out, at most: never more than a tenth of them, but
    one. DIV2K's layout and the embedded photographs bring a validation split of their own."""


Optimiser = Literal["adam", "muon"]


class Optimisation(Table):
    """The optimiser and its schedule, for one stage."""

    steps: Steps = 400_000
    """Optimiser steps of the stage."""
    optimiser: Optimiser = "adam"
    """What trains the generator: `adam` (the paper), or `muon` for the convolutions that neither
    read nor write a picture and Adam for the rest. A discriminator always has Adam."""
    lr: Positive = 2e-4
    """Learning rate at the start (paper: 2e-4)."""
    schedule: Literal["step", "cosine", "constant"] = "step"
    """How the learning rate falls: by `decay` every `decay_every` steps, or as half a cosine."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Factor of the step schedule (paper: 0.1)."""
    decay_every: Steps = 200_000
    """Steps between two decays of the step schedule (paper: every 2000 epochs)."""
    warmup: StepsOrNone = 0
    """Steps over which the learning rate rises from zero; 0 starts at `lr` (the paper)."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Adam's beta1 (paper: 0.9)."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Adam's beta2."""
    grad_clip: Weight = 0.0
    """Largest norm of the gradient; 0 leaves it as it is."""
    freeze: Annotated[list[Text], Field(max_length=bounds.MAX_LAYERS)] = []
    """Layers of the generator that stay as they are in this stage, by their names in the weights'
    file or the beginning of these: `body`, `upsample.0`."""


class Training(Optimisation):
    """The pixel stage, and what both stages share."""

    steps: StepsOrNone = 400_000
    """Optimiser steps of the pixel stage; 0 leaves it out, and the GAN stage starts from `init`."""
    batch: Annotated[int, Field(ge=1, le=bounds.MAX_BATCH)] = 16
    """Patches per step, over all devices."""
    patch: Annotated[int, Field(ge=16, le=bounds.MAX_PATCH, multiple_of=4)] = 96
    """Side of a square HR patch in pixels (paper: 96, so 24 at LR)."""
    init: Place = "random"
    """Where the student starts: `random`, `teacher` (head, tail and evenly spaced blocks of
    the teacher) or an edgesr model, named as a teacher is: of the same table; an SRGAN generator
    of fewer blocks, between which the new ones start as the identity; or an edge student of the
    same width, whose convolutions are merged in pairs where it is deeper, and added to where it
    is not."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average of the weights that is validated and shipped; 0 for none."""
    validate_every: Steps = 5_000
    """Steps between two validations; each writes a sample picture."""
    checkpoint_every: Steps = 5_000
    """Steps between two checkpoints."""
    log_every: Steps = 100
    """Steps between two lines of the log."""
    precision: Literal["fp32", "bf16-mixed"] = "fp32"
    """Arithmetic of student, teacher and discriminator: `fp32` is that, TF32 is off;
    `bf16-mixed` is bfloat16 where it does no harm. Weights and losses are float32 either way."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes a GPU where there is one."""
    devices: Annotated[int, Field(ge=1, le=bounds.MAX_DEVICES)] = 1
    """How many devices share the batch (DDP)."""
    tensorboard: bool = False
    """Also write TensorBoard events; needs the package tensorboard."""

    @model_validator(mode="after")
    def batch_divides(self) -> Self:
        if self.batch % self.devices:
            raise ValueError(f"batch {self.batch} cannot be shared by {self.devices} devices")
        if self.batch * self.patch**2 > bounds.MAX_BATCH_PIXELS:
            raise ValueError(
                f"batch {self.batch} of patches of {self.patch} x {self.patch} pixels, expected at "
                f"most {bounds.MAX_BATCH_PIXELS:,} pixels in all"
            )
        return self


Target = Literal["hr", "teacher", "both"]


class Losses(Table):
    """Weights of the terms of the generator's loss; 0 leaves a term out."""

    l1: Weight = 1.0
    """Eq. 5: mean |SR - HR|."""
    luma: Weight = 0.0
    """Mean |luma of SR - luma of HR|: the channel that PSNR is stated on. Colours need `l1` too."""
    vgg: Weight = 0.0
    """Eq. 4, delta_c of eq. 6: mean squared difference of VGG features."""
    vgg_network: Literal["vgg19", "vgg16"] = "vgg19"
    """`vgg19` takes conv5_4 before its activation as SRGAN does. `vgg16` takes conv5_3, and
    shares one forward pass with LPIPS where that uses VGG16 too."""
    adversarial: Weight = 0.0
    """Eq. 7, its weight in eq. 3: -log D(SR)."""
    lpips: Weight = 0.0
    """Eq. 8, delta_lpips of eq. 1: LPIPS distance."""
    lpips_network: Literal["vgg16", "alexnet", "both"] = "vgg16"
    """Backbone of LPIPS; `both` is the mean of the two distances."""
    lpips_against: Target = "hr"
    """What LPIPS compares with: the paper's equation 8 says the ground truth (`hr`), its text
    says distillation (`teacher`)."""
    teacher_l1: Weight = 0.0
    """Mean |SR - teacher's SR|."""
    teacher_luma: Weight = 0.0
    """Mean |luma of SR - luma of teacher's SR|."""
    feature_affinity: Weight = 0.0
    """FAKD: mean |difference| of the spatial affinity matrices of student and teacher."""
    frequency: Weight = 0.0
    """Mean |difference| of the 2-D Fourier transforms."""
    frequency_against: Target = "teacher"
    """What the frequency term compares with."""

    def weights(self) -> dict[str, float]:
        """The weight of each term, by its key."""
        return {key: value for key, value in self if isinstance(value, float)}


class GanLosses(Losses):
    """The paper's weights, equations 1, 3 and 6."""

    vgg: Weight = 6e-3
    """delta_c of eq. 6."""
    adversarial: Weight = 1e-3
    """Weight of eq. 7 in eq. 3."""
    lpips: Weight = 1e-6
    """delta_lpips of eq. 1."""


class Gan(Optimisation):
    """The GAN stage, warm-started from the pixel stage."""

    steps: Steps = 200_000
    """Optimiser steps of the stage."""
    lr: Positive = 1e-4
    """Learning rate of the generator at the start."""
    discriminator_lr: Positive = 1e-4
    """Learning rate of the discriminator at the start."""
    discriminator: Literal["srgan", "unet"] = "srgan"
    """`srgan` gives one verdict for each patch (the paper), `unet` one for each pixel."""
    losses: GanLosses = GanLosses()
    """Weights of the loss terms in this stage."""

    def judges_one_value(self, training: Training) -> bool:
        """Whether `srgan`, which halves a patch four times, would normalise over one value."""
        requested = self.discriminator == "srgan" and self.losses.adversarial
        return bool(requested) and training.patch <= 16 and training.batch == training.devices


class Weights(Table):
    """Where perceptual weights are looked for."""

    folder: PlaceOrNone = ""
    """A folder with the weight files; looked at before `EDGESR_WEIGHTS` and the caches."""


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


class Export(Table):
    """How ONNX files are written."""

    opset: Annotated[int, Field(ge=13, le=23)] = 17
    """Version of ONNX's default operator set."""
    rewrites: Rewrites = Rewrites()
    """Exact rewrites of the exported graph."""
    depth_to_space: Literal["CRD", "DCR"] = "CRD"
    """Channel order of DepthToSpace: `CRD` as torch has it; `DCR`, the weights permuted and the
    function the same, for delegates that take nothing else. See `edgesr verify --target`."""
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


Variant = Literal["fp32", "fp16", "int8", "uint8-io"]


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
    """Largest |PyTorch - runtime| over the parity grid, values in 0..1."""
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
    """What model.int8.onnx must keep on every runtime that it is measured on, on pictures of every
    kind. `min_*_db` is PSNR on RGB between its pictures and the float network's, as they are shown;
    `edgesr export --int8` keeps layers in float for it."""

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


class Recipe(Table):
    """Everything that a run needs to be repeated."""

    name: Name
    """Names the run `runs/<name>` and the bundle `exports/<name>`."""
    seed: Annotated[int, Field(ge=0, le=bounds.MAX_SEED)] = 0
    """Seed of initialisation, crops and noise."""
    licence: Text = "Apache-2.0"
    """Licence of the trained weights, written into the ONNX file."""
    model: Model
    """The network that is trained."""
    teacher: Teacher | None = None
    """Needed by `edgesr distill`."""
    data: Data = Data()
    """The photographs."""
    weights: Weights = Weights()
    """Where perceptual weights are looked for."""
    training: Training = Training()
    """The pixel stage."""
    losses: Losses = Losses()
    """Weights of the loss terms in the pixel stage."""
    gan: Gan | None = None
    """The GAN stage; left out, training ends with the pixel stage."""
    export: Export = Export()
    """How ONNX files are written."""
    verify: Verify = Verify()
    """How a bundle is measured."""
    gates: Gates = Gates()
    """What a bundle must keep to ship."""

    @model_validator(mode="before")
    @classmethod
    def bicubic_is_the_least(cls, raw: Any) -> Any:
        """A network is better than bicubic: by PSNR, or, where a GAN stage is for the eye, by
        LPIPS."""
        given = raw.get("gates", {}) if isinstance(raw, dict) else None
        if not isinstance(given, dict):
            return raw
        seen = raw.get("gan") is not None
        gate = "min_lpips_gain" if seen else "min_gain_over_bicubic_db"
        return raw | {"gates": {gate: 0.0} | given}

    @model_validator(mode="after")
    def terms_have_what_they_need(self) -> Self:
        faults = []
        stages = {"losses": self.losses} | ({"gan.losses": self.gan.losses} if self.gan else {})
        for table, losses in stages.items():
            if losses.lpips and losses.lpips_network != "vgg16" and self.training.patch < 32:
                faults.append(f"{table}.lpips with AlexNet needs training.patch >= 32")
        used = {"losses": self.training.steps, "gan.losses": 1}
        faults += [
            f"{table}: every weight is 0, so nothing would be trained"
            for table, losses in stages.items()
            if used[table] and not any(losses.weights().values())
        ]
        if self.gan is not None and self.gan.judges_one_value(self.training):
            faults.append(
                f"training.patch = {self.training.patch} with one patch a device leaves the "
                "discriminator's batch normalisation a single value: use patch >= 20, or "
                'gan.discriminator = "unet"'
            )
        if self.losses.adversarial:
            faults.append("losses.adversarial needs a discriminator: put it under [gan.losses]")
        if not self.training.steps and (self.gan is None or self.training.init == "random"):
            faults.append(
                "training.steps = 0 needs a [gan] stage, and a training.init to start from"
            )
        if self.teacher is not None and self.teacher.once:
            faults += [
                f"{table}.feature_affinity needs the teacher in every step: teacher.once = false"
                for table, losses in stages.items()
                if losses.feature_affinity
            ]
        if self.teacher is None:
            for table, losses in stages.items():
                faults += [f"{table}.{key} needs a [teacher]" for key in teacher_terms(losses)]
            if self.training.init == "teacher":
                faults.append('training.init = "teacher" needs a [teacher]')
        if faults:
            raise ValueError("; ".join(faults))
        return self


def stages(recipe: Recipe) -> list[tuple[str, Optimisation, Losses]]:
    """The stages of training in order: name, optimisation, loss weights."""
    found: list[tuple[str, Optimisation, Losses]] = []
    if recipe.training.steps:
        found.append(("pixel", recipe.training, recipe.losses))
    if recipe.gan:
        found.append(("gan", recipe.gan, recipe.gan.losses))
    return found


def teacher_terms(losses: Losses) -> list[str]:
    """The keys of `losses` that ask for a teacher and have a non-zero weight."""
    asks = {
        "teacher_l1": losses.teacher_l1,
        "teacher_luma": losses.teacher_luma,
        "feature_affinity": losses.feature_affinity,
        "lpips_against": losses.lpips if losses.lpips_against != "hr" else 0.0,
        "frequency_against": losses.frequency if losses.frequency_against != "hr" else 0.0,
    }
    return [key for key, weight in asks.items() if weight]
