"""A comparison of two models as a table and in plain words."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from edgesr import console
from edgesr.quality import evaluate
from edgesr.quality.compare import METHOD, METRICS, Comparison, Difference, Metric


def print_comparison(comparison: Comparison) -> None:
    """A's scores, the differences and what they show."""
    console.out.print(evaluate.table(comparison.one))
    console.out.print(table(comparison))
    for line in sentences(comparison):
        console.say(line)
    console.say(METHOD)


def table(comparison: Comparison) -> Table:
    """For an 80-column terminal; `sentences` and `METHOD` belong below it."""
    view = Table(width=78, title="A - B")
    view.add_column("image", overflow="ellipsis", no_wrap=True, ratio=1)
    for title in ("PSNR A", "PSNR B", *(metric.title for metric in METRICS.values())):
        view.add_column(title, justify="right", no_wrap=True)
    values, found = comparison.values(), comparison.differences()
    for i, (a, b) in enumerate(zip(comparison.one.rows, comparison.other.rows, strict=True)):
        each = {key: float(column[i]) for key, column in values.items()}
        view.add_row(a.image, *_psnr(a.model.psnr_db, b.model.psnr_db), *_cells(each))
    view.add_section()
    psnr = _psnr(comparison.one.mean.psnr_db, comparison.other.mean.psnr_db)
    means = {key: d.mean for key, d in found.items()}
    view.add_row("mean", *psnr, *_cells(means), style="bold")
    view.add_row("95 % from", "", "", *_cells({key: d.low for key, d in found.items()}))
    view.add_row("to", "", "", *_cells({key: d.high for key, d in found.items()}))
    p = [_p(found[key].p) if key in found else "-" for key in METRICS]
    view.add_row("Wilcoxon p", "", "", *p)
    return view


def _psnr(one: float, other: float) -> tuple[str, str]:
    return f"{one:.2f}", f"{other:.2f}"


def _cells(values: dict[str, Any]) -> list[str]:
    """One cell for each score, signed; "-" where there is none."""
    found = {key: value for key, value in values.items() if value is not None}
    return [
        f"{found[key]:+.{metric.digits}f}" if key in found else "-"
        for key, metric in METRICS.items()
    ]


def _p(p: float | None) -> str:
    return "-" if p is None else "<.0001" if p < 1e-4 else f"{p:.2g}"


def sentences(comparison: Comparison) -> list[str]:
    """A line in plain words for each score."""
    one, other = comparison.names
    found = comparison.differences()
    head = f"A is {one}, B is {other}."
    return [head, *(sentence(METRICS[key], found[key]) for key in found)]


def sentence(metric: Metric, found: Difference) -> str:
    """What the differences of one score show, in words.

    The interval of a difference that is shown has its sign, and is told as that of "better" or
    "worse"; elsewhere ends and mean are those of A - B.
    """
    mean, ends, digits = found.mean, [found.low, found.high], metric.digits
    if found.shown:
        better = "better" if mean * metric.sign > 0 else "worse"
        said = f"A is {abs(mean):.{digits}f}{metric.unit} {better} on average"
        interval = " to ".join(sorted(f"{abs(end or 0):.{digits}f}" for end in ends))
    else:
        verdict = "no difference shown" if found.p is not None or not mean else "not tested"
        said = f"{verdict}, A - B is {mean:+.{digits}f}{metric.unit} on average"
        interval = " to ".join(f"{end:+.{digits}f}" for end in ends if end is not None)
    facts = [f"95 % CI {interval}"] if interval else []
    facts.append(f"{found.pictures} picture{'' if found.pictures == 1 else 's'}")
    return f"{metric.title}: {said} ({', '.join([*facts, _tested(found)])})."


def _tested(found: Difference) -> str:
    if found.p is None:
        return f"no Wilcoxon test: {found.p_missing}"
    return f"Wilcoxon p {'' if found.p < 1e-4 else '= '}{_p(found.p)}"
