"""The search on a machine whose latencies are known, so that the best answer is too."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from edgesr.errors import VerifyError
from edgesr.fit.budget import Budget, Latency
from edgesr.fit.candidates import MAX_DEPTH, WIDTHS, Candidate
from edgesr.fit.search import front, next_depth, propose, search


@dataclass
class Machine:
    """Latency linear in multiply-adds, worse for widths that do not fill its vectors.

    Attributes:
        requested: what was timed side by side, call after call.
        confirmed: what was timed alone, in order.
        slower_alone: how much longer a network takes alone.
    """

    requested: list[list[Candidate]] = field(default_factory=list)
    confirmed: list[Candidate] = field(default_factory=list)
    slower_alone: float = 1.0

    def ms(self, candidate: Candidate) -> float:
        waste = {24: 1.33}.get(candidate.channels, 1.0)
        return 0.1 + waste * candidate.cost.macs / 10_000

    def together(self, candidates: list[Candidate]) -> dict[Candidate, Latency]:
        self.requested.append(candidates)
        return {c: Latency(self.ms(c), 1.1 * self.ms(c)) for c in candidates}

    def alone(self, candidate: Candidate) -> Latency:
        self.confirmed.append(candidate)
        p50 = self.slower_alone * self.ms(candidate)
        return Latency(p50, 1.1 * p50)


@pytest.fixture
def machine() -> Machine:
    return Machine()


EVERY = [Candidate(width, depth) for width in WIDTHS for depth in range(1, MAX_DEPTH + 1)]


@pytest.mark.parametrize("ms", [1.5, 4.0, 8.0, 12.3, 40.0, 1000.0])
@pytest.mark.parametrize("percentile", ["p50", "p95"])
def test_the_search_finds_what_timing_everything_would(
    machine: Machine, percentile: str, ms: float
) -> None:
    budget = Budget(percentile, ms, "64x64")
    everything = Machine().together(EVERY)
    best = max((c for c in EVERY if budget.holds(everything[c])), key=lambda c: c.capacity)
    found = search(machine.together, budget)
    proposed, alone = propose(found, budget, machine.alone)
    assert proposed == best
    assert alone == everything[best]
    assert sum(map(len, machine.requested)) <= 35, "the grid has 100 networks"


def test_the_finalists_take_turns_with_one_another_at_the_end(machine: Machine) -> None:
    budget = Budget("p95", 12.0, "64x64")
    search(machine.together, budget)
    everything = machine.together(EVERY)
    inside = [c for c in EVERY if budget.holds(everything[c])]
    deepest = [max(c.depth for c in inside if c.channels == width) for width in WIDTHS]
    assert machine.requested[-2] == list(map(Candidate, WIDTHS, deepest))


def test_a_finalist_that_is_slower_the_second_time_gives_way_to_a_shallower_one(
    machine: Machine,
) -> None:
    budget, bad = Budget("p50", 12.0, "64x64"), Candidate(48, 4)

    def unsteady(candidates: list[Candidate]) -> dict[Candidate, Latency]:
        seen = any(bad in earlier for earlier in machine.requested)
        found = machine.together(candidates)
        return found | ({bad: Latency(99.0, 99.0)} if seen and bad in candidates else {})

    found = search(unsteady, budget)
    assert not budget.holds(found[bad])
    assert budget.holds(found[Candidate(48, 3)])
    assert Candidate(48, 3) in machine.requested[-1]


def test_a_budget_that_nothing_meets_names_the_smallest_and_its_latency(machine: Machine) -> None:
    budget = Budget("p95", 0.5, "320x180")
    taken = 1.1 * machine.ms(Candidate(16, 1))
    with pytest.raises(VerifyError, match="Allow more ms") as fault:
        search(machine.together, budget)
    assert '"p95 0.5 ms @ 320x180"' in fault.value.message
    assert f"edge 16x1, takes p95 {taken:.2f} ms" in fault.value.message


def test_a_proposal_that_is_slower_alone_makes_room_for_one_that_holds(machine: Machine) -> None:
    budget = Budget("p95", 12.0, "64x64")
    machine.slower_alone = 1.2
    proposed, alone = propose(search(machine.together, budget), budget, machine.alone)
    assert budget.holds(alone)
    assert machine.confirmed[-1] == proposed
    assert len(machine.confirmed) == len(set(machine.confirmed)) > 1
    slower = [c for c in machine.confirmed[:-1] if c.capacity > proposed.capacity]
    assert slower == machine.confirmed[:-1]


def test_where_nothing_holds_alone_the_search_ends_and_says_so(machine: Machine) -> None:
    budget = Budget("p95", 12.0, "64x64")
    machine.slower_alone = 1000.0
    with pytest.raises(VerifyError, match="the smallest, edge 16x1, takes p95"):
        propose(search(machine.together, budget), budget, machine.alone)


def test_the_front_leaves_out_what_another_beats_in_speed_and_capacity(machine: Machine) -> None:
    found = machine.together(EVERY)
    members = front(found, Budget("p50", 1.0, "4x4"))
    macs = [c.cost.macs for c in members]
    assert macs == sorted(macs)
    assert members[0] == Candidate(16, 1)
    for member in members:
        assert not [
            c
            for c in EVERY
            if found[c].p50_ms <= found[member].p50_ms and c.capacity > member.capacity
        ]


def test_of_equal_multiply_adds_at_one_latency_the_deeper_is_on_the_front(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = Candidate(16, 3), Candidate(16, 4)
    monkeypatch.setattr(Candidate, "cost", one.cost)
    found = dict.fromkeys([one, other], Latency(1.0, 1.0))
    assert front(found, Budget("p50", 1.0, "4x4")) == [other]


def test_a_depth_that_the_clock_puts_out_of_order_does_not_stall_the_search() -> None:
    assert next_depth({1: 5.0, 8: 4.0}, 10.0) == 14  # no line to follow: halfway to the deepest
    assert next_depth({1: 1.0, 8: 8.0}, 5.5) == 5
    assert next_depth({1: 1.0, 5: 9.0, 8: 8.0, 9: 20.0}, 8.5) is None
    assert next_depth({1: 1.0, 8: 8.0}, 0.5) is None
    assert next_depth({1: 1.0, MAX_DEPTH: 2.0}, 3.0) is None


def test_a_budget_that_nothing_comes_near_to_is_refused_after_the_smallest(
    machine: Machine,
) -> None:
    """At an absurd size every network of the grid was exported and timed first."""
    with pytest.raises(VerifyError, match=r"no candidate meets the budget .* edge 16x1"):
        search(machine.together, Budget("p95", 0.1, "64x64"))
    assert machine.requested == [[Candidate(16, 1)]]
