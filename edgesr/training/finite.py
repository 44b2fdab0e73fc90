"""Losses and gradients that are not finite: what is known of them, and when."""

from __future__ import annotations

from torch import Tensor

from edgesr.errors import TrainingError

LEAST_SCALE = 2.0**-10
"""Of a loss in float16: no network needs less whose gradients are finite."""
PROVED_AT = 2.0**10
"""The same where each term's gradient is looked at."""

Unread = list[tuple[Tensor, dict[str, Tensor]]]
"""Of a step, loss and norm of each network as one tensor, and the terms."""


class NotFinite(TrainingError):
    """A loss or a gradient is NaN or infinite.

    Attributes:
        ago: how many steps were begun since that one.
    """

    def __init__(self, message: str, ago: int) -> None:
        super().__init__(message)
        self.ago = ago
