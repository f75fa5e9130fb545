"""Figures of a stored study: what they are made from, which of them apply, and the scene of one.

Joins results.py (what was measured) with the shelf `figures/`; inline.py, screen.py and paper.py draw a scene. The
same stored values give the same one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ablate.analysis import results
from ablate.analysis.comparisons import Array, summarise
from ablate.analysis.results import Results
from ablate.analysis.tuned import TuningHistory
from ablate.errors import AblateError, FigureError
from ablate.figures import said
from ablate.figures.figure import Curve, SeedCurve, Source
from ablate.figures.scene import Scene
from ablate.records import Json
from ablate.registry import Registry
from ablate.runs.spent import hours
from ablate.tables import factorials, overall, views
from ablate.text import listed

if TYPE_CHECKING:
    from ablate.store.reader import Reader
    from ablate.study.record import PlanRecord

T = TypeVar("T")


def source(
    store: Reader,
    study: str | None = None,
    curves: Sequence[str] = (),
    tuning: TuningHistory | None = None,
    setting: str | None = None,
) -> Source:
    """What the figures of a stored study are made from; None: the one last run. AblateError where there is none.

    curves: metrics that are wanted by step beside the study's own. tuning: its search, where it was tuned. setting: of
    several the one that is shown; None: all of them together.
    """
    return source_of(store, results.load(store, study).within(setting), curves=curves, tuning=tuning)


def search_of(record: PlanRecord, folder: Path) -> TuningHistory | None:
    """The search of a study, where there was one. folder: the study's own, beside the database."""
    journal = folder / "tune.journal"
    if not journal.is_file():
        return None
    from ablate.tuning import journal as tune  # Optuna

    return tune.history(journal, record)


def source_of(
    store: Reader, loaded: Results, *, curves: Sequence[str] = (), tuning: TuningHistory | None = None
) -> Source:
    """The same from results that are loaded already."""
    if loaded.settings:
        return _of_settings(loaded)
    table = views.ablation(loaded)
    shown = views.table_data(loaded)
    failed = _failed(loaded)
    values, by_step = _values(store, loaded), _curves(store, loaded, failed, curves)
    try:
        interactions, no_interactions = factorials.interactions_of(loaded), ""
    except AblateError as why:
        interactions, no_interactions = None, str(why)
    best = loaded.best
    measured = loaded.measured
    return Source(
        study=loaded.study,
        metric=table.metric,
        better=table.better,
        seeds=measured.seeds,
        rows=table.rows,
        further=shown.rows[len(table.rows) :],
        differences=shown.differences,
        values=values,
        minimum_effect=measured.metric.minimum_effect,
        units={name: unit for name in {**values, **by_step} if (unit := loaded.record.facts.unit(name))},
        directions={table.metric: table.better, **measured.also},
        failed=failed,
        curves=by_step,
        interactions=interactions,
        no_interactions=no_interactions,
        tuning=tuning,
        best=None if best is None else best.variant,
        measures=_measures(store, loaded),
        confusion=partial(said.confusion, loaded),
        mistakes=partial(said.mistakes, loaded, store.folder / ".cache"),
        spent=partial(_spent, loaded),
        metered=partial(_metered, loaded),
    )


def _of_settings(loaded: Results) -> Source:
    """Of several settings together: the rows over them, and nothing that is of one."""
    metric = loaded.measured.metric
    unit = loaded.record.facts.unit(metric.name)
    return Source(
        study=loaded.study, metric=metric.name, better=metric.better, seeds=loaded.measured.seeds, rows=(), values={},
        minimum_effect=metric.minimum_effect, units={metric.name: unit} if unit else {},
        directions={metric.name: metric.better}, over=loaded.over,
        ranking=partial(_or_why, overall.ranking, loaded), scores=partial(_or_why, overall.normalised, loaded),
    )  # fmt: skip


def _or_why(of: Callable[[Results], T], loaded: Results) -> T:
    """What a view is made from; FigureError where there is none."""
    try:
        return of(loaded)
    except AblateError as why:
        raise FigureError(str(why)) from None


def _measures(store: Reader, loaded: Results) -> dict[str, str]:
    """The variants whose runs evaluate another one's weights, and whose."""
    variants = {cell.run: cell.variant for cell in loaded.cells}
    others: dict[str, set[str]] = {}
    for attempt in store.counted(loaded.study):
        others.setdefault(attempt.variant, set()).add(variants.get(attempt.outputs.get("evaluates", ""), ""))
    return {variant: next(iter(of)) for variant, of in others.items() if len(of) == 1 and "" not in of}


def _failed(loaded: Results) -> dict[str, dict[int, str]]:
    failed: dict[str, dict[int, str]] = {}
    for cell in loaded.cells:
        if cell.state == "failed":
            failed.setdefault(cell.variant, {})[cell.seed] = cell.reason or "error"
    return failed


def draw(source: Source, name: str, params: Mapping[str, Json] | None = None) -> Scene:
    """The scene of one figure. FigureError: these results do not allow it, and why. PluginError: no such figure."""
    figure = Registry().make("figures", name, params or {})
    if source.over is not None and source.of_settings and not figure.over_settings:
        there = f"{source.study} has {listed(source.over.settings)}: add --setting {source.over.settings[0]}, say"
        raise FigureError(f"{name} is of one setting, and {there}.")
    scene: Scene = figure.scene(figure.info(source))
    return replace(scene, caption=scene.caption[:1].upper() + scene.caption[1:])


