"""The type of device.json: what an app measured of a bundle's files on a device. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgesr import recipe
from edgesr.bounds import MAX_ITEMS, MAX_RUNS, Size, check_text
from edgesr.bundle.records.base import Amount, Digest, Named, Record
from edgesr.bundle.records.card import VariantName

FORMAT = 1
Words = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(check_text)]


class DeviceFile(Record):
    """One model file on the device.

    Attributes:
        sha256: of that file.
        golden: of each golden vector the largest difference from what golden.json expects, in
            values of 0..1, or in 8-bit levels of a file of bytes; None where the file did not run,
            or gave NaN.
        size: LR width x height that was timed.
        runs: timed runs, after one that was not.
        p50_ms: their median; None where the file did not run.
    """

    variant: VariantName
    sha256: Digest
    golden: Annotated[dict[Named, Amount | None], Field(min_length=1, max_length=64)]
    size: Size
    runs: Annotated[int, Field(ge=1, le=MAX_RUNS)]
    p50_ms: Amount | None


class Device(Record):
    """device.json.

    Attributes:
        device: what its owner calls it.
        runtime: with its version, and the provider where that is not the CPU.
    """

    format: Literal[1]
    bundle: recipe.Name
    device: Words
    runtime: Words
    files: Annotated[list[DeviceFile], Field(min_length=1, max_length=MAX_ITEMS)]


class HandedIn(DeviceFile):
    """A file of device.json beside the evidence that was measured here.

    Attributes:
        levels: whether `golden` is in 8-bit levels.
        holds: whether every golden vector is within golden.json's tolerance.
    """

    device: Words
    runtime: Words
    levels: bool
    holds: bool
