"""A recipe file in, a typed recipe out; every fault of the file told at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgesr.errors import RecipeError, cut, shortened
from edgesr.recipe import (
    AnyRecipe,
    Bicubic,
    Edge,
    ForeignRecipe,
    Pairs,
    Real,
    Recipe,
    Spandrel,
    Srgan,
)

Raw = dict[str, Any]

KINDS: dict[str, type[BaseModel]] = {
    "srgan": Srgan,
    "edge": Edge,
    "spandrel": Spandrel,
    "bicubic": Bicubic,
    "real": Real,
    "pairs": Pairs,
}
"""What tells apart the tables that a key may hold, by `arch` or `kind`."""
MAX_BYTES = 2**20
"""Of a recipe's file; the longest that ships has 2,000."""
MAX_FAULTS = 20
"""That are told; of the rest only how many there are."""
MAX_PARTS = 8
"""Of a key between its dots."""


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
    raw = _read(path)
    small_table = raw.pop("small", None)
    if small and small_table is None:
        raise RecipeError(f"recipe {path} has no [small] table", "Leave --small out.")
    if small_table is not None and not isinstance(small_table, dict):
        raise RecipeError(f"{path}: small = {shortened(small_table)} must be a table")
    changes: list[Raw] = [] if photos is None else [{"data": {"photos": photos}}]
    changes += [] if teacher is None else [{"teacher": {"path": teacher, "pictures": ""}}]
    changes += [parse_override(text) for text in overrides]
    plain, faults = _check([raw, *changes])
    # The [small] table is checked even when it is not used: a typo in it should not wait.
    smaller, small_faults = _check([raw, small_table or {}, *changes])
    known = {_place(fault) for fault in faults}
    of_small = [fault for fault in small_faults if _place(fault) not in known]
    recipe = smaller if small else plain
    if faults or of_small or recipe is None:
        raise RecipeError(f"{path} has {_told(faults, of_small)}")
    return recipe


def load_any(path: Path, overrides: Iterable[str] = ()) -> AnyRecipe:
    """The recipe.toml of a bundle: without a `[model]` table it is a foreign network's.

    Raises:
        RecipeError: see `load`.
    """
    raw = _read(path)
    if "model" in raw:
        return load(path, overrides=overrides)
    return foreign(raw, overrides, str(path))


def foreign(raw: Raw, overrides: Iterable[str], origin: str) -> ForeignRecipe:
    """The recipe of another project's network that `raw` makes, `overrides` over it.

    Raises:
        RecipeError: it has faults; names `origin`.
    """
    try:
        return ForeignRecipe.model_validate(reduce(merge, map(parse_override, overrides), raw))
    except ValidationError as error:
        raise RecipeError(f"{origin} has {_told(error.errors(), [])}") from None


def read_tables(path: Path) -> Raw:
    """The tables of the TOML file at `path`, unchecked.

    Raises:
        RecipeError: it is missing, no regular file, too large, no TOML or nested too deeply.
    """
    return _read(path)


def _read(path: Path) -> Raw:
    """The tables of the TOML file at `path`.

    Raises:
        RecipeError: it is missing, no regular file, too large, no TOML or nested too deeply.
    """
    if not path.exists():
        beside = sorted(str(p) for p in Path("recipes").glob("*.toml"))
        hint = f"Recipes here: {', '.join(beside)}." if beside else ""
        raise RecipeError(f"recipe {path} does not exist", hint)
    if not path.is_file():
        raise RecipeError(f"recipe {path} is not a file", "Give a TOML file; a pipe is not read.")
    if (size := path.stat().st_size) > MAX_BYTES:
        raise RecipeError(f"recipe {path} has {size:,} bytes, expected at most {MAX_BYTES:,}")
    try:
        # Some editors put a byte-order mark before the text.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise RecipeError(f"recipe {path} cannot be read: nested too deeply") from None
    except (OSError, ValueError) as error:  # no UTF-8, no TOML, a number of thousands of digits
        raise RecipeError(f"recipe {path} cannot be read: {cut(str(error))}") from None


