"""docs/recipes.md, made from the types in edgesr/recipe/.

python docs/recipe_reference.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgesr.bounds import SIZE
from edgesr.recipe import NAME, Recipe
from edgesr.variant import FIXED
from edgesr.workspace import write_text

Schema = dict[str, Any]

PAGE = Path(__file__).with_name("recipes.md")
INTRODUCTION = """\
# Recipes

<!-- Written by docs/recipe_reference.py from the types in edgesr/recipe/: do not edit. -->

A recipe is one TOML file that holds everything a run needs to be repeated. What it leaves out has
the default below. Unknown keys are refused, a value must have exactly the type that is named
(`1e-3` is a number, `"1e-3"` is not), and all faults of a file are told at once, of more than
twenty the first. What is called "at most" is generous: it stops a slip of the finger, and a
received recipe that would run for ever. A file has one mebibyte at most and is not a pipe.

Three things change a recipe on its way in, each over the one before it:

1. `--small` merges the recipe's own `[small]` table, which may hold any key of this page, e.g.
   `[small.training]`. Without `--small` the table is checked but not used.
2. `--data DIR` sets `data.photos`, `--teacher FILE` sets `teacher.path`.
3. `--set table.key=value` sets any key; the value is TOML, or plain text.

`edgesr recipe show RECIPE` prints what comes out, with every default; a run keeps it as
`runs/<name>/recipe.toml`. `edgesr recipe schema` prints the JSON schema for editors.
"""
PATTERNS = {
    NAME: "text of letters, digits and `.` `_` `-`, a letter or digit first",
    SIZE: 'text, `"WIDTHxHEIGHT"`',
    FIXED: 'text, `"WIDTHxHEIGHT"` or a variant of one size',
}
TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true`, `false`",
}
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "multipleOf": "a multiple of",
}


def page() -> str:
    """The whole page as Markdown."""
    schema = Recipe.model_json_schema()
    title = f"## At the top of the file\n\n{_line(schema)}\n"
    return "\n".join([INTRODUCTION, title, *_table("", schema, schema["$defs"])])


def _table(path: str, table: Schema, known: Schema) -> Iterator[str]:
    """The plain keys of the table at `path`, then a section for each table in it."""
    fields, required = table["properties"], table.get("required", [])
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    yield from (_row(k, f, k in required) for k, f in fields.items() if not _tables(f, known))
    yield ""
    for title, one in _chosen(path, fields, known).items():
        yield f"## {title}\n\n{_line(one)}\n"
        yield from _table("", one, known)
    for key, field in fields.items():
        inner = f"{path}.{key}" if path else key
        for one in _tables(field, known):
            yield _heading(inner, one, field, key in required)
            yield from _table(inner, one, known)


def _heading(path: str, table: Schema, field: Schema, required: bool) -> str:
    """What a table is for, and whether it has to be there."""
    told_apart = [(k, f["const"]) for k, f in table["properties"].items() if "const" in f]
    name = f"[[{path}]]" if field.get("type") == "array" else f"[{path}]"
    title = f"## `{name}`" + "".join(f' with `{k} = "{name}"`' for k, name in told_apart)
    presence = "Required." if required else "May be left out: every key has its default."
    if field.get("type") == "array":
        presence = "May be left out, and stand several times."
    if "default" in field and field["default"] is None:
        presence = f"There is none unless the recipe has it. {_line(field)}"
    return f"{title}\n\n{_line(table)} {presence}\n"


def _tables(field: Schema, known: Schema) -> list[Schema]:
    """The tables that a key may hold, one or a list; none for a plain value."""
    options = field.get("oneOf") or field.get("anyOf") or [field.get("items", field)]
    return [known[o["$ref"].rsplit("/", 1)[1]] for o in options if "$ref" in o]


def _chosen(path: str, fields: Schema, known: Schema) -> dict[str, Schema]:
    """The tables under keys of the user's choice, by heading; keys that hold the same share one."""
    found: dict[str, list[str]] = {}
    for key, field in fields.items():
        for inner in field.get("patternProperties", {}).values():
            found.setdefault(inner["$ref"], []).append(key)
    return {
        ", ".join(f"`[{path}.{key}.*]`" for key in keys): known[ref.rsplit("/", 1)[1]]
        for ref, keys in found.items()
    }


def _row(key: str, field: Schema, required: bool) -> str:
    required = required or "const" in field  # what tells tables apart cannot be left out
    default = json.dumps(field.get("default"))
    default = "required" if required else "none" if default == "null" else f"`{default}`"
    return f"| `{key}` | {_value(field)} | {default} | {_line(field) or 'The architecture.'} |"


def _value(field: Schema) -> str:
    """What a key may be, in words."""
    if "anyOf" in field:  # the other option is to leave it out
        return _value(next(o for o in field["anyOf"] if o["type"] != "null"))
    if "const" in field:
        return f'`"{field["const"]}"`'
    if "enum" in field:
        return ", ".join(f'`"{choice}"`' for choice in field["enum"])
    if field["type"] == "object":
        if "patternProperties" not in field:
            return "table of plain values and lists"
        return "tables by variant, `fp32`, `int8`, `uint8-io` ..."
    if field["type"] == "array":
        if field.get("maxItems") == field.get("minItems", 0):
            return f"`[lowest, highest]`, each a {_value(field['items'])}"
        return f"list of {_value(field['items'])}"
    if "pattern" in field:
        return PATTERNS[field["pattern"]]
    bounds = [f"{words} {_number(field[name])}" for name, words in BOUNDS.items() if name in field]
    return ", ".join([TYPES[field["type"]], *bounds])


def _number(value: float) -> str:
    """As a reader takes it in: 1,000,000,000 rather than 1e+09."""
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _line(described: Schema) -> str:
    """A docstring in one line that fits a cell."""
    return " ".join(described.get("description", "").split()).replace("|", "\\|")


if __name__ == "__main__":
    write_text(PAGE, page())
