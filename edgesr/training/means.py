"""The mean of what every step returns, over the steps since it was last taken."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Means:
    """Sums of values by name. They stay on their device until the mean is read, so that adding to
    them does not wait for a GPU."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin with the next step."""
        self.steps = 0
        self.names: list[str] = []
        self.sums = torch.zeros(0, dtype=torch.float64)

    def add(self, record: dict[str, Tensor]) -> None:
        """Count one step, whose values are scalars of the same names as before."""
        values = torch.stack(list(record.values())).double()
        if self.steps:
            values += self.sums.to(values.device)  # a checkpoint's are on the CPU
        self.sums, self.names, self.steps = values, list(record), self.steps + 1

    def mean(self) -> dict[str, float]:
        """The mean of each value; empty where no step was counted."""
        sums: list[float] = self.sums.tolist()
        return {
            name: float(f"{total / self.steps:.7g}")
            for name, total in zip(self.names, sums, strict=True)
        }

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on with the same sums."""
        return {"steps": self.steps, "names": self.names, "sums": self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.steps, self.names, self.sums = state["steps"], state["names"], state["sums"]
