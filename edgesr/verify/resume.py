"""What a verification has measured so far: kept as it comes, for the next one to go on from.

The file lies beside the folder of the evidence, as its lock does, and is gone when the evidence is
whole.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from edgesr import console
from edgesr.bundle.records.base import Digest, Few, Line, Named, Record
from edgesr.bundle.records.evidence import MOST_ROWS, Measurements, Settings
from edgesr.bundle.records.rows import Job as Row
from edgesr.bundle.records.rows import Machine, Parity, Quality, Speed
from edgesr.errors import BundleError
from edgesr.verify.jobs import Job
from edgesr.workspace import TEMPORARY


class Rows(Record):
    """All that is measured of one file on one runtime; `speed` is None where nothing is timed."""

    parity: Parity
    speed: Speed | None
    quality: Annotated[list[Quality], Few]


class Measured(Record):
    """What was measured of one bundle, on one machine, in one way."""

    bundle_sha256: Digest
    machine: Machine
    versions: Annotated[dict[Named, Line], Few]
    settings: Settings
    rows: Annotated[list[Rows], Field(max_length=MOST_ROWS)]

    def is_like(self, other: Measured | Measurements) -> bool:
        """Whether both are of the same bundle, machine, versions and settings."""
        names = ("bundle_sha256", "machine", "versions", "settings")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def find(self, job: Job) -> Rows | None:
        """The rows of `job`, where it was measured."""
        return next((rows for rows in self.rows if _key(rows.parity) == _key(job)), None)


def _key(job: Job | Row) -> tuple[str, str, bool]:
    return job.runtime, job.variant, job.exact


def file_of(place: Path) -> Path:
    """Where is kept what is measured for the evidence in `place`."""
    return place.with_name(f"{TEMPORARY}{place.name}.verify.json")


def resumed(place: Path, wanted: Measured) -> Measured:
    """What an earlier verification like `wanted` has left; `wanted`, in which nothing is measured
    yet, where there is none."""
    path = file_of(place)
    if not os.path.lexists(path):
        return wanted
    try:
        found = Measured.read(path)
    except BundleError as error:
        console.warn(f"{error.message}: all is measured anew")
        return wanted
    return found if found.is_like(wanted) else wanted


def discard(place: Path) -> None:
    """Forget what was measured for the evidence in `place`."""
    file_of(place).unlink(missing_ok=True)
