"""What a user reads at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesr.fit.budget import Budget, Latency
from edgesr.fit.candidates import Candidate
from edgesr.fit.present import print_fit
from edgesr.fit.stage import Fit

SMALL, PROPOSED, BEATEN, LARGE = (
    Candidate(*size) for size in ((16, 1), (48, 6), (24, 6), (64, 20))
)
TIMED = {
    SMALL: Latency(0.5, 0.6),
    PROPOSED: Latency(7.0, 7.5),
    BEATEN: Latency(7.1, 7.6),
    LARGE: Latency(1234.5, 1345.6),
}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setattr("edgesr.console.out.width", 80)
    budget, recipe = Budget("p95", 8.0, "1920x1080"), Path("recipes/fit-48x6.toml")
    print_fit(Fit(budget, "cpu", 2, TIMED, PROPOSED, Latency(6.9, 7.25), recipe))
    return capsys.readouterr().out.splitlines()


def test_every_line_fits_80_columns(printed: list[str]) -> None:
    assert max(map(len, printed)) <= 80
    assert not [line for line in printed if "…" in line]


def test_the_table_has_the_front_and_marks_proposal_and_budget(printed: list[str]) -> None:
    rows = [line for line in printed if line.startswith("│ edge")]
    assert [row.split()[2] for row in rows] == ["16x1", "48x6", "64x20"]
    assert [row.split()[-2] for row in rows] == ["inside", "proposed", "over"]


def test_it_says_what_the_proposal_takes_alone_and_that_macs_are_no_quality(
    printed: list[str],
) -> None:
    text = "\n".join(printed)
    assert "edge 48x6 keeps to p95 8 ms @ 1920x1080" in text
    assert "p50 6.90 ms, p95 7.25 ms" in text
    assert "before training, which decides" in text
    assert printed[-1] == "edgesr distill recipes/fit-48x6.toml --teacher FILE --data DIR"
