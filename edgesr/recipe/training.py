"""The stages of training and their losses: [training], [losses], [gan]."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgesr import bounds
from edgesr.bounds import (
    Place,
    Positive,
    Steps,
    StepsOrNone,
    Text,
    Weight,
)
from edgesr.recipe.table import Table

Optimiser = Literal["adam", "muon"]
Metric = Literal["psnr", "lpips"]
Arithmetic = Literal["fp32", "tf32", "bf16-mixed", "fp16-mixed"]


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
    patch: Annotated[int, Field(ge=16, le=bounds.MAX_PATCH)] = 96
    """Side of a square HR patch in pixels, a multiple of `model.scale` (paper: 96, so 24 at LR)."""
    init: Place = "random"
    """Where the student starts: `random`, `teacher` (head, tail and evenly spaced blocks of
    the teacher) or an edgesr model, named as a teacher is: of the same table; a wider
    one, spandrel's too, which is pruned: channels whose removal changes the held-out photographs
    least are removed; an SRGAN generator of fewer blocks, between which the new ones start as the
    identity; or an edge student of the same width, whose convolutions are merged in pairs where it
    is deeper, and added to where it is not."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the moving average of the weights that is validated and shipped; 0 for none."""
    validate_every: Steps = 5_000
    """Steps between two validations; each writes a sample picture."""
    keep_best: Metric | Literal["none"] = "psnr"
    """By what the best of a stage's validations is kept beside the last, for `edgesr export
    --checkpoint best`: PSNR or LPIPS over the held-out photographs, never over `validation_sets`.
    Each stage begins anew; what it began from does not count."""
    checkpoint_every: Steps = 5_000
    """Steps between two checkpoints."""
    log_every: Steps = 100
    """Steps between two lines of the log; each states the means since the one before."""
    precision: Arithmetic = "fp32"
    """Arithmetic of student, teacher and discriminator: `fp32` is that, `tf32` lets a GPU multiply
    with 10 bits of mantissa; `bf16-mixed` is bfloat16 where it does no harm, `fp16-mixed` float16
    with scaled losses, for GPUs without bfloat16. Weights and losses are float32 either way."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; `auto` takes a GPU where there is one."""
    devices: Annotated[int, Field(ge=1, le=bounds.MAX_DEVICES)] = 1
    """How many devices share the batch (DDP)."""
    tensorboard: bool = False
    """Also write TensorBoard events: what the log has, and the sample pictures; needs the package
    tensorboard."""

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

LATTICE_PERIODS = 8
"""In the side of an area over which `losses.lattice` looks for what repeats."""
TEMPORAL_BORDER = 4
"""LR pixels along a patch's border that `losses.temporal` does not look at."""


class Losses(Table):
    """Weights of the terms of the generator's loss; 0 leaves a term out."""

    l1: Weight = 1.0
    """Eq. 5: mean |SR - HR|."""
    luma: Weight = 0.0
    """Mean |luma of SR - luma of HR|: the channel that PSNR is stated on. Colours need `l1` too."""
    ssim: Weight = 0.0
    """1 - SSIM on luma, in windows of 11 pixels. Colours need `l1` too."""
    lattice: Weight = 0.0
    """Mean |what of SR - HR repeats every `scale` pixels over 8 periods|: the grid that LPIPS and
    discriminators leave in skies. Patches must be 8 LR pixels high and wide at least."""
    temporal: Weight = 0.0
    """Mean |difference| of two enlarged frames of one scene, laid over each other, whose LR is
    sampled at other places: what flickers in a video. Two more passes of the network a step.
    Patches must be 12 LR pixels high and wide at least."""
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
