"""The networks of a recipe, and the photographs: [model], [teacher], [data], [weights]."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from edgesr import bounds
from edgesr.bounds import (
    Channels,
    Layers,
    Photos,
    Place,
    PlaceOrNone,
    Positive,
    Text,
)
from edgesr.recipe.degradation import Bicubic, Degradation
from edgesr.recipe.table import Table

Scale = Literal[2, 3, 4]


class Srgan(Table):
    """The SRGAN generator of Ledig et al. with `blocks` residual blocks; in the paper x4."""

    arch: Literal["srgan"] = "srgan"
    scale: Scale = 4
    """How many times wider and higher the result is: 2 and 3 up-sample once, 4 twice by 2."""
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
    """A student that stays at low resolution until its last operation."""

    arch: Literal["edge"] = "edge"
    scale: Scale = 4
    """How many times wider and higher the result is."""
    channels: Channels = 32
    """Width of every 3x3 convolution."""
    depth: Layers = 8
    """3x3 convolutions of `channels` -> `channels` between the first and the last one."""
    colours: Literal[1, 3] = 3
    """3: RGB in and out. 1: Y of BT.601 alone; chroma of pictures in colour is enlarged by bicubic,
    in training too. For video, whose frames hold Y as a plane of its own."""
    branches: Annotated[
        list[Literal["expand", "point", "identity"]], Field(max_length=bounds.MAX_ITEMS)
    ] = []
    """Branches that train beside each 3x3 convolution but the first and collapse into it at export:
    `expand` is a 1x1 convolution to twice the width and a 3x3 one, `point` a 1x1 one."""

    @model_validator(mode="after")
    def fits(self) -> Self:
        bounds.check_parameters(9 * self.channels**2 * self.depth)
        return self


Value = bool | int | float | Text
Values = Annotated[list[Value], Field(max_length=bounds.MAX_ITEMS)]


class Spandrel(Table):
    """A network of another project, built by spandrel's registry: SPAN, SAFMN, Compact and more."""

    arch: Literal["spandrel"] = "spandrel"
    scale: Scale = 4
    """How many times wider and higher the result is; the class gets it as what it calls its own."""
    name: Text
    """The architecture, as spandrel's registry or its class is called: `SPAN`, `SAFMN`,
    `Compact`."""
    parameters: Annotated[dict[Text, Value | Values], Field(max_length=bounds.MAX_ITEMS)] = {}
    """What the class is called with, by its own names. Those that weights do not show, as `SPAN`'s
    `img_range`, stay at their defaults: other programs could not open the file."""


Model = Annotated[Srgan | Edge | Spandrel, Field(discriminator="arch")]


class Teacher(Table):
    """The network that the student learns from. It is only read, never trained."""

    path: Place = "teacher"
    """A model that edgesr trained: a run or a bundle by its name or folder, or a file; or any model
    file of the student's scale that spandrel opens; or an ONNX file, by whatever it is called."""
    once: bool = False
    """Run the teacher once over each photograph and keep its 8-bit pictures in the cache,
    instead of in every step. Not for `feature_affinity`, which needs the teacher's features. Not
    done where the photographs have over ten times the pixels that the steps look at."""
    pictures: PlaceOrNone = ""
    """A folder of ready pictures in place of `path`, made by any other program: one for each
    photograph that trains, of its size, called as it is in any format (`0001.png` or `0001x4.png`
    is of `0001.jpg`). Not for `feature_affinity`, nor for drawn pages."""


class Source(Table):
    """Photographs that are streamed, and their share."""

    photos: Place
    """Shards of WebDataset or the folder of a Hugging Face dataset, as `data.photos` names them."""
    weight: Positive = 1.0
    """Share of the patches, over the sum of all sources' weights."""


class Stream(Table):
    """How photographs that are streamed become patches. Those of a folder are not: each is decoded
    once, into the cache."""

    crops: Annotated[int, Field(ge=1, le=bounds.MAX_BATCH)] = 16
    """Patches that are cut of a photograph each time that it is decoded."""
    photographs: Annotated[int, Field(ge=2, le=bounds.MAX_BATCH)] = 64
    """Photographs whose patches are shuffled together, on each device."""
    workers: Annotated[int, Field(ge=0, le=bounds.MAX_THREADS)] = 2
    """Processes that decode, on each device; 0 decodes between the steps."""

    @model_validator(mode="after")
    def fits(self) -> Self:
        if self.crops * self.photographs > bounds.MAX_BATCH:
            raise ValueError(
                f"crops x photographs = {self.crops * self.photographs:,} patches are kept, "
                f"expected at most {bounds.MAX_BATCH:,}"
            )
        return self


class Data(Table):
    """The photographs."""

    photos: Place = "embedded"
    """A folder of images, a folder in DIV2K's layout, or `embedded` for the ones that the
    scikit-image package carries. Or what is streamed (`edgesr[stream]`): shards of WebDataset by a
    pattern that ends in `.tar`, as `shards/{000..012}.tar` or `shards/*.tar`; or a folder with a
    Hugging Face dataset, saved to disk or as Parquet files."""
    sources: Annotated[list[Source], Field(max_length=bounds.MAX_ITEMS)] = []
    """Several sources that are streamed, in place of `photos`: each under `[[data.sources]]`."""
    stream: Stream = Stream()
    """How what is streamed becomes patches."""
    validation: Photos = 4
    """How many images of a plain folder are held out, at most: never more than a tenth of them, but
    one. DIV2K's layout and the embedded photographs bring a validation split of their own; of a
    stream so many are held out, the first of its first shard."""
    validation_sets: Annotated[list[Place], Field(max_length=bounds.MAX_ITEMS)] = []
    """Folders of HR pictures that each validation measures beside the held-out photographs, or
    benchmark sets in `data/` by their names: `["Set5", "Set14"]`. They measure alone: neither what
    is trained nor what is kept as the best depends on them."""
    degradation: Degradation = Bicubic()
    """How LR is made of HR, in training and in validation."""
    lr: PlaceOrNone = ""
    """A folder of ready LR pictures, with `degradation.kind = "pairs"`: one for each photograph, of
    its size over `model.scale`, called as it is in any format (`0001.png` or `0001x4.png` is of
    `0001.jpg`). A pair that lies more than half an LR pixel aside is refused."""

    @model_validator(mode="after")
    def photographs_are_named_once(self) -> Self:
        if self.sources and self.photos != "embedded":
            raise ValueError("data.photos and data.sources name photographs: leave one of them out")
        return self

    @model_validator(mode="after")
    def pairs_have_a_folder(self) -> Self:
        if (self.degradation.kind == "pairs") != bool(self.lr):
            raise ValueError('data.lr and data.degradation.kind = "pairs" need each other')
        return self

    @field_validator("validation_sets")
    @classmethod
    def told_apart(cls, places: list[str]) -> list[str]:
        names = [PurePath(place).name for place in places]
        if not all(names):
            raise ValueError("expected folders with names, such as data/benchmarks/Set5")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"expected folders of different names, two are called {twice[0]}")
        return places


class Weights(Table):
    """Where perceptual weights are looked for."""

    folder: PlaceOrNone = ""
    """A folder with the weight files; looked at before `EDGESR_WEIGHTS` and the caches."""
