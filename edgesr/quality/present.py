"""Scores, and the comparison of two models, as tables and in plain words."""

from __future__ import annotations

import math
from typing import Any

from rich.table import Table

from edgesr import console
from edgesr.quality.compare import METHOD, METRICS, Comparison, Difference, Metric
from edgesr.quality.degraded import Degraded, means
from edgesr.quality.scores import Evaluation, Scores


def print_result(result: Evaluation | Comparison | Degraded) -> None:
    """What `edgesr evaluate` prints, less its protocol."""
    if isinstance(result, Evaluation):
        console.out.print(scores_table(result))
    elif isinstance(result, Comparison):
        print_comparison(result)
    else:
        console.out.print(degraded_table(result))
        compared = {c.name: r for c, r in result.pairs() if isinstance(r, Comparison)}
        for name, found in compared.items():
            for line in sentences(found):
                console.say(f"{name}: {line}")
        if compared:
            console.say(METHOD)


def degraded_table(result: Degraded) -> Table:
    """A degradation's means: of the models, bicubic and Lanczos, for an 80-column terminal."""
    view = Table(width=78)
    view.add_column("degradation", overflow="ellipsis", no_wrap=True, ratio=1)
    view.add_column("by", no_wrap=True)
    for title in ("PSNR dB", "gain dB", "RGB dB", "SSIM", "LPIPS", "grid"):
        view.add_column(title, justify="right", no_wrap=True)
    for chain, found in result.pairs():
        rows = means(found)
        for i, (by, scores) in enumerate(rows.items()):
            cells = _scored(by, scores, rows["bicubic"])
            name = "" if i else chain.name
            style = "" if by in ("bicubic", "Lanczos") else "bold"
            view.add_row(name, *cells[:3], f"{scores.psnr_rgb_db:.2f}", *cells[3:], style=style)
        view.add_section()
    return view


def print_comparison(comparison: Comparison) -> None:
    """A's scores, the differences and what they show."""
    console.out.print(scores_table(comparison.one))
    console.out.print(table(comparison))
    for line in sentences(comparison):
        console.say(line)
    console.say(METHOD)


def scores_table(evaluation: Evaluation) -> Table:
    """For an 80-column terminal; its protocol belongs below it."""
    view = Table(width=78)
    view.add_column("image", overflow="ellipsis", no_wrap=True, ratio=1)
    for title in ("PSNR dB", "gain dB", "SSIM", "LPIPS", "grid"):
        view.add_column(title, justify="right", no_wrap=True)
    for row in evaluation.rows:
        view.add_row(*_scored(row.image, row.model, row.bicubic))
    view.add_section()
    view.add_row(*_scored("mean", evaluation.mean, evaluation.bicubic), style="bold")
    view.add_row(*_scored("mean, bicubic", evaluation.bicubic, evaluation.bicubic))
    if evaluation.lanczos:
        view.add_row(*_scored("mean, Lanczos", evaluation.lanczos, evaluation.bicubic))
    return view


def _scored(name: str, scores: Scores, control: Scores) -> list[str]:
    """The gain is PSNR less bicubic's."""
    gain = scores.psnr_db - control.psnr_db if math.isfinite(scores.psnr_db) else math.inf
    lpips = "-" if scores.lpips is None else f"{scores.lpips:.3f}"
    grid = "-" if scores.grid is None else f"{scores.grid:.2f}"
    return [name, f"{scores.psnr_db:.2f}", f"{gain:+.2f}", f"{scores.ssim:.4f}", lpips, grid]


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
