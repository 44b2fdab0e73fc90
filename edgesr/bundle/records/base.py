"""What all of edgesr's JSON files have in common: how they are read, and their numbers' bounds.

A record is a file that somebody may have received. It is a regular file of bounded size, and every
value in it has a type and bounds; what does not keep to them ends in one line. No torch.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError

from edgesr.bounds import MAX_ITEMS
from edgesr.errors import BundleError, cut, shortened
from edgesr.recipe import Table
from edgesr.workspace import write_json

MAX_BYTES = 64 * 2**20
"""Of a record; the longest that edgesr writes has a few megabytes."""
AGAIN = "Make it again with this version: edgesr export, edgesr verify"

Whole = Annotated[int, Field(ge=0, le=2**53)]
"""A count, exact in every reader of JSON."""
Number = Annotated[float, Field(ge=-1e15, le=1e15)]
Amount = Annotated[float, Field(ge=0, le=1e15)]
Line = Annotated[str, Field(max_length=20_000)]
Named = Annotated[str, Field(min_length=1, max_length=256)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
File = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""The name of a file in the record's own folder: no path."""
Few = Field(max_length=MAX_ITEMS)
Many = Field(max_length=100_000)
MAX_ABS = 0.25
"""The most that any file may be off by, of values 0..1."""


class Record(Table):
    """A table of a JSON file, as strict as a recipe's."""

    @classmethod
    def read(cls, path: Path, remedy: str = AGAIN) -> Self:
        """The record in the JSON file at `path`.

        Raises:
            BundleError: it is missing, no regular file, no JSON, or not such a record; one line
                that says where.
        """
        return cls.parse(read_bytes(path, remedy), path, remedy)

    @classmethod
    def parse(cls, text: bytes | str, path: Path, remedy: str = AGAIN) -> Self:
        """As `read`, of what was read from `path`."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise BundleError(f"{path} cannot be used: {told(error)}", remedy) from None

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically: what was stated, no defaults."""
        write_json(path, self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what was stated, no defaults."""
        return self.model_dump(mode="json", exclude_unset=True)


def read_bytes(path: Path, remedy: str, most: int = MAX_BYTES) -> bytes:
    """The content of a regular file; a link, a pipe or a device in its place is refused.

    Raises:
        BundleError: see above; or it has more than `most` bytes.
    """
    check_regular(path, remedy)
    try:
        with path.open("rb") as file:
            found = file.read(most + 1)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}", remedy) from None
    if len(found) > most:
        raise BundleError(f"{path} has more than {most:,} bytes", remedy)
    return found


def check_regular(path: Path, remedy: str) -> None:
    """Refuse what is not a regular file of its own.

    Raises:
        BundleError: nothing is there, or a link, a folder, a pipe or a device.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}", remedy) from None
    if not stat.S_ISREG(mode):
        raise BundleError(f"{path} is not a regular file", remedy)


def told(error: ValidationError) -> str:
    """The first fault in a line, and how many more there are."""
    faults = error.errors(include_url=False)
    first = faults[0]
    place = _in_a_line(".".join(map(str, first["loc"])))
    message = _in_a_line(first["msg"].removeprefix("Value error, "))
    value = "" if isinstance(first["input"], dict | list | bytes) else shortened(first["input"])
    said = f"{place}{' = ' * bool(place and value)}{value if place else ''}"
    more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
    return f"{said}{': ' * bool(said)}{message}{more}"


def _in_a_line(text: str) -> str:
    """`text`, which may quote the file, with control characters and line breaks as escapes."""
    return cut("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))
