"""What every table of a recipe is, and what a recipe may be called."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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
