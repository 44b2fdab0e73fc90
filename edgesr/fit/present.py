"""What `edgesr fit` found, as a table for an 80-column terminal."""

from __future__ import annotations

from rich.table import Table

from edgesr import console
from edgesr.fit.candidates import Candidate
from edgesr.fit.search import front
from edgesr.fit.stage import Fit
from edgesr.verify.sidebyside import table

REMARK = """\
Each network has the most multiply-adds (MACs) for its latency; kB are those
of float32 weights. MACs stand for quality before training, which decides."""


def print_fit(found: Fit) -> None:
    """Print the front, the proposal and what to type next."""
    console.out.print(front_table(found))
    console.page(REMARK)
    console.say(f"{found.proposed} keeps to {found.budget}, also alone:")
    console.say(f"p50 {found.alone.p50_ms:.2f} ms, p95 {found.alone.p95_ms:.2f} ms")
    console.say(f"edgesr distill {found.recipe} --teacher FILE --data DIR")


def front_table(found: Fit) -> Table:
    """The networks of most capacity at each latency; the fastest first."""
    title = f"In turn at {found.budget.size} LR, {found.provider}, CPU threads: {found.threads}"
    columns = ("network", "p50 ms", "p95 ms", "MACs/px", "parameters", "kB", "budget")
    view = table(title, *columns)
    members = {*front(found.timed, found.budget), *([found.proposed] & found.timed.keys())}
    for candidate in sorted(members, key=lambda c: c.cost.macs):
        view.add_row(*_cells(found, candidate))
    return view


def _cells(found: Fit, candidate: Candidate) -> list[str]:
    latency = found.timed[candidate]
    verdict = "inside" if found.budget.holds(latency) else "over"
    return [
        str(candidate),
        f"{latency.p50_ms:.2f}",
        f"{latency.p95_ms:.2f}",
        f"{candidate.cost.macs / 1e3:.1f} k",
        f"{candidate.cost.parameters:,}",
        f"{candidate.cost.bytes / 1e3:.0f}",
        "proposed" if candidate == found.proposed else verdict,
    ]
