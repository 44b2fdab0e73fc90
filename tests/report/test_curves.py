"""Charts: every term is there, and every value lands where its axis says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesr.bundle.records.run import LogLine
from edgesr.report import curves
from edgesr.report.curves import Chart, Curve


def line(step: float, stage: str = "pixel", **values: float) -> LogLine:
    return LogLine(stage=stage, step=step, lr=1e-3, images_per_s=9.0, **values)


def scored(step: int, psnr: float, bicubic: float = 26.0) -> LogLine:
    scores = {"psnr_db": psnr, "bicubic_psnr_db": bicubic}
    return LogLine.model_validate({"stage": "pixel", "step": step, "validation": scores})


def places(curve: Curve) -> list[tuple[float, float]]:
    pairs = [point.split(",") for point in curve.points.split()]
    return [(float(x), float(y)) for x, y in pairs]


def losses(log: list[LogLine], stage: str = "pixel") -> Chart:
    chart = curves.losses(log, stage)
    assert chart is not None
    return chart


def test_every_term_is_a_curve_and_settings_are_none() -> None:
    log = [line(10, l1=0.1, frequency=0.4, loss=0.2), line(20, l1=0.1, frequency=0.3, loss=0.1)]
    assert [curve.name for curve in losses(log).curves] == ["loss", "l1", "frequency"]


def test_a_term_keeps_its_colour_in_every_stage() -> None:
    log = [line(10, l1=0.1, loss=0.2), line(10, stage="gan", vgg=0.1, l1=0.4, loss=0.2)]
    assert curves.stages(log) == ["pixel", "gan"]
    colours = [{c.name: c.colour for c in losses(log, s).curves} for s in ("pixel", "gan")]
    assert colours == [{"loss": 0, "l1": 1}, {"loss": 0, "l1": 1, "vgg": 2}]


def test_a_tenth_is_as_far_down_anywhere_on_a_logarithmic_axis() -> None:
    chart = losses([line(1, l1=1.0), line(2, l1=0.1), line(3, l1=0.01)])
    ys = [y for _, y in places(chart.curves[0])]
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1], abs=0.02)
    assert [tick.text for tick in chart.y_ticks] == ["1", "0.1", "0.01"][::-1]


def test_values_that_have_no_logarithm_are_counted_not_drawn() -> None:
    chart = losses([line(1, l1=0.5), line(2, l1=0.0), line(3, l1=math.nan), line(4, l1=-1.0)])
    assert chart.left_out == 3
    assert len(set(places(chart.curves[0]))) == 1


def test_a_long_log_is_averaged_and_ends_at_its_last_step() -> None:
    chart = losses([line(i, l1=float(i)) for i in range(1, 1001)])
    assert chart.averaged == 4
    assert len(places(chart.curves[0])) == 250
    assert places(chart.curves[0])[-1][0] == 100
    assert chart.curves[0].first == "2.5"


def test_a_stage_without_losses_has_no_chart() -> None:
    assert curves.losses([scored(0, 25.0)], "pixel") is None
    assert curves.losses([], "pixel") is None


def test_bicubic_stands_as_a_level_line_under_a_better_network() -> None:
    chart = curves.validation([scored(0, 24.0), scored(50, 27.0), scored(100, 28.0)], "pixel", "me")
    assert chart is not None
    assert [curve.name for curve in chart.curves] == ["me", "bicubic"]
    network, bicubic = (places(curve) for curve in chart.curves)
    assert len({y for _, y in bicubic}) == 1
    assert network[0][1] > bicubic[0][1] > network[-1][1]  # y grows downwards
    assert [x for x, _ in network] == [0, 50, 100]


def test_a_single_validation_at_step_zero_is_a_dot() -> None:
    chart = curves.validation([scored(0, 26.0)], "pixel", "me")
    assert chart is not None
    assert places(chart.curves[0]) == [(0, 50), (0, 50)]


def test_no_validation_no_chart() -> None:
    assert curves.validation([line(1, l1=0.1)], "pixel", "me") is None


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(1e-12, 1e12)),
        min_size=1,
        unique_by=lambda p: p[0],
    )
)
def test_whatever_is_logged_stays_inside_the_plot_with_a_few_ticks(
    values: list[tuple[int, float]],
) -> None:
    chart = losses([line(step, l1=value) for step, value in sorted(values)])
    assert all(0 <= c <= 100 for point in places(chart.curves[0]) for c in point)
    assert all(0 <= tick.at <= 100 for tick in [*chart.x_ticks, *chart.y_ticks])
    assert 1 <= len(chart.x_ticks) <= 7
    assert 1 <= len(chart.y_ticks) <= 30
