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
"""Column -> value; the first column names the row. None is a dash."""
SUFFIXES = (".md", ".csv", ".json")


def show(rows: Sequence[Row]) -> None:
    """Print them; where it is not to a terminal, each row in one line, however long."""
    view = shown(rows)
    if not console.out.is_terminal:
        unbounded = console.out.options.update(max_width=100_000)
        view.width = Measurement.get(console.out, unbounded, view).maximum
    console.out.print(view, crop=False)


def shown(rows: Sequence[Row]) -> Table:
    """For a terminal."""
    view = Table(box=None, pad_edge=False)
    for place, column in enumerate(rows[0]):
        view.add_column(column, justify="right" if place else "left", overflow="fold")
    for row in rows:
        view.add_row(*map(text, row.values()))
    return view


def write(rows: Sequence[Row], path: Path) -> None:
    """In the format that the suffix of `path`, one of `SUFFIXES`, names."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        write_json(path, list(rows))
    else:
        write_text(path, markdown(rows) if suffix == ".md" else _csv(rows))


def markdown(rows: Sequence[Row]) -> str:
    """A table of GitHub's Markdown."""
    columns = list(rows[0])
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)]]
    lines += [[text(value).replace("|", r"\|") for value in row.values()] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _csv(rows: Sequence[Row]) -> str:
    found = io.StringIO()
    writer = csv.DictWriter(found, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return found.getvalue()


def text(value: Any) -> str:
    """A figure as a table shows it: four digits of a float, thousands apart."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 1 or not value else f"{value:.4f}".lstrip("0")
    return f"{value:,}" if isinstance(value, int) else str(value)
