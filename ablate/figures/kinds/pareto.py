"""What accuracy costs: the metric against time or parameters, with the variants that no other beats in both."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source
from ablate.figures.placing import placed
from ablate.figures.scene import Axis, Colour, Label, Mark, Marker, Panel, Scene, Series, ceiling
from ablate.records import Better
from ablate.text import did_you_mean, in_words, number, one_of, percent, seeds_in_words, with_minus

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
    verdict: str = ""
    base: bool = False


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
    metered: str = ""


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
                    row.n, row.planned, False, row.verdict or "", row.compared_with is None,
                )  # fmt: skip
        if len(seen) < 2:
            raise FigureError(f"a front needs two variants with both {source.metric} and {cost}.")
        return Pareto(
            study=source.study, metric=source.titled(source.metric), better=source.better, cost=source.titled(cost),
            seeds=source.seeds, points=tuple(_with_front(list(seen.values()), source.better)),
            missing=tuple(dict.fromkeys(missing)), percent=source.units.get(source.metric) == "%",
            covers=percent(source.rows[0].confidence),
            metered=source.metered() if cost == "energy_kwh" and cost not in source.values else "",
        )  # fmt: skip

    def scene(self, info: Pareto) -> Scene:
        front = [point for point in info.points if point.front]
        marks: list[Mark] = []
        if len(front) > 1:
            x = [at for a, b in pairwise(front) for at in (a.cost, b.cost)] + [front[-1].cost]
            y = [at for a in front[:-1] for at in (a.value, a.value)] + [front[-1].value]
            marks.append(Series(tuple(x), tuple(y), "front (by the means)", "grey", "solid", width=1.0))
        marks += _points(info)
        costs = [point.cost for point in info.points]
        least = min(point.value for point in info.points)
        above = any(point.high is not None and point.high > 100 for point in info.points)
        across = Axis(info.cost, log=min(costs) > 0 and max(costs) > 8 * min(costs), grid=True)
        panel = Panel(
            x=across, y=Axis(info.metric, grid=True, high=ceiling(least) if info.percent and above else None),
            marks=(*marks, *_labels(info, across.log)), height=2.3,
            names=tuple((of.cost, of.value, _named(of)) for of in (info.points[i] for i in _ranked(info))),
        )  # fmt: skip
        listed = [f"{point.label} ({number(point.cost)}, {number(point.value)})" for point in front]
        return Scene(
            title=f"{info.study}: {info.metric} against {info.cost}",
            caption=_caption(info, [_called(point) for point in front]),
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
                + (
                    " `ablate table --view cost` says why."
                    if chosen in ("cpu_hours", "gpu_hours", "energy_kwh", "flops")
                    else did_you_mean(chosen, there)
                )
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


_COLOURS: dict[str, tuple[Colour, Marker]] = {
    "helps": ("blue", "circle"), "hurts": ("vermillion", "square"), "equivalent": ("green", "diamond"),
}  # fmt: skip
CROWDED = 12
"""Points whose intervals would be hatching."""


def _points(info: Pareto) -> Iterator[Series]:
    """Bases as stars, their rows by verdict."""
    kinds: dict[tuple[str, Colour, Marker], list[Point]] = {}
    for point in info.points:
        colour, marker = _COLOURS.get(point.verdict, ("grey", "hollow"))
        kind = ("a base", "ink", "star") if point.base else (point.verdict or "not judged", colour, marker)
        kinds.setdefault(kind, []).append(point)  # type: ignore[arg-type]
    barred = _barred(info)
    for (label, colour, marker), points in kinds.items():
        yield Series(
            x=tuple(point.cost for point in points), y=tuple(point.value for point in points),
            low=tuple(point.low for point in points) if barred else (),
            high=tuple(point.high for point in points) if barred else (),
            label=label, colour=colour, marker=marker, size=6.5 if marker == "star" else 4.5,
            hover=tuple(
                f"{point.label}: {info.metric} {number(point.value)}, {info.cost} {number(point.cost)}, n={point.n}"
                + (", on the front" if point.front else "")
                for point in points
            ),
        )  # fmt: skip


def _barred(info: Pareto) -> bool:
    return len(info.points) <= CROWDED and any(point.low is not None for point in info.points)


_PAPER, _LETTER, _LINE = (180.0, 140.0), 3.9, 9.0
"""A panel in one column of a paper and its text, in points: what a name takes there it takes of any other."""


def _labels(info: Pareto, log: bool) -> Iterator[Label]:
    """Names beside their marks; none over a mark or another."""
    x = _scaled([math.log10(point.cost) if log else point.cost for point in info.points])
    y = _scaled([point.value for point in info.points])
    names = [(i, _named(info.points[i])) for i in _ranked(info)]
    for i, side in placed(list(zip(x, y, strict=True)), names, _PAPER, _LETTER, _LINE):
        yield Label(info.points[i].cost, info.points[i].value, _named(info.points[i]), side)


def _ranked(info: Pareto) -> list[int]:
    """Points, those on the front first, then bases and the decided."""
    points = info.points
    return sorted(
        range(len(points)), key=lambda i: (not points[i].front, not points[i].base, points[i].verdict not in _COLOURS)
    )


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 0.5 for value in values]


def _called(point: Point) -> str:
    return with_minus(point.label)


def _named(point: Point) -> str:
    label = _called(point)
    return label if point.n == point.planned else f"{label} (n={point.n}/{point.planned})"


def _caption(info: Pareto, front: Sequence[str]) -> str:
    n = sorted({point.n for point in info.points})
    each = f"n = {n[0]}" if len(n) == 1 else f"n = {n[0]} to {n[-1]}"
    bars = f", bars: {info.covers} t intervals of the mean" * _barred(info)
    line = f"Line: the variants that no other beats in both, by their means alone ({in_words(front)})"
    alone = f"No other beats {front[0]} in either, by the means alone"
    sentences = [
        f"{info.metric} ({info.better} is better) against {info.cost}: means over {seeds_in_words(info.seeds)} "
        f"({each}){bars}. {line if len(front) > 1 else alone}; a difference there is not tested."
    ]
    if any(point.n < point.planned for point in info.points):
        sentences.append("n=k/m: k of m seeds are done; failed ones are in no mean.")
    if info.metered:
        sentences.append(f"Energy is that of {info.metered} alone: no other counter was read.")
    if info.missing:
        sentences.append(f"Without a result: {in_words(info.missing)}.")
    return " ".join(sentences)