def _values(store: Reader, loaded: Results) -> dict[str, dict[str, tuple[float | None, ...]]]:
    """Every metric of every run: the study's as its table has them, the others at the end. Nothing where the file that
    was imported tells means alone."""
    measured = loaded.measured
    if measured.given is not None:
        return {}
    row = {variant: i for i, variant in enumerate(measured.variants)}
    column = {seed: i for i, seed in enumerate(measured.seeds)}
    further: dict[str, Array] = {}
    for variant, seed, name, value in store.values(loaded.study, None):
        if name not in measured.values and value is not None and variant in row and seed in column:
            array = further.setdefault(name, np.full((len(row), len(column)), np.nan))
            array[row[variant], column[seed]] = value
    everything = {**measured.values, **dict(sorted(further.items()))}
    return {name: _by_variant(measured.variants, array) for name, array in everything.items()}


def _spent(loaded: Results) -> dict[str, dict[str, tuple[float | None, ...]]]:
    """Hours and energy of each counted run, where any is known."""
    places = {cell.run: (cell.variant, cell.seed) for cell in loaded.cells}
    known: dict[str, dict[tuple[str, int], float | None]] = {"cpu_hours": {}, "gpu_hours": {}, "energy_kwh": {}}
    for one in loaded.spent():
        if one.counted and one.run in places:
            took = hours(one)
            known["cpu_hours"][places[one.run]] = took.core_s / 3600 or None
            known["gpu_hours"][places[one.run]] = took.gpu_s / 3600 or None
            known["energy_kwh"][places[one.run]] = took.kwh
    measured = loaded.measured
    return {
        name: {variant: tuple(of.get((variant, seed)) for seed in measured.seeds) for variant in measured.variants}
        for name, of in known.items()
        if any(value is not None for value in of.values())
    }


def _metered(loaded: Results) -> str:
    """`processors` or `GPUs`, where the energy of counted runs is of these alone; empty where it is of both."""
    took = [hours(one) for one in loaded.spent() if one.counted]
    cpu, gpu = (sum(of) for of in ([one.cpu_metered for one in took], [one.gpu_metered for one in took]))
    return "" if bool(cpu) == bool(gpu) else "processors" if cpu else "GPUs"


def _by_variant(variants: Sequence[str], values: Array) -> dict[str, tuple[float | None, ...]]:
    return {
        variant: tuple(float(value) if np.isfinite(value) else None for value in row)
        for variant, row in zip(variants, values, strict=True)
    }


# --------------------------------------------------------------------------------------------------------------- curves

_OF_INTEREST = ("dev_accuracy", "dev_loss", "train_accuracy", "train_loss")
"""What a brief asks of the best variant, where its task reports it, and what the training passes made of the same."""

Points = dict[int, tuple[list[int], list[float]]]
"""Of each seed, steps and values."""


def _curves(
    store: Reader, loaded: Results, failed: Mapping[str, Mapping[int, str]], further: Sequence[str]
) -> dict[str, dict[str, Curve]]:
    """metric -> variant -> curve, of the study's metrics that are reported by step."""
    names = list(dict.fromkeys([loaded.measured.metric.name, *loaded.measured.also, *_OF_INTEREST, *further]))
    gathered: dict[tuple[str, str], Points] = {}
    for reader in (store.curve_values, store.failed_curve_values):
        for variant, seed, name, step, value in reader(loaded.study, names):
            if value is None or not math.isfinite(value):
                continue
            steps, values = gathered.setdefault((name, variant), {}).setdefault(seed, ([], []))
            steps.append(step)
            values.append(value)
    curves: dict[str, dict[str, Curve]] = {}
    for name in names:
        of_name = {
            variant: curve(variant, name, gathered[name, variant], failed.get(variant, {}))
            for variant in loaded.measured.variants
            if (name, variant) in gathered
        }
        if of_name:
            curves[name] = of_name
    return curves


def curve(variant: str, metric: str, points: Points, failed: Mapping[int, str]) -> Curve:
    """Mean and interval at each step, over the seeds that are done; failed ones are carried along."""
    done = [seed for seed in points if seed not in failed]
    steps = sorted({step for seed in done for step in points[seed][0]})
    place = {step: i for i, step in enumerate(steps)}
    values = np.full((len(steps), len(done)), np.nan)
    for j, seed in enumerate(done):
        values[[place[step] for step in points[seed][0]], j] = points[seed][1]
    of = summarise(values)
    low, high = np.where(of.n == 2, of.low, of.ci_low), np.where(of.n == 2, of.high, of.ci_high)
    return Curve(
        variant, metric, tuple(steps), tuple(of.n.tolist()), tuple(of.mean.tolist()), _known(low), _known(high),
        tuple(
            SeedCurve(seed, tuple(at), tuple(y), failed.get(seed, "")) for seed, (at, y) in points.items()
        ),
    )  # fmt: skip


def _known(values: Array) -> tuple[float | None, ...]:
    return tuple(float(value) if np.isfinite(value) else None for value in values)
