"""The type of verify.json: what was measured of one bundle, named by its digest. No torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgesr import recipe
from edgesr.bundle.records.base import (
    Digest,
    Few,
    Line,
    Many,
    Named,
    Number,
    Record,
    Whole,
)
from edgesr.bundle.records.card import Role, VariantName
from edgesr.bundle.records.device import HandedIn
from edgesr.bundle.records.rows import (
    Cost,
    FileSize,
    Machine,
    Parity,
    Placement,
    Quality,
    Speed,
    Target,
    Unsupported,
)

FORMAT = 3
MOST_ROWS = 1000
"""Of files on runtimes: a bundle has up to seven kinds of files, each in several windows."""
Timestamp = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
"""UTC, to the second: `2026-01-31T09:30:00Z`."""

State = Literal["holds", "fails", "not judged"]
HOLDS: State = "holds"
FAILS: State = "fails"
NOT_JUDGED: State = "not judged"


class Gate(Record):
    """A gate at one place; see `verify.gates`.

    Attributes:
        limit: None where the recipe states none.
        measured: None where it is missing.
        reason: why it is not judged, or fails where figures do not tell; else empty.
    """

    gate: Named
    where: Line
    limit: Number | None
    measured: Number | None
    state: State
    reason: Line

    @model_validator(mode="after")
    def reasoned(self) -> Self:
        if self.state == NOT_JUDGED and not self.reason:
            raise ValueError("a gate is not judged, and no reason is given")
        return self


class Settings(Record):
    """What was asked for: with the bundle, the machine and the versions it makes two verifications
    the same.

    Attributes:
        edgesr: the SHA-256 of the source that measured, see `revision.source_digest`.
        providers, runtimes, targets: as given; None for the providers that are tried unasked.
        pictures: the SHA-256 of the pictures' digests, in their order.
        lpips: whether AlexNet's weights were there.
    """

    edgesr: Digest
    providers: Annotated[list[Named], Few] | None
    runtimes: Annotated[list[Named], Few]
    targets: Annotated[list[Named], Few]
    pictures: Digest
    lpips: bool


class Measurements(Record):
    """All that was measured, before it is judged.

    Attributes:
        measured_at: when that was done; None in evidence of an earlier edgesr, as is `settings`.
        quick: nothing was timed; `speed` is empty.
    """

    format: Literal[3]
    bundle: recipe.Name
    bundle_sha256: Digest
    """Of the bundle's SHA256SUMS, which names every file of it."""
    measured_at: Timestamp | None = None
    settings: Settings | None = None
    quick: bool = False
    architecture: Line
    role: Role
    versions: Annotated[dict[Named, Line], Few]
    machine: Machine
    file: FileSize
    variants: Annotated[dict[VariantName, Whole], Field(min_length=1)]
    """The bytes of each file."""
    others: Annotated[dict[Named, Whole], Few] = Field(default_factory=dict)
    """The same of files for runtimes that open no ONNX: "litert, int8"."""
    providers: Annotated[list[Placement], Field(max_length=MOST_ROWS)]
    unsupported: Annotated[list[Unsupported], Field(max_length=MOST_ROWS)]
    parity: Annotated[list[Parity], Field(min_length=1, max_length=MOST_ROWS)]
    speed: Annotated[list[Speed], Field(max_length=MOST_ROWS)]
    cost: Cost
    quality: Annotated[list[Quality], Field(min_length=1, max_length=1000)]
    targets: Annotated[list[Target], Field(max_length=MOST_ROWS)]

    @model_validator(mode="after")
    def consistent(self) -> Self:
        if self.quick and self.speed:
            raise ValueError("latencies in evidence that says that nothing was timed")
        if not self.quick and jobs(self.parity) != jobs(self.speed):
            raise ValueError("parity and speed are not of the same files on the same runtimes")
        plain = {row.runtime for row in self.parity if row.variant == "fp32" and row.exact}
        if lacking := {row.runtime for row in self.parity} - plain:
            raise ValueError(f"neither parity nor speed of fp32 on {', '.join(sorted(lacking))}")
        scored = {row.runtime for row in self.quality if row.variant == "fp32" and row.exact}
        if not {"cpu", "cuda"} & plain & scored:
            raise ValueError("neither parity nor quality of fp32 on ONNX Runtime")
        if lost := {row.variant for row in self.parity} - set(self.variants):
            raise ValueError(f"parity of {', '.join(sorted(lost))}, which is not a variant")
        return self


class Evidence(Measurements):
    """verify.json."""

    gates: Annotated[list[Gate], Field(max_length=10_000)]
    passed: bool
    """No gate fails."""
    handed_in: Annotated[list[HandedIn], Many] = Field(default_factory=list)
    """What devices measured; no gate looks at it."""

    @model_validator(mode="after")
    def judged(self) -> Self:
        if self.passed != all(gate.state != FAILS for gate in self.gates):
            raise ValueError("passed is not what the gates say")
        return self


def jobs(rows: list[Parity] | list[Speed]) -> list[tuple[str, str, bool]]:
    """Runtime, variant and exactness of each row."""
    return [(row.runtime, row.variant, row.exact) for row in rows]
