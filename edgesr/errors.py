"""What a user can get wrong: one message, one remedy, one exit code."""

from __future__ import annotations

import reprlib

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80


def shortened(value: object) -> str:
    """`value` as code has it, of a hundred characters or so however long it is."""
    try:
        return _REPR.repr(value)
    except ValueError:  # Python does not write out a number of thousands of digits
        return f"a number of {value.bit_length()} bits" if isinstance(value, int) else "a value"


def cut(text: str, most: int = 200) -> str:
    """`text`, its end left out where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[:most]}..."


class EdgesrError(Exception):
    """A fault that the user can mend. The CLI prints it without a traceback.

    Args:
        message: names the thing, the value it has and what was expected.
        remedy: what to do about it; empty where the message says so already.
    """

    exit_code = 2
    is_fault = True
    """Whether something is wrong: a run that was stopped and saved is not an error."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class MachineError(EdgesrError):
    """What the machine refuses: a disk that is full, a folder that is closed, memory that is not
    there."""

    exit_code = 3


class MissingPackage(EdgesrError):
    """A package that is an extra of edgesr's and is not installed."""


class RecipeError(EdgesrError):
    """A recipe file that cannot be read, or values in it that are not allowed."""


class DataError(EdgesrError):
    """Photographs that are missing, unreadable or too small for what is asked."""


class WeightsError(EdgesrError):
    """Perceptual weights (VGG, AlexNet) that are missing or not what they claim to be."""


class ModelError(EdgesrError):
    """A model file that is missing, foreign, damaged or of another shape."""


class TrainingError(EdgesrError):
    """Training that cannot start or cannot go on, e.g. a loss that became NaN."""


class ExportError(EdgesrError):
    """A model that could not be exported as the contract asks."""


class VerifyError(EdgesrError):
    """A bundle that cannot be verified at all, e.g. an execution provider that is not there."""


class BundleError(VerifyError):
    """A bundle that is damaged: its files are not those that it was exported with."""

    exit_code = 1


class NoBundleError(BundleError):
    """What was named is not a bundle at all: a fault of the user's, not of a bundle."""

    exit_code = 2


class Unsupported(VerifyError):
    """A file or an input that a runtime does not take, though it is there and works."""
