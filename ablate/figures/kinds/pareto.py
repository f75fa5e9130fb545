"""What accuracy costs: the metric against time or parameters, with the variants that no other beats in both."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ablate.errors import FigureError
from ablate.figures.figure import LINES, Axis, Figure, Mark, Panel, Scene, Series, Source
from ablate.records import Better
from ablate.text import did_you_mean, in_words, number, one_of, percent, seeds_in_words

_COSTS = ("parameters", "flops", "train_seconds")
"""What `cost: None` means: the first that differs between the variants by a tenth or more."""


@dataclass(frozen=True)
class Point:
    """A variant: means over its seeds. low, high: t interval of the metric's mean, which covers Pareto.covers."""

    variant: str
    label: str
    cost: float
    value: float
    low: float | None
    high: float | None
    n: int
    planned: int
    front: bool


@dataclass(frozen=True)
class Pareto:
    """points: the front first, from cheap to dear. missing: variants without a value of either."""

    study: str
    metric: str
    better: Better
    cost: str
    seeds: tuple[int, ...]
    points: tuple[Point, ...]
    missing: tuple[str, ...] = ()
    percent: bool = False
    covers: str = "95 %"


@dataclass(frozen=True)
class ParetoFigure(Figure):
    """cost: a metric of which less is better, or cpu_hours, gpu_hours, energy_kwh of a run; None for the first of
    parameters, FLOPs and training time that differs."""

    cost: str | None = None

    def info(self, source: Source) -> Pareto:
        cost = _cost(source, self.cost)
        costs = source.values[cost] if cost in source.values else source.spent()[cost]
        seen: dict[str, Point] = {}
        missing = []
        for row in source.rows:
            spent = [value for value in costs.get(row.variant, ()) if value is not None]
            if row.mean is None or not spent:
                missing.append(source.label(row.variant))
            elif row.variant not in seen:
                seen[row.variant] = Point(
                    row.variant, source.label(row.variant), statistics.fmean(spent), row.mean, row.ci_low, row.ci_high,
                    row.n, row.planned, False,
                )  # fmt: skip
        if len(seen) < 2:
            raise FigureError(f"a front needs two variants with both {source.metric} and {cost}.")
        return Pareto(
            study=source.study, metric=source.titled(source.metric), better=source.better, cost=source.titled(cost),
            seeds=source.seeds, points=tuple(_with_front(list(seen.values()), source.better)),
            missing=tuple(dict.fromkeys(missing)), percent=source.units.get(source.metric) == "%",
            covers=percent(source.rows[0].confidence),
        )  # fmt: skip

    def scene(self, info: Pareto) -> Scene:
        front = [point for point in info.points if point.front]
        marks: list[Mark] = []
        if len(front) > 1:
            x = [at for a, b in pairwise(front) for at in (a.cost, b.cost)] + [front[-1].cost]
            y = [at for a in front[:-1] for at in (a.value, a.value)] + [front[-1].value]
            marks.append(Series(tuple(x), tuple(y), "front (by the means)", "grey", "solid", width=1.0))
        named = (info.points if len(info.points) <= len(LINES) else front)[: len(LINES)]
        others = info.points[len(named) :]
        if others:
            marks.append(_points("other variants", others, info, -1))
        marks += [_points(_named(point), [point], info, i) for i, point in enumerate(named)]
        costs = [point.cost for point in info.points]
        above = any(point.high is not None and point.high > 100 for point in info.points)
        panel = Panel(
            x=Axis(info.cost, log=min(costs) > 0 and max(costs) > 8 * min(costs), grid=True),
            y=Axis(info.metric, grid=True, high=100.5 if info.percent and above else None),
            marks=tuple(marks),
            height=2.3,
        )
        listed = [f"{point.label} ({number(point.cost)}, {number(point.value)})" for point in front]
        return Scene(
            title=f"{info.study}: {info.metric} against {info.cost}",
            caption=_caption(info, [point.label for point in front]),
            alt=f"Scatter plot of {info.metric} against {info.cost} for {len(info.points)} variants. On the front: "
            f"{in_words(listed)}.",
            panels=(panel,),
        )


def _cost(source: Source, chosen: str | None) -> str:
    if chosen is not None:
        if chosen == source.metric:
            raise FigureError(f"the cost is {chosen!r}, which is the metric itself; another one is needed.")
        if chosen not in source.values and chosen not in source.spent():
            there = [name for name in (*source.values, *source.spent()) if name != source.metric]
            raise FigureError(
                f"nothing is known of {chosen!r} for runs of {source.study}; there is {in_words(there, 12)}."
                f"{did_you_mean(chosen, there)}"
            )
        return chosen
    reported = [name for name in _COSTS if name in source.values]
    for name in reported:
        costs = [value for values in source.values[name].values() for value in values if value is not None]
        if costs and max(costs) >= 1.1 * min(costs):
            return name
    if not reported:
        others = in_words([name for name in source.values if name != source.metric], 12)
        raise FigureError(
            f"no run of {source.study} reports {one_of(_COSTS)}"
            + (f"; name a cost among what there is: `--with cost=NAME`, {others}." if others else ", nor another cost.")
        )
    return reported[-1]


def _with_front(points: Sequence[Point], better: Better) -> list[Point]:
    """The front first, from cheap to dear, then the others by cost."""
    sign = 1 if better == "higher" else -1
    best = float("-inf")
    front: list[Point] = []
    others: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -sign * point.value)):
        if sign * point.value > best:
            best = sign * point.value
            front.append(replace(point, front=True))
        else:
            others.append(point)
    return front + others


def _named(point: Point) -> str:
    ran = "" if point.n == point.planned else f" (n={point.n}/{point.planned})"
    return f"{point.label}{ran}"


def _points(label: str, points: Sequence[Point], info: Pareto, i: int) -> Series:
    colour, _, marker = LINES[i] if i >= 0 else ("grey", "", "hollow")
    crowded = len(points) > len(LINES)  # their intervals would be hatching
    return Series(
        x=tuple(point.cost for point in points), y=tuple(point.value for point in points),
        low=() if crowded else tuple(point.low for point in points),
        high=() if crowded else tuple(point.high for point in points),
        label=label, colour=colour, marker=marker, size=3.5 if crowded else 6.0,
        hover=tuple(
            f"{point.label}: {info.metric} {number(point.value)}, {info.cost} {number(point.cost)}, n={point.n}"
            + (", on the front" if point.front else "")
            for point in points
        ),
    )  # fmt: skip


def _caption(info: Pareto, front: Sequence[str]) -> str:
    n = sorted({point.n for point in info.points})
    each = f"n = {n[0]}" if len(n) == 1 else f"n = {n[0]} to {n[-1]}"
    sentences = [
        f"{info.metric} ({info.better} is better) against {info.cost}: means over {seeds_in_words(info.seeds)} "
        f"({each}), bars: {info.covers} t intervals of the mean. Line: the variants that no other beats in both, by "
        f"their means alone ({in_words(front)}); a difference there is not tested."
    ]
    if any(point.n < point.planned for point in info.points):
        sentences.append("n=k/m: k of m seeds are done; failed ones are in no mean.")
    if info.missing:
        sentences.append(f"Without a result: {in_words(info.missing)}.")
    return " ".join(sentences)
