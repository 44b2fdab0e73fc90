"""The types of a recipe. Every default of edgesr lives here and nowhere else.

Reading and writing the TOML file is the business of `edgesr.recipe.io`.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from edgesr import bounds
from edgesr.bounds import Text
from edgesr.recipe.degradation import Bicubic, Degradation, Pairs, Real
from edgesr.recipe.network import (
    Data,
    Edge,
    Model,
    Scale,
    Source,
    Spandrel,
    Srgan,
    Stream,
    Teacher,
    Weights,
)
from edgesr.recipe.shipping import (
    BytesGates,
    Export,
    Fidelity,
    Fp16,
    Gates,
    HalfGates,
    Int8,
    Int8Gates,
    Rewrites,
    Variant,
    VariantGates,
    Verify,
)
from edgesr.recipe.table import (
    LONGEST_NAME,
    NAME,
    RESERVED,
    Name,
    Table,
    check_name,
)
from edgesr.recipe.training import (
    LATTICE_PERIODS,
    TEMPORAL_BORDER,
    Gan,
    GanLosses,
    Losses,
    Metric,
    Optimisation,
    Optimiser,
    Target,
    Training,
)

__all__ = [
    "LATTICE_PERIODS",
    "LONGEST_NAME",
    "NAME",
    "RESERVED",
    "TEMPORAL_BORDER",
    "AnyRecipe",
    "Bicubic",
    "BytesGates",
    "Data",
    "Degradation",
    "Edge",
    "Export",
    "Fidelity",
    "ForeignRecipe",
    "Fp16",
    "Gan",
    "GanLosses",
    "Gates",
    "HalfGates",
    "Int8",
    "Int8Gates",
    "Losses",
    "Metric",
    "Model",
    "Name",
    "Optimisation",
    "Optimiser",
    "Pairs",
    "Real",
    "Recipe",
    "Rewrites",
    "Scale",
    "Source",
    "Spandrel",
    "Srgan",
    "Stream",
    "Table",
    "Target",
    "Teacher",
    "Training",
    "Variant",
    "VariantGates",
    "Verify",
    "Weights",
    "check_name",
    "stages",
    "teacher_terms",
]


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
        if self.model.arch == "spandrel":
            faults += _unknown_features(self)
        if self.training.patch % self.model.scale:
            faults.append(
                f"training.patch = {self.training.patch} is not a multiple of model.scale = "
                f"{self.model.scale}"
            )
        stages = {"losses": self.losses} | ({"gan.losses": self.gan.losses} if self.gan else {})
        for table, losses in stages.items():
            if losses.lpips and losses.lpips_network != "vgg16" and self.training.patch < 32:
                faults.append(f"{table}.lpips with AlexNet needs training.patch >= 32")
            if losses.lattice and self.training.patch < LATTICE_PERIODS * self.model.scale:
                least = LATTICE_PERIODS * self.model.scale
                faults.append(f"{table}.lattice needs training.patch >= {least}")
            if losses.temporal and self.training.patch < 3 * TEMPORAL_BORDER * self.model.scale:
                least = 3 * TEMPORAL_BORDER * self.model.scale
                faults.append(f"{table}.temporal needs training.patch >= {least}")
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
        degradation = self.data.degradation
        if degradation.kind == "real" and degradation.region < self.training.patch:
            faults.append(
                f"data.degradation.region = {degradation.region}, expected at least training.patch "
                f"= {self.training.patch}: a patch lies inside one region"
            )
        if self.losses.adversarial:
            faults.append("losses.adversarial needs a discriminator: put it under [gan.losses]")
        if not self.training.steps and (self.gan is None or self.training.init == "random"):
            faults.append(
                "training.steps = 0 needs a [gan] stage, and a training.init to start from"
            )
        if self.teacher is not None and self.teacher.pictures:
            faults += _pictures_only(self)
        elif self.teacher is not None and self.teacher.once:
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


def _unknown_features(recipe: Recipe) -> list[str]:
    """What a recipe asks of a student whose layers edgesr does not know."""
    return [
        f"{name} stage: feature_affinity needs a student whose features edgesr knows, not "
        'model.arch = "spandrel"'
        for name, _, losses in stages(recipe)
        if losses.feature_affinity
    ]


def _pictures_only(recipe: Recipe) -> list[str]:
    """What a recipe asks of a teacher that ready pictures do not have."""
    faults = [
        f"{name} stage: feature_affinity needs a network that teaches, not teacher.pictures"
        for name, _, losses in stages(recipe)
        if losses.feature_affinity
    ]
    if recipe.training.init == "teacher":
        faults.append('training.init = "teacher" needs a network, not teacher.pictures')
    degradation = recipe.data.degradation
    if degradation.kind == "real" and degradation.drawn:
        faults.append("teacher.pictures has none of drawn pages: set data.degradation.drawn = 0")
    return faults


class ForeignRecipe(Table):
    """What a bundle of another project's network was made and is measured by."""

    name: Name
    """Names the bundle `exports/<name>`."""
    licence: Text
    """Licence of the weights, as whoever exported them stated."""
    data: Data = Data()
    """The photographs that set ranges and judge conversions."""
    weights: Weights = Weights()
    """Where perceptual weights are looked for."""
    export: Export = Export()
    """How ONNX files are written."""
    verify: Verify = Verify()
    """How a bundle is measured."""
    gates: Gates = Gates()
    """What a bundle must keep to ship. A network for real photographs may be below bicubic."""


AnyRecipe = Recipe | ForeignRecipe


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