def _check(tables: list[Raw]) -> tuple[Recipe | None, list[ErrorDetails]]:
    """The recipe that `tables` make, each over the one before it, or its faults."""
    try:
        return Recipe.model_validate(reduce(merge, tables)), []
    except RecursionError:
        raise RecipeError("the recipe's tables are nested too deeply") from None
    except ValidationError as error:
        return None, error.errors()


def _place(fault: ErrorDetails) -> tuple[object, ...]:
    """What tells one fault from another."""
    return (*fault["loc"], fault["msg"], shortened(fault["input"]))


def _told(faults: list[ErrorDetails], of_small: list[ErrorDetails]) -> str:
    """How many faults there are, and the first ones, a line each."""
    total = len(faults) + len(of_small)
    lines = [describe(fault) for fault in faults[:MAX_FAULTS]]
    lines += [f"with [small], {describe(f)}" for f in of_small[: MAX_FAULTS - len(lines)]]
    if total > len(lines):
        lines.append(f"and {total - len(lines):,} more")
    return "".join([f"{total:,} fault(s):", *(f"\n  {line}" for line in lines)])


def parse_override(text: str) -> Raw:
    """`"training.steps=2000"` as `{"training": {"steps": 2000}}`.

    Raises:
        RecipeError: there is no `=` in it, its key has too many parts, or its value is nested too
            deeply.
    """
    key, equals, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts) or len(parts) > MAX_PARTS:
        raise RecipeError(f"--set {cut(text)}: expected key=value, e.g. training.steps=2000")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except RecursionError:
        raise RecipeError(f"--set {cut(text)}: nested too deeply") from None
    except ValueError:  # no TOML, or a number of thousands of digits
        parsed = value.strip()
    for part in reversed(parts):
        parsed = {part: parsed}
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


def dumps(recipe: AnyRecipe) -> str:
    """The recipe as TOML, every default written out."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


def loads(text: str) -> Recipe:
    """The inverse of `dumps`."""
    return Recipe.model_validate(tomllib.loads(text))


def difference(one: Recipe, other: Recipe) -> list[str]:
    """The keys, dotted, whose values differ between two recipes."""
    ours, theirs = flat(one.model_dump()), flat(other.model_dump())
    return sorted(key for key in ours | theirs if ours.get(key) != theirs.get(key))


def flat(raw: Raw, prefix: str = "") -> Raw:
    """Tables within tables as one, whose keys are dotted."""
    found: Raw = {}
    for key, value in raw.items():
        found |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return found


def describe(error: ErrorDetails) -> str:
    """One fault in one line: the key, its value, what is allowed, the nearest key."""
    places = [part for part in error["loc"] if part not in (*KINDS, "[key]")]
    key = cut(".".join(map(str, places))) or "recipe"
    value = f"{key} = {shortened(error['input'])}"
    if error["type"] == "extra_forbidden":
        known = _keys_at([str(part) for part in places[:-1]], error["loc"])
        near = difflib.get_close_matches(cut(str(places[-1])), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
        return f"{value}: no such key; {hint}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: missing; {message.lower()}"
    if isinstance(error["input"], dict):
        return message if not places else f"{key}: {message}"
    return f"{value}: {message}"


def _keys_at(tables: list[str], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at `tables` knows."""
    kind: type[BaseModel] = Recipe
    for name in tables:
        if name in ("model", "degradation"):
            kind = next(KINDS[str(part)] for part in loc if part in KINDS)
            continue
        if name not in kind.model_fields:  # a key of one's own choice, e.g. gates.cpu.int8
            continue
        annotation = kind.model_fields[name].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        kind = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    known = list(kind.model_fields)
    return [*known, "small"] if kind is Recipe else known
