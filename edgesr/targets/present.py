"""The static check of targets, for an 80-column terminal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from rich.table import Table

from edgesr.bundle.records.rows import Delegate, Look, Target
from edgesr.targets.delegate import FIX_SHAPES


def tables(rows: list[Target]) -> Iterator[Table | str]:
    """What each target would take of each variant; then what falls back and the remedy.

    Args:
        rows: as `verify.targets.check_bundle` returns them.
    """
    table = Table(title="Targets, by their documentation", title_justify="left", width=78)
    for column in ("variant", "target", "nodes"):
        table.add_column(column)
    for column in ("as exported", "shapes fixed"):
        table.add_column(column, justify="right")
    for row in rows:
        for found in row.delegates:
            looks = [_taken(look) for look in (found.as_exported, found.fixed)]
            table.add_row(row.variant, found.delegate, str(row.nodes), *looks)
    table.caption = "Nodes taken, in how many partitions. Nothing was run on a device."
    yield table
    lines = defaultdict(list)
    for row in rows:
        for found in row.delegates:
            for line in words(found):
                lines[line].append(row.variant)
    for line, variants in lines.items():
        yield f"- {', '.join(variants)} on {line}"


def _taken(look: Look) -> str:
    return f"{look.taken} in {look.partitions}" if look.taken else "none"


def words(found: Delegate) -> Iterator[str]:
    """What one delegate leaves to the CPU and what to do, a line for each remedy."""
    first, second = found.as_exported, found.fixed
    for look, other, shapes in (
        (first, second, "as exported"),
        (second, first, "with shapes fixed"),
    ):
        for remedy in dict.fromkeys(row.remedy for row in look.falls_back):
            both = remedy in {row.remedy for row in other.falls_back}
            if look is second or not both:
                when = "" if both else f", {shapes}"
                yield f"{found.delegate}{when}: {_causes(look, remedy)}. {remedy}"


def _causes(look: Look, remedy: str) -> str:
    """The nodes that `remedy` is for, and why they fall back."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in look.falls_back:
        if row.remedy == remedy:
            counts[row.why][row.operator] += row.count
    if remedy == FIX_SHAPES:
        return "; ".join(counts)
    return "; ".join(f"{_list(by_op)}: {why}" for why, by_op in counts.items())


def _list(by_op: Counter[str]) -> str:
    if len(by_op) > 3:
        return f"{by_op.total()} nodes"
    return ", ".join(f"{count} {op}" for op, count in by_op.items())
