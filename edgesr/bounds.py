"""How large what a recipe or an option says may be, each bound named once.

They are generous: what they refuse is a slip of the finger, or a received file that would run for
ever or take all memory.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

MAX_CHANNELS = 4096
MAX_LAYERS = 1024
MAX_PARAMETERS = 10**9
"""Of the trained network: 4 GB of weights."""
MAX_STEPS = 10**9
MAX_BATCH = 65_536
MAX_PATCH = 4096
MAX_BATCH_PIXELS = 2**30
"""HR pixels of all patches of a step: 13 GB as float32."""
MAX_SEED = 2**63 - 1
MAX_PHOTOS = 10**6
MAX_RUNS = 10_000
"""Timed runs of one size."""
MAX_THREADS = 1024
MAX_DEVICES = 4096
MAX_SIDE = 16_384
"""LR pixels, of a size at which a network is timed."""
MAX_PIXELS = 2**25
"""LR pixels, of the same: an answer of 537 megapixels at x4."""
MAX_ITEMS = 64
"""Of a list."""
MAX_TEXT = 1024
MAX_PATH = 4096
MAX_NUMBER = 1e9
"""Of a weight, a limit or a learning rate."""

SIZE = r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$"


def check_size(size: str) -> str:
    """`size` where it is "WIDTHxHEIGHT" within the bounds.

    Raises:
        ValueError: it is not; says why.
    """
    if not re.fullmatch(SIZE, size):
        raise ValueError("expected WIDTHxHEIGHT, e.g. 320x180")
    width, height = parse_size(size)
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ValueError(f"expected at most {MAX_SIDE} a side and {MAX_PIXELS:,} pixels in all")
    return size


def parse_size(size: str) -> tuple[int, int]:
    """`"320x180"` as (width, height) in pixels."""
    width, height = size.split("x")
    return int(width), int(height)


def check_parameters(count: int) -> None:
    """Refuse a network of more than `MAX_PARAMETERS` weights.

    Raises:
        ValueError: it has more.
    """
    if count > MAX_PARAMETERS:
        raise ValueError(f"about {count:,} parameters, expected at most {MAX_PARAMETERS:,}")


def check_text(text: str) -> str:
    """`text` where it has no control characters, which a terminal or a file name would not take.

    Raises:
        ValueError: it has.
    """
    if strange := re.search(r"[\x00-\x1f\x7f-\x9f]", text):
        raise ValueError(f"expected no control character such as {strange[0]!r}")
    return text


Count = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=1, le=MAX_STEPS)]
StepsOrNone = Annotated[int, Field(ge=0, le=MAX_STEPS)]
Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS)]
Layers = Annotated[int, Field(ge=1, le=MAX_LAYERS)]
Photos = Annotated[int, Field(ge=1, le=MAX_PHOTOS)]
Threads = Annotated[int, Field(ge=1, le=MAX_THREADS)]
Weight = Annotated[float, Field(ge=0, le=MAX_NUMBER)]
Positive = Annotated[float, Field(gt=0, le=MAX_NUMBER)]
Number = Annotated[float, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[str, AfterValidator(check_size), Field(json_schema_extra={"pattern": SIZE})]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(check_text)]
Place = Annotated[str, Field(min_length=1, max_length=MAX_PATH), AfterValidator(check_text)]
"""A path, or a word that stands for one."""
PlaceOrNone = Annotated[str, Field(max_length=MAX_PATH), AfterValidator(check_text)]
