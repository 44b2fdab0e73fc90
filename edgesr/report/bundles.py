"""A bundle's folder as the report reads it: what is there, and what is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgesr.bundle.records.base import read_bytes
from edgesr.bundle.records.card import Card
from edgesr.bundle.records.evidence import Evidence
from edgesr.bundle.records.run import LogLine, Run, read_log
from edgesr.errors import EdgesrError
from edgesr.verify import evidence

AGAIN = "Make it again: edgesr export, edgesr verify"


@dataclass(frozen=True)
class Bundle:
    """What `exports/<name>/` holds; None or empty where a file is missing.

    Attributes:
        card: card.json, which every bundle has.
        verify: verify.json, where it is of this bundle as it is now.
        stale: why a verify.json that is there does not count.
        run: run.json of the training run.
        log: the lines of log.jsonl.
        recipe: the text of recipe.toml.
        has_model: whether model.onnx is there.
    """

    folder: Path
    card: Card
    verify: Evidence | None
    stale: str
    run: Run | None
    log: list[LogLine]
    recipe: str
    has_model: bool

    @property
    def label(self) -> str:
        """What its pictures and figures are called: the student beside a teacher, else its name."""
        return "student" if self.card.teacher else self.card.name


def read(folder: Path, place: Path | None = None) -> Bundle:
    """Read the bundle in `folder`.

    Args:
        place: where its evidence lies; in `folder` unless given.

    Raises:
        EdgesrError: there is no card.json, or a file in it is not what it should be.
    """
    if not (folder / "card.json").exists():
        raise EdgesrError(f"{folder} is not a bundle: no card.json", "Make it: edgesr export")
    recipe, run = folder / "recipe.toml", folder / "run.json"
    found = evidence.find(folder, place or folder)
    return Bundle(
        folder=folder,
        card=Card.read(folder / "card.json", AGAIN),
        verify=found.evidence,
        stale=found.stale,
        run=Run.read(run, AGAIN) if run.exists() else None,
        log=read_log(folder / "log.jsonl"),
        recipe=read_bytes(recipe, AGAIN).decode(errors="replace") if recipe.exists() else "",
        has_model=(folder / "model.onnx").is_file(),
    )


def teacher_of(bundle: Bundle, exports: Path) -> Bundle | None:
    """The bundle of the teacher that `bundle` names, where there is one in `exports`.

    Raises:
        EdgesrError: a file in it is not what it should be.
    """
    teacher = bundle.card.teacher
    if teacher is None or not (exports / teacher.name / "card.json").is_file():
        return None
    return read(exports / teacher.name)
