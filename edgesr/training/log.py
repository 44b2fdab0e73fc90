"""The run's log: one JSON object a line, and TensorBoard where the recipe asks for it."""

from __future__ import annotations

import json
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgesr.bundle.records.run import read_log_lines
from edgesr.errors import TrainingError
from edgesr.workspace import write_text

STAGES = ["pixel", "gan"]


class Log:
    """Appends to `path`; lines after the point of resuming are dropped first."""

    def __init__(self, path: Path, *, tensorboard: bool) -> None:
        self.path = path
        self.wants_board = tensorboard
        if tensorboard and find_spec("tensorboard") is None:
            raise TrainingError(
                "training.tensorboard = true, but the package tensorboard is missing",
                "Install it: pip install 'edgesr[tensorboard]'.",
            )

    @cached_property
    def board(self) -> Any:
        """TensorBoard's writer, opened with the first line."""
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.path.parent / "tensorboard"))

    def rewind(self, stage: str, step: int) -> None:
        """Keep only what was logged up to `step` of `stage`."""
        kept = [
            text
            for text, line in read_log_lines(self.path)
            if (STAGES.index(line.stage), line.step) <= (STAGES.index(stage), step)
        ]
        write_text(self.path, "".join(f"{text}\n" for text in kept))

    def write(self, stage: str, step: int, **values: Any) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
        if self.wants_board:
            scores = values.pop("validation", {})
            sets = scores.pop("sets", {})
            for of, found in {stage: scores | values, **_below(stage, sets)}.items():
                for name, value in found.items():
                    self.board.add_scalar(f"{of}/{name}", value, step)

    def show(self, stage: str, step: int, picture: Path) -> None:
        """Put a picture file of `step` on TensorBoard, where the recipe asks for it."""
        if self.wants_board:
            with Image.open(picture) as image:
                pixels = np.array(image)
            self.board.add_image(f"{stage}/sample", pixels, step, dataformats="HWC")


def _below(stage: str, sets: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {f"{stage}/{name}": scores for name, scores in sets.items()}
