"""Stored cells into arrays and counts, by variant and seed: no statistics, and nothing but the store's read side."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ablate.analysis.comparisons import Array
from ablate.analysis.inert import Point
from ablate.records import Metric, is_cost
from ablate.study.record import PlanRecord

if TYPE_CHECKING:
    from ablate.store.reader import Reader
    from ablate.store.stored import StoredCell

NO_VALUE = "no value"
"""The reason of a run that is done but did not report the metric (at the epoch that is asked for)."""


def spread_name(metric: str) -> str:
    """The metric under which an imported variant's standard deviation is stored, where no single value is known."""
    return f"{metric} (sd)"


def count_name(metric: str) -> str:
    """The same for the number of its seeds."""
    return f"{metric} (n)"


def seeds_of(record: PlanRecord, cells: Sequence[StoredCell]) -> tuple[int, ...]:
    """The plan's seeds in its order, then any further seed of a cell."""
    return tuple(dict.fromkeys([*record.seeds, *sorted(cell.seed for cell in cells)]))


def values_of(
    store: Reader,
    cells: Sequence[StoredCell],
    metric: Metric,
    also: Sequence[str],
    variants: Sequence[str],
    seeds: Sequence[int],
) -> dict[str, Array]:
    """metric -> (variants, seeds), each at the epoch that `metric.at` means; NaN where a run is not counted.

    A further metric without a curve (parameters, say) is taken at the end; the study's own metric must have one.
    """
    names = [metric.name, *also]
    points = store.values(cells, names)
    if metric.at != "last":
        curves: dict[str, dict[Point, dict[int, float]]] = {name: {} for name in names}
        for variant, seed, name, step, value in store.curve_values(cells, names):
            curves[name].setdefault((variant, seed), {})[step] = value
        points = [point for point in points if point[2] != metric.name and not curves[point[2]]]
        points += _at(metric, curves)
    held: dict[str, dict[Point, float]] = {name: {} for name in names}
    for variant, seed, name, value in points:
        held[name][variant, seed] = value
    shape = len(variants), len(seeds)
    return {
        name: np.array([of.get((v, seed), np.nan) for v in variants for seed in seeds], np.float64).reshape(shape)
        for name, of in held.items()
    }


def _at(
    metric: Metric, curves: Mapping[str, Mapping[Point, Mapping[int, float]]]
) -> Iterator[tuple[str, int, str, float]]:
    """Every curve at the epoch `metric.at`, or at the run's first epoch at which its own metric is best."""
    sign = -1 if metric.better == "higher" else 1
    for point, curve in curves[metric.name].items():
        step = metric.at
        if step == "best":
            step = min(curve, key=lambda at, curve=curve: (sign * curve[at], at))  # type: ignore[misc]
        for name, of_name in curves.items():
            value = of_name.get(point, {}).get(int(step))
            if value is not None:
                yield *point, name, value


def index(names: Sequence[Any]) -> dict[Any, int]:
    return {name: i for i, name in enumerate(names)}


def planned_of(variants: Sequence[str], cells: Sequence[StoredCell]) -> list[int]:
    counts = Counter(cell.variant for cell in cells)
    return [counts[variant] for variant in variants]


def failures_of(
    variants: Sequence[str], seeds: Sequence[int], cells: Sequence[StoredCell], values: Array
) -> list[dict[str, int]]:
    """Of each variant, reason -> runs that failed. A run that is done without the metric counts as `no value`."""
    row, column, lacking = index(variants), index(seeds), np.isnan(values).tolist()
    reasons: list[Counter[str]] = [Counter() for _ in variants]
    for cell in cells:
        i = row[cell.variant]
        if cell.state == "failed":
            reasons[i][cell.reason or "error"] += 1
        elif cell.state == "done" and lacking[i][column[cell.seed]]:
            reasons[i][NO_VALUE] += 1
    return [dict(sorted(counts.items())) for counts in reasons]


def logged_of(
    store: Reader, cells: Sequence[StoredCell], costs: Sequence[str]
) -> dict[Point, dict[tuple[str, int | None], float]]:
    """Everything that each counted run logged, by metric and step (None: at the end)."""
    logged: dict[Point, dict[tuple[str, int | None], float]] = {}
    measured_cost = functools.cache(lambda name: is_cost(name, costs))
    for variant, seed, name, value in store.values(cells):
        if not measured_cost(name):
            logged.setdefault((variant, seed), {})[name, None] = value
    for variant, seed, name, step, value in store.curve_values(cells):
        if not measured_cost(name):
            logged.setdefault((variant, seed), {})[name, step] = value
    return logged
