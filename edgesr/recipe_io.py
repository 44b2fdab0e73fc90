"""A recipe file in, a typed recipe out; every fault of the file told at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgesr.errors import RecipeError
from edgesr.recipe import Edge, Recipe, Srgan

Raw = dict[str, Any]


def load(
    path: Path,
    *,
    overrides: Iterable[str] = (),
    small: bool = False,
    photos: str | None = None,
    teacher: str | None = None,
) -> Recipe:
    """Read, merge and check the recipe at `path`.

    Args:
        path: a TOML file.
        overrides: `"table.key=value"`; the value is TOML, or a plain string. They win.
        small: merge the recipe's own `[small]` table, which makes it fit a small machine.
        photos, teacher: `data.photos` and `teacher.path`, as they are; `overrides` win over them.

    Raises:
        RecipeError: the file is missing or no TOML, or has faults; all of them are named.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        beside = sorted(str(p) for p in Path("recipes").glob("*.toml"))
        hint = f"Recipes here: {', '.join(beside)}." if beside else ""
        raise RecipeError(f"recipe {path} does not exist", hint) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from None
    small_table = raw.pop("small", None)
    if small and small_table is None:
        raise RecipeError(f"recipe {path} has no [small] table", "Leave --small out.")
    if small_table is not None and not isinstance(small_table, dict):
        raise RecipeError(f"{path}: small = {small_table!r} must be a table")
    changes: list[Raw] = [] if photos is None else [{"data": {"photos": photos}}]
    changes += [] if teacher is None else [{"teacher": {"path": teacher}}]
    changes += [parse_override(text) for text in overrides]
    plain, faults = _check(raw, changes)
    # The [small] table is checked even when it is not used: a typo in it should not wait.
    smaller, small_faults = _check(merge(raw, small_table or {}), changes)
    faults += [f"with [small], {fault}" for fault in small_faults if fault not in faults]
    recipe = smaller if small else plain
    if faults or recipe is None:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise RecipeError(f"{path} has {len(faults)} fault(s):\n{lines}")
    return recipe


def _check(raw: Raw, changes: list[Raw]) -> tuple[Recipe | None, list[str]]:
    """The recipe in `raw` after `changes`, or its faults."""
    for change in changes:
        raw = merge(raw, change)
    try:
        return Recipe.model_validate(raw), []
    except ValidationError as error:
        return None, [describe(fault) for fault in error.errors()]


def parse_override(text: str) -> Raw:
    """`"training.steps=2000"` as `{"training": {"steps": 2000}}`.

    Raises:
        RecipeError: there is no `=` in it.
    """
    key, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise RecipeError(f"--set {text}: expected key=value, e.g. training.steps=2000")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for part in reversed(key.split(".")):
        parsed = {part.strip(): parsed}
    result: Raw = parsed
    return result


def merge(base: Raw, change: Raw) -> Raw:
    """`base` with the values of `change` in place; tables are merged, all else replaced."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def dumps(recipe: Recipe) -> str:
    """The recipe as TOML, every default written out."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


def loads(text: str) -> Recipe:
    """The inverse of `dumps`."""
    return Recipe.model_validate(tomllib.loads(text))


def difference(one: Recipe, other: Recipe) -> list[str]:
    """The keys, dotted, whose values differ between two recipes."""
    ours, theirs = _flat(one.model_dump()), _flat(other.model_dump())
    return sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))


def _flat(raw: Raw, prefix: str = "") -> Raw:
    flat: Raw = {}
    for key, value in raw.items():
        flat |= (
            _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def describe(error: ErrorDetails) -> str:
    """One fault in one line: the key, its value, what is allowed, the nearest key."""
    places = [part for part in error["loc"] if part not in ("srgan", "edge", "[key]")]
    key = ".".join(map(str, places)) or "recipe"
    if error["type"] == "extra_forbidden":
        known = _keys_at([str(part) for part in places[:-1]], error["loc"])
        near = difflib.get_close_matches(str(places[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return f"{key} = {error['input']!r}: no such key; {hint}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: missing; {message.lower()}"
    if isinstance(error["input"], dict):
        return message if not places else f"{key}: {message}"
    return f"{key} = {error['input']!r}: {message}"


def _keys_at(tables: list[str], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at `tables` knows."""
    kind: type[BaseModel] = Recipe
    for name in tables:
        if name == "model":
            kind = Edge if "edge" in loc else Srgan
            continue
        if name not in kind.model_fields:  # a key of one's own choice, e.g. gates.cpu.int8
            continue
        annotation = kind.model_fields[name].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        kind = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    known = list(kind.model_fields)
    return [*known, "small"] if kind is Recipe else known
