"""A bundle's folder as the report reads it: what is there, and what is not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesr.errors import EdgesrError
from edgesr.training import log
from edgesr.workspace import read_json

Json = dict[str, Any]


@dataclass(frozen=True)
class Bundle:
    """What `exports/<name>/` holds; None or empty where a file is missing.

    Attributes:
        card: card.json, which every bundle has.
        verify: verify.json, once `edgesr verify` has run.
        run: run.json of the training run.
        log: the lines of log.jsonl.
        recipe: the text of recipe.toml.
        has_model: whether model.onnx is there.
    """

    folder: Path
    card: Json
    verify: Json | None
    run: Json | None
    log: list[Json]
    recipe: str
    has_model: bool


def read(folder: Path) -> Bundle:
    """Read the bundle in `folder`.

    Raises:
        EdgesrError: there is no card.json, or a file in it is not JSON.
    """
    card = _json(folder / "card.json")
    if card is None:
        raise EdgesrError(
            f"{folder} is not a bundle: no card.json", "Make it: edgesr export --onnx"
        )
    recipe = folder / "recipe.toml"
    return Bundle(
        folder=folder,
        card=card,
        verify=_json(folder / "verify.json"),
        run=_json(folder / "run.json"),
        log=log.read(folder / "log.jsonl"),
        recipe=recipe.read_text(encoding="utf-8") if recipe.is_file() else "",
        has_model=(folder / "model.onnx").is_file(),
    )


def teacher_of(bundle: Bundle, exports: Path) -> Bundle | None:
    """The bundle of the teacher that `bundle` names, where there is one in `exports`.

    Raises:
        EdgesrError: a file in it is not JSON.
    """
    teacher = bundle.card["teacher"]
    if teacher is None or not (exports / teacher["name"] / "card.json").is_file():
        return None
    return read(exports / teacher["name"])


def _json(path: Path) -> Json | None:
    if not path.is_file():
        return None
    return read_json(path, "Make it again: edgesr export --onnx, edgesr verify")
