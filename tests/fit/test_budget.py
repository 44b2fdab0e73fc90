"""The budget as a user types it."""

from __future__ import annotations

import pytest

from edgesr.errors import EdgesrError
from edgesr.fit.budget import Budget, Latency, parse


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("p95 8 ms @ 320x180", Budget("p95", 8.0, "320x180")),
        ("p50 0.75ms@128x128", Budget("p50", 0.75, "128x128")),
        ("  p95  12.5 ms  @  64x48 ", Budget("p95", 12.5, "64x48")),
    ],
)
def test_a_budget_is_a_percentile_ms_and_a_size(text: str, budget: Budget) -> None:
    assert parse(text) == budget


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8 ms",
        "p99 8 ms @ 64x64",
        "p95 8 s @ 64x64",
        "p95 8 ms",
        "p95 0 ms @ 64x64",
        "p95 -8 ms @ 64x64",
        "p95 8 ms @ 64",
        "p95 8 ms @ 0x64",
        "p95 nan ms @ 64x64",
    ],
)
def test_another_form_is_an_error_that_shows_the_expected_one(text: str) -> None:
    with pytest.raises(EdgesrError, match='For example --budget "p95 8 ms @ 320x180"') as fault:
        parse(text)
    assert f'--budget "{text}"' in fault.value.message


def test_the_error_prints_a_budget_as_it_is_typed() -> None:
    assert parse(str(Budget("p95", 8.0, "320x180"))) == Budget("p95", 8.0, "320x180")


def test_the_percentile_that_is_named_is_the_one_that_counts() -> None:
    latency = Latency(p50_ms=7.0, p95_ms=9.0)
    assert Budget("p50", 8.0, "4x4").holds(latency)
    assert not Budget("p95", 8.0, "4x4").holds(latency)
    assert Budget("p95", 9.0, "4x4").holds(latency)
