"""Which networks are worth timing, and which one is proposed. Knows of clocks only what it is told.

Latency is nearly linear in depth, so that two depths of each width say where the deepest one inside
the budget should be; it and its neighbour are timed to be sure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgesr.errors import VerifyError
from edgesr.fit.budget import Budget, Latency
from edgesr.fit.candidates import COARSE_DEPTHS, MAX_DEPTH, USUAL_SCALE, WIDTHS, Candidate
from edgesr.recipe import Scale

ROUNDS = 3
ATTEMPTS = 2
PATIENCE = 4
"""Times the budget: where the smallest network takes so long, none can keep to it."""
Timed = dict[Candidate, Latency]
Time = Callable[[list[Candidate]], Timed]
"""Times networks side by side."""


def search(time: Time, budget: Budget, scale: Scale = USUAL_SCALE) -> Timed:
    """Time a coarse grid, for each width come closer to the deepest inside the budget, and time
    these once more side by side. Where that finds one outside, the search goes on below it.

    Returns:
        Every network that was timed, with its latest time.

    Raises:
        VerifyError: none is inside the budget.
    """
    smallest = Candidate(min(WIDTHS), min(COARSE_DEPTHS), scale)
    found = time([smallest])
    if budget.of(found[smallest]) > PATIENCE * budget.ms:
        raise _too_tight(found, budget)
    found = time([Candidate(width, depth, scale) for width in WIDTHS for depth in COARSE_DEPTHS])
    for _ in range(ATTEMPTS):
        found = _refine(found, time, budget)
        finalists = _deepest(found, budget)
        if not finalists:
            raise _too_tight(found, budget)
        again = time(finalists)
        found |= again
        if all(budget.holds(latency) for latency in again.values()):
            break
    return found


def _refine(found: Timed, time: Time, budget: Budget) -> Timed:
    """`found` and what was timed until each width's deepest is known, or `ROUNDS` are over."""
    for _ in range(ROUNDS):
        requested = [candidate for width in WIDTHS for candidate in _closer(found, width, budget)]
        if not requested:
            break
        found = found | time(requested)
    return found


def _deepest(found: Timed, budget: Budget) -> list[Candidate]:
    """Of each width the deepest inside the budget, where there is one."""
    inside = [candidate for candidate in found if budget.holds(found[candidate])]
    groups = [[c for c in inside if c.channels == width] for width in WIDTHS]
    return [max(group, key=lambda candidate: candidate.depth) for group in groups if group]


def _closer(found: Timed, width: int, budget: Budget) -> list[Candidate]:
    """The network of this width to time next, if any."""
    ms = {c.depth: budget.of(latency) for c, latency in found.items() if c.channels == width}
    depth = next_depth(ms, budget.ms)
    return [] if depth is None else [replace(next(iter(found)), channels=width, depth=depth)]


def next_depth(ms: dict[int, float], limit: float) -> int | None:
    """The depth to time next, between the deepest inside `limit` and the next one outside.

    Args:
        ms: depth -> latency of those that were timed, at least two.

    Returns:
        None where nothing is left between the two, or above `MAX_DEPTH`.
    """
    inside = max((depth for depth in ms if ms[depth] <= limit), default=0)
    outside = min((depth for depth in ms if depth > inside), default=MAX_DEPTH + 1)
    if outside - inside < 2:
        return None
    slope, start = np.polyfit(list(ms), list(ms.values()), 1)
    guess = int((limit - start) / slope) if slope > 0 else (inside + outside) // 2
    return min(max(guess, inside + 1), outside - 1)


def front(found: Timed, budget: Budget) -> list[Candidate]:
    """The networks that none both matches in speed and beats in capacity; the fastest first."""
    kept: list[Candidate] = []
    for candidate in sorted(found, key=lambda c: (budget.of(found[c]), -c.cost.macs, -c.depth)):
        if not kept or candidate.cost.macs > kept[-1].cost.macs:
            kept.append(candidate)
    return kept


def propose(
    found: Timed, budget: Budget, confirm: Callable[[Candidate], Latency]
) -> tuple[Candidate, Latency]:
    """The network of most capacity that keeps to the budget, and its latency by `confirm`.

    One that `confirm` finds too slow makes room for the next, and for a shallower one of its width.

    Args:
        confirm: times one network as `edgesr verify` will.

    Raises:
        VerifyError: `confirm` finds none inside the budget.
    """
    confirmed: Timed = {}
    waiting = {candidate for candidate in found if budget.holds(found[candidate])}
    while waiting:
        best = max(waiting, key=lambda candidate: candidate.capacity)
        waiting.remove(best)
        confirmed[best] = confirm(best)
        if budget.holds(confirmed[best]):
            return best, confirmed[best]
        share = budget.ms / budget.of(confirmed[best])
        depth = max(1, min(best.depth - 1, int(share * best.depth)))
        if (shallower := replace(best, depth=depth)) not in confirmed:
            waiting.add(shallower)
    raise _too_tight(found | confirmed, budget)


def _too_tight(found: Timed, budget: Budget) -> VerifyError:
    smallest = min(found, key=lambda candidate: candidate.capacity)
    taken = budget.of(found[smallest])
    return VerifyError(
        f'no candidate meets the budget "{budget}": the smallest, {smallest}, takes '
        f"{budget.percentile} {taken:.2f} ms",
        "Allow more ms, a smaller size or more threads.",
    )
