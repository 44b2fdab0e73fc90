"""The run's log: one JSON object a line, and TensorBoard where the recipe asks for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgesr.bundle.records.base import read_bytes
from edgesr.bundle.records.run import LogLine
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
            for text, line in _lines(self.path)
            if (STAGES.index(line.stage), line.step) <= (STAGES.index(stage), step)
        ]
        write_text(self.path, "".join(f"{text}\n" for text in kept))

    def write(self, stage: str, step: int, **values: Any) -> None:
        """Append one line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"stage": stage, "step": step, **values}) + "\n")
        if self.wants_board:
            flat = values.pop("validation", {}) | values
            for name, value in flat.items():
                self.board.add_scalar(f"{stage}/{name}", value, step)


def read(path: Path) -> list[LogLine]:
    """The lines of a log; none where there is no file. A line cut short by a crash is left out.

    Raises:
        BundleError: something else than a regular file is there.
    """
    return [line for _, line in _lines(path)]


def _lines(path: Path) -> Iterator[tuple[str, LogLine]]:
    """Each line that can be read, as it stands and as a record."""
    if not os.path.lexists(path):
        return
    text = read_bytes(path, "Train again, or restore the file.").decode("utf-8", errors="replace")
    for line in text.splitlines():
        with suppress(ValidationError):
            yield line, LogLine.model_validate_json(line)
