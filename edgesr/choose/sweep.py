"""`--set training.lr=1e-3,2e-3`: a recipe once for every value, one run after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import product

from edgesr.errors import RecipeError
from edgesr.recipe import Recipe

PLACES = (
    *("data.photos", "teacher.path", "teacher.pictures", "training.init", "weights.folder"),
    *("name", "licence"),
)
"""Keys whose value may hold a comma of its own."""
MOST = 64
"""Runs of one command."""


def recipes(load: Callable[[list[str]], Recipe], overrides: Sequence[str]) -> list[Recipe]:
    """The recipe of every combination, all of them checked before the first is trained.

    Args:
        load: the recipe as overrides change it.

    Raises:
        RecipeError: one of them is not a recipe, or there are more than `MOST`.
    """
    found = variations(overrides)
    if len(found) == 1:
        return [load(found[0])]
    return [load([*each, f"name={named(load(each).name, overrides, each)}"]) for each in found]


def variations(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the values that `overrides` list, the last one changing first.

    A comma inside brackets or quotes is part of its value, as is any in a key of `PLACES`.

    Raises:
        RecipeError: more than `MOST` combinations.
    """
    choices = [
        [override] if len(values) == 1 else [f"{key}={value}" for value in values]
        for override, (key, values) in zip(overrides, map(_listed, overrides), strict=True)
    ]
    count = 1
    for each in choices:
        count *= len(each)
    if count > MOST:
        raise RecipeError(f"--set asks for {count} runs, expected at most {MOST}")
    return [list(each) for each in product(*choices)]


def named(name: str, overrides: Sequence[str], combination: Sequence[str]) -> str:
    """What the run of `combination` is called: `edge-s-lr-1e-3`, by the keys that vary."""
    varying = [
        one
        for one, override in zip(combination, overrides, strict=True)
        if len(_listed(override)[1]) > 1
    ]
    parts = [
        f"{key.rpartition('.')[2]}-{_plain(value) or 'none'}"
        for key, _, value in map(_partition, varying)
    ]
    return "-".join([name, *parts])


def _plain(value: str) -> str:
    """What of a value a name may hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("-._")


def _partition(text: str) -> tuple[str, str, str]:
    key, equals, value = text.partition("=")
    return key.strip(), equals, value.strip()


def _listed(override: str) -> tuple[str, list[str]]:
    key, _, value = _partition(override)
    if key in PLACES or "=" not in override:
        return key, [value]
    return key, _split(value)


def _split(value: str) -> list[str]:
    """At the commas outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in value:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        depth += (sign in "[{") - (sign in "]}")
        if sign == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts] if all(part.strip() for part in parts) else [value]
