"""The type of golden/golden.json: inputs, what to expect of them, how closely. No torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgesr.bundle.records.base import MAX_ABS, File, Named, Record
from edgesr.bundle.records.card import VariantName

FORMAT = 1
Side = Annotated[int, Field(ge=1, le=256)]


class Tolerance(Record):
    """The most that any value may be off: of floats 0..1, or of bytes."""

    max_abs: Annotated[float, Field(gt=0, le=MAX_ABS)] | None = None
    max_levels: Annotated[int, Field(ge=0, le=64)] | None = None


class Reference(Record):
    """The float answer that int8 stands in for: PSNR in dB on RGB, both held to 0..1."""

    file: File
    psnr_db: Annotated[float, Field(ge=-100, le=100)]
    """Where the bundle was made."""
    min_psnr_db: Annotated[float, Field(ge=-100, le=100)]
    """The least elsewhere."""


class Case(Record):
    """An input, (height, width, 3) RGB bytes, and the file that each variant is held against."""

    name: Named
    width: Side
    height: Side
    input: File
    output: Annotated[dict[VariantName, File], Field(min_length=1)]
    reference: Reference | None = None
    """Where the bundle has an int8 file."""


class Golden(Record):
    """golden.json."""

    format: Literal[1]
    cases: Annotated[list[Case], Field(min_length=1, max_length=64)]
    tolerance: Annotated[dict[VariantName, Tolerance], Field(min_length=1)]

    @model_validator(mode="after")
    def complete(self) -> Self:
        for case in self.cases:
            if missing := set(self.tolerance) - set(case.output):
                raise ValueError(f"case {case.name} has no output of {', '.join(sorted(missing))}")
        return self
