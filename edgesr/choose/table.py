"""Rows of figures on the terminal, and as Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.measure import Measurement
from rich.table import Table

from edgesr import console
from edgesr.workspace import write_json, write_text

Row = dict[str, Any]
"""Column -> value; the first column names the row. None is a dash; a value may be several, by their
names, which share a cell."""
SUFFIXES = (".md", ".csv", ".json")


def show(rows: Sequence[Row]) -> None:
    """Print them; where it is not to a terminal, each row in one line, however long."""
    view = Table(box=None, pad_edge=False)
    columns, *lines = cells(rows)
    for place, column in enumerate(columns):
        view.add_column(column, justify="right" if place else "left", overflow="fold")
    for line in lines:
        view.add_row(*line)
    if not console.out.is_terminal:
        unbounded = console.out.options.update(max_width=100_000)
        view.width = Measurement.get(console.out, unbounded, view).maximum
    console.out.print(view, crop=False)


def write(rows: Sequence[Row], path: Path) -> None:
    """In the format that the suffix of `path`, one of `SUFFIXES`, names."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        write_json(path, list(rows))
    else:
        write_text(path, markdown(rows) if suffix == ".md" else _csv(rows))


def markdown(rows: Sequence[Row]) -> str:
    """A table of GitHub's Markdown."""
    columns, *lines = [[cell.replace("|", r"\|") for cell in line] for line in cells(rows)]
    rule = ["---", *["--:"] * (len(columns) - 1)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (columns, rule, *lines))


def cells(rows: Sequence[Row]) -> list[list[str]]:
    """A line of titles and one for each row, as they are read."""
    parts = _parts(rows)
    titles = [f"{column}, {' / '.join(of)}" if of else column for column, of in parts.items()]
    lines = [[_cell(row[column], of) for column, of in parts.items()] for row in rows]
    return [titles, *lines]


def _parts(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Of each column the names of the values that share a cell; none of most."""
    return {
        column: list(dict.fromkeys(name for row in rows for name in row[column] or ()))
        if any(isinstance(row[column], dict) for row in rows)
        else []
        for column in rows[0]
    }


def _cell(value: Any, parts: list[str]) -> str:
    if isinstance(value, dict):
        return " / ".join(text(value.get(part)) for part in parts)
    return text(value)


def _csv(rows: Sequence[Row]) -> str:
    parts = _parts(rows)
    flat = [
        {
            f"{column} {part}" if part else column: (row[column] or {}).get(part)
            if part
            else row[column]
            for column, of in parts.items()
            for part in of or [""]
        }
        for row in rows
    ]
    found = io.StringIO()
    writer = csv.DictWriter(found, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return found.getvalue()


def text(value: Any) -> str:
    """A figure as a table shows it: two places of a float, three below one, thousands apart."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 1 or not value else f"{value:.3f}".lstrip("0")
    return f"{value:,}" if isinstance(value, int) else str(value)
