"""The name of a variant, one of a bundle's model files, and what it says of the file.

fp32   fp16   int8   s8s8   a16w8   s8s8-symmetric   uint8-io   int8-uint8-io   fp32-256x256   ...
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

FLOATS, INTEGERS = ("fp32", "fp16"), ("int8", "s8s8", "a16w8", "s8s8-symmetric")
BYTES = "uint8-io"
NUMBERS = "|".join((*FLOATS, *INTEGERS))
FREE = rf"(?:{BYTES}|(?:{NUMBERS})(?:-{BYTES})?)"
WINDOW = "[1-9][0-9]{0,4}x[1-9][0-9]{0,4}"
PATTERN = rf"^{FREE}(?:-{WINDOW})?$"
"""The numbers that a file computes with, fp32 if it names none; its ends; its window."""
FIXED = rf"^(?:{FREE}-)?{WINDOW}$"
"""A window, or a file of one."""


@dataclass(frozen=True)
class Variant:
    """What a name says.

    Attributes:
        numbers: that the file computes with: fp32; fp16; int8, which is unsigned activations and
            signed weights; s8s8, both signed; a16w8, activations of 16 bits; s8s8-symmetric, both
            signed with zero points of 0.
        bytes_io: whether it takes and gives RGB bytes.
        window: "WIDTHxHEIGHT" in LR pixels, the one size that it takes; empty where it takes any.
    """

    numbers: str
    bytes_io: bool = False
    window: str = ""

    def __str__(self) -> str:
        ends = BYTES if self.bytes_io else ""
        shown = "" if self.numbers == "fp32" and self.bytes_io else self.numbers
        return "-".join(filter(None, (shown, ends, self.window)))

    @property
    def quantised(self) -> bool:
        """Whether it computes with integers, so that it is another function than the network."""
        return self.numbers not in FLOATS

    def fixed(self, window: str) -> Variant:
        """The one that takes that window alone."""
        return replace(self, window=window)

    def answer(self) -> Variant:
        """The file of floats that it must agree with: its own where it computes with integers."""
        return Variant(self.numbers if self.quantised else "fp32", window=self.window)


def check(name: str) -> str:
    """`name` where it is a variant's.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(PATTERN, name):
        raise ValueError(
            f"expected {', '.join((*FLOATS, *INTEGERS, BYTES))}, int8-uint8-io-256x256"
        )
    return name


def parse(name: str) -> Variant:
    """What the name of a variant says.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(rf"({NUMBERS})?-?({BYTES})?-?({WINDOW})?", check(name))
    assert found, "it is a variant's name"
    numbers, ends, window = found.groups()
    return Variant(numbers or "fp32", bool(ends), window or "")


def file_of(name: str, suffix: str = "onnx") -> str:
    """The model file of that variant in a bundle, or its copy for another runtime."""
    return f"model.{suffix}" if name == "fp32" else f"model.{name}.{suffix}"


def name_of(file: str) -> str | None:
    """The variant whose file is called so; None where it is no variant's."""
    found = re.fullmatch(r"model(?:\.(.+))?\.onnx", file)
    name = found and (found[1] or "fp32")
    return name if name and re.fullmatch(PATTERN, name) else None
