"""The log of a run as charts: geometry here, the SVG itself in the page's template.

A chart's coordinates are percent of its plot area, y downwards, so that the page may stretch
it to any width without stretching its text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgesr.bundle.records.run import LogLine

Lines = list[LogLine]
Points = list[tuple[float, float]]

NOT_TERMS = ("lr", "discriminator_lr", "images_per_s")
MOST_POINTS = 300


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, at `at` percent from the left or the top."""

    at: float
    text: str


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: as the log has it; not escaped.
        colour: index of the line's colour, the same for one name in every chart of a run.
        points: `"x,y x,y"`, for the `points` of an SVG polyline.
        first, last: the values at its ends, for the legend.
    """

    name: str
    colour: int
    points: str
    first: str
    last: str


@dataclass(frozen=True)
class Chart:
    """Curves over the steps of one stage.

    Attributes:
        averaged: how many logged values each point is the mean of.
        left_out: values that a logarithmic axis cannot show (zero, negative, not finite).
    """

    curves: list[Curve]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    averaged: int = 1
    left_out: int = 0


def stages(log: Lines) -> list[str]:
    """The stages in `log`, in the order they ran."""
    return list(dict.fromkeys(line.stage for line in log))


def terms(log: Lines) -> list[str]:
    """The names of everything in `log` that is a loss, `loss` (their weighted sum) first."""
    found = dict.fromkeys(
        key
        for line in log
        if line.validation is None
        for key in line.values
        if key not in NOT_TERMS
    )
    return sorted(found, key=lambda key: key != "loss")


def losses(log: Lines, stage: str) -> Chart | None:
    """Every term of `stage` on a logarithmic axis; None where nothing was logged."""
    series: dict[str, Points] = {}
    left_out = 0
    for name in terms(log):
        logged = _points(log, stage, lambda line, name=name: line.values.get(name))  # type: ignore[misc]
        shown = [(step, value) for step, value in logged if 0 < value < math.inf]
        left_out += len(logged) - len(shown)
        if shown:
            series[name] = shown
    if not series:
        return None
    averaged = max(math.ceil(len(points) / MOST_POINTS) for points in series.values())
    thinned = {name: _mean_of(points, averaged) for name, points in series.items()}
    ys = [math.log10(value) for points in thinned.values() for _, value in points]
    axis = _Axis.around(ys, least=0.3)
    marks = [Tick(axis.percent(math.log10(v)), f"{v:g}") for v in _log_marks(axis.low, axis.high)]
    order = terms(log)
    return _chart(thinned, order, axis, math.log10, marks, averaged=averaged, left_out=left_out)


def validation(log: Lines, stage: str, network: str) -> Chart | None:
    """PSNR in dB of the `network` and of bicubic over `stage`; None where none was measured."""
    names = {network: "psnr_db", "bicubic": "bicubic_psnr_db"}
    series: dict[str, Points] = {}
    for name, key in names.items():
        points = _points(log, stage, lambda line, key=key: getattr(line.validation, key, None))  # type: ignore[misc]
        if finite := [point for point in points if math.isfinite(point[1])]:
            series[name] = finite
    if not series:
        return None
    axis = _Axis.around([value for points in series.values() for _, value in points], least=0.5)
    marks = [Tick(axis.percent(v), f"{v:g}") for v in _marks(axis.low, axis.high)]
    return _chart(series, list(names), axis, float, marks)


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float], least: float) -> _Axis:
        """An axis that holds `values` with some air, and spans at least `least`."""
        values = list(values)
        low, high = min(values), max(values)
        air = max((high - low) * 0.06, (least - (high - low)) / 2, 0)
        return cls(low - air, high + air)

    def percent(self, value: float) -> float:
        """The place of `value` in percent from the top."""
        return round(100 * (self.high - value) / (self.high - self.low), 2)


def _points(log: Lines, stage: str, value: Callable[[LogLine], float | None]) -> Points:
    """(step, value) of every line of `stage` that has the value as a number."""
    found = ((line.step, value(line)) for line in log if line.stage == stage)
    return [(step, v) for step, v in found if v is not None]


def _mean_of(points: Points, n: int) -> Points:
    """Each `n` points as one: their last step and their mean."""
    groups = [points[i : i + n] for i in range(0, len(points), n)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _chart(
    series: dict[str, Points],
    order: list[str],
    axis: _Axis,
    scale: Callable[[float], float],
    y_ticks: list[Tick],
    **notes: int,
) -> Chart:
    last_step = max(step for points in series.values() for step, _ in points) or 1

    def curve(name: str, points: Points) -> Curve:
        places = [f"{100 * x / last_step:.2f},{axis.percent(scale(y)):.2f}" for x, y in points]
        if len(places) == 1:  # a round cap makes a dot of a line from a point to itself
            places *= 2
        first, last = (f"{points[i][1]:.4g}" for i in (0, -1))
        return Curve(name, order.index(name), " ".join(places), first, last)

    steps = [Tick(round(100 * v / last_step, 2), f"{v:,.0f}") for v in _marks(0, last_step)]
    curves = [curve(name, points) for name, points in series.items()]
    return Chart(curves, steps, y_ticks, **notes)


def _marks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers in low..high, 1, 2 or 5 times a power of ten apart; at most `most`."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power, 2 * power, 5 * power, 10 * power, 20 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [round(i * step, 10) for i in range(first, last + 1)]


def _log_marks(low: float, high: float) -> list[float]:
    """Round numbers whose logarithm is in low..high: powers of ten, more where those are few."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        marks = [float(f"{m}e{d}") for d in decades for m in steps]
        inside = [mark for mark in marks if low <= math.log10(mark) <= high]
        if len(inside) >= 3:
            return inside
    return inside
