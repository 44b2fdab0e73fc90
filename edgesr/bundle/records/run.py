"""The types of run.json and of a line of log.jsonl: what a training says of itself. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationError

from edgesr import recipe
from edgesr.bundle.records.base import (
    Amount,
    Digest,
    Few,
    Line,
    Named,
    Number,
    Record,
    Whole,
    read_bytes,
)
from edgesr.bundle.records.rows import Machine

Checkpoint = Literal["last", "best"]


class TaughtBy(Record):
    """The network that taught, by name and sum; where its file lay is nobody else's business."""

    name: recipe.Name
    sha256: Digest
    architecture: Line
    spec: recipe.Model | None = None


class Hardware(Machine):
    """Where it was trained."""

    device: Line


class Score(Record):
    """Mean PSNR on Y over pictures that no training saw, and LPIPS."""

    psnr_db: Number
    bicubic_psnr_db: Number
    lpips: Number | None = None
    """With AlexNet; None where its weights were missing."""


class Validation(Score):
    """The same, and of the named sets that were measured beside them."""

    sets: Annotated[dict[Named, Score], Few] = Field(default_factory=dict)


class Best(Record):
    """The best of the last stage's validations, whose weights are kept beside the last."""

    step: Whole
    metric: recipe.Metric
    sha256: Digest
    validation: Validation


class Blended(Record):
    """One of the two networks of a blend."""

    name: recipe.Name
    sha256: Digest


class Blend(Record):
    """A network that was interpolated, not trained."""

    alpha: Annotated[float, Field(ge=0, le=1)]
    """The second one's share."""
    of: Annotated[list[Blended], Field(min_length=2, max_length=2)]
    batch_norm: Line | None = None


class Run(Record):
    """run.json."""

    name: recipe.Name
    command: Literal["train", "distill", "blend"]
    architecture: Line
    teacher: TaughtBy | None
    blend: Blend | None = None
    sha256: Digest
    """Of the weights."""
    checkpoint: Checkpoint = "last"
    """Whether the weights are those of the last step or of `best`."""
    steps: Whole
    seconds: Amount
    hardware: Hardware
    validation: Validation | None
    best: Best | None = None
    versions: Annotated[dict[Named, Line], Few]


class LogLine(Record):
    """A line of log.jsonl: rates and loss terms by name, or a validation."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=True)
    __pydantic_extra__: dict[str, float]

    stage: Named
    step: Whole
    validation: Validation | None = None

    @property
    def values(self) -> dict[str, float]:
        """What was logged beside the validation."""
        return self.__pydantic_extra__


def read_log(path: Path) -> list[LogLine]:
    """The lines of a log; none where there is no file. A line cut short by a crash is left out.

    Raises:
        BundleError: something else than a regular file is there.
    """
    return [line for _, line in read_log_lines(path)]


def read_log_lines(path: Path) -> Iterator[tuple[str, LogLine]]:
    """Each line that can be read, as it stands and as a record."""
    if not os.path.lexists(path):
        return
    text = read_bytes(path, "Train again, or restore the file.").decode("utf-8", errors="replace")
    for line in text.splitlines():
        with suppress(ValidationError):
            yield line, LogLine.model_validate_json(line)
