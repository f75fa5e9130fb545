"""Stored runs into arrays and rows: what `table` prints, before it has a format.

It reads through the store's read side only and changes nothing. The statistics are verdicts.py's, the sentences under
the table notes.py's. The same stored values give the same bytes: no time, attempt or worker enters.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ablate.analysis import tuned, verdicts
from ablate.analysis.arrays import (
    count_name,
    failures_of,
    index,
    logged_of,
    planned_of,
    seeds_of,
    spread_name,
    values_of,
)
from ablate.analysis.classes import Predictions, predictions
from ablate.analysis.comparisons import summary_of
from ablate.analysis.examples import Source
from ablate.analysis.inert import Logged, Point, inert
from ablate.analysis.looks import Numbers
from ablate.analysis.measured import Measured
from ablate.analysis.settings import Over, over
from ablate.errors import AblateError
from ablate.records import Json, Metric, Row
from ablate.study.record import PlanRecord
from ablate.text import listed

if TYPE_CHECKING:
    from ablate.store.reader import Reader
    from ablate.store.stored import Spent, StoredAttempt, StoredCell, StoredStudy
    from ablate.training.examples import At, Column


@dataclass(frozen=True)
class Results:
    """A study's plan as it was stored, what was measured, and where every run stands."""

    study: str
    record: PlanRecord
    measured: Measured
    cells: tuple[StoredCell, ...]
    provenance: Mapping[str, Mapping[str, int]]
    """Of each kind of provenance (notes.PROVENANCE) the values found and how many counted runs have each."""
    reruns: tuple[Mapping[str, Json], ...] = ()
    """Of each run that was executed again what that showed (reruns.py)."""
    saved: frozenset[str] = frozenset()
    """The keys of runs of the full plan that adaptive seeds did not need; their cells are not among `cells`."""
    confirmed: Measured | None = None
    """What was tuned, on fresh seeds, beside the same untuned; None where nothing was."""
    predictions: Callable[[], Predictions | None] = lambda: None
    """What runs said of each example, looked up when it is asked for; None where no run told."""
    settings: Mapping[str, Results] = field(default_factory=dict)
    """Of a study in several settings the results of each; its own are those of all together."""
    spent: Callable[[], Sequence[Spent]] = list
    """What every attempt of the database took, looked up when it is asked for."""
    reported: Callable[[Sequence[str]], Sequence[tuple[str, int, str, float | None]]] = lambda _: ()
    """Metrics of the counted runs at their end, looked up when they are asked for: variant, seed, name, value."""
    took: Mapping[Point, float] = field(default_factory=dict)
    """Seconds from claim to result of each counted run, by variant and seed."""

    @functools.cached_property
    def rows(self) -> tuple[Row, ...]:
        """What the study's designs and list ask for, in the plan's order; computed once, whoever shows it. Of several
        settings each is judged by itself."""
        if self.settings:
            return tuple(row for part in self.settings.values() for row in part.rows)
        return verdicts.rows(self.measured)

    @functools.cached_property
    def over(self) -> Over:
        """The rows over all settings."""
        parts = {name: part.measured for name, part in self.settings.items()}
        left_out = {one.name: one.left_out for one in self.record.across}
        units = {one.name: one.unit for one in self.record.across}
        return over(parts, {name: part.rows for name, part in self.settings.items()}, left_out, units)

    def within(self, setting: str | None) -> Results:
        """The results in one setting; None: all of them. AblateError where there is no such setting."""
        if setting is not None and setting not in self.settings:
            self.record.within(setting)  # says which there are
        return self if setting is None else self.settings[setting]

    def of_one_setting(self, what: str) -> None:
        """AblateError where the study has several settings. what: is of one, in words."""
        if self.settings:
            raise AblateError(
                f"{what} is of one setting, and {self.study} has {listed(self.settings)}: add --setting "
                f"{next(iter(self.settings))}, say.",
                page="several-settings",
            )

    @functools.cached_property
    def tuned_rows(self) -> tuple[Row, ...]:
        """What was tuned, beside the same untuned, on fresh seeds."""
        return () if self.confirmed is None else verdicts.rows(self.confirmed)

    @functools.cached_property
    def best(self) -> Row | None:
        """The row with the best mean among those with all planned seeds done; nothing that was tuned is among them. Of
        several settings none: an easy one would have it."""
        if self.settings:
            return None
        return verdicts.best(self.rows, self.measured.metric.better)

    @property
    def wanted(self) -> frozenset[str]:
        """The keys of runs that are asked for now: all, but adaptive seeds hold back those of looks to come."""
        if not self.measured.looks:
            return frozenset(cell.run for cell in self.cells)
        return _of_first(self.cells, self.measured, self.measured.wanted.now)


def load(store: Reader, study: str | None = None) -> Results:
    """The results of a stored study; None: the one last run. AblateError where there is none."""
    stored = store.find(study)
    whole = _loaded(store, stored, stored.record)
    parts = {one.name: _loaded(store, stored, stored.record.within(one.name)) for one in stored.record.across}
    return replace(whole, settings=parts) if parts else whole


def _loaded(store: Reader, stored: StoredStudy, record: PlanRecord) -> Results:
    """What is stored of a plan's variants: of all, or of one setting's."""
    names = [variant.name for variant in record.variants]
    planned = set(names)
    cells = tuple(cell for cell in store.cells(stored.name) if cell.variant in planned)
    seeds, metric, also = seeds_of(record, cells), record.metric, record.also
    values = values_of(store, cells, metric, list(also), names, seeds)
    attempts = store.counted(cells)
    measured = Measured(
        variants=tuple(names),
        tricks=tuple(variant.tricks for variant in record.variants),
        seeds=seeds,
        values=values,
        planned=tuple(planned_of(names, cells)),
        failures=tuple(failures_of(names, seeds, cells, values[metric.name])),
        asked=record.rows,
        metric=metric,
        also=also,
        analysis=record.analysis,
        source=_source(store, record, cells),
    )
    if record.imported is not None:
        measured = _imported(store, cells, measured)
    else:
        logged = functools.cache(lambda: logged_of(store, cells, stored.record.task.costs))
        shown, alike = inert(measured, attempts, logged)
        measured = replace(measured, inert=shown, alike=alike)
        measured = replace(measured, looks=_looks(measured, cells, attempts, logged))
    saved = _saved(cells, measured)
    asked_for = tuple(cell for cell in cells if cell.run not in saved)
    confirmed = _confirmed(store, record, measured)
    reruns = _reruns(attempts)
    said = functools.partial(predictions, store, asked_for, metric)
    return Results(
        stored.name, record, measured, asked_for, _provenance(attempts, metric), reruns, saved, confirmed, said,
        spent=store.spent, reported=functools.partial(store.values, stored.name),
        took={(attempt.variant, attempt.seed): attempt.seconds for attempt in attempts},
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- arrays


def _confirmed(store: Reader, record: PlanRecord, measured: Measured) -> Measured | None:
    """Winners of searches and untuned variants, as they are now, on fresh seeds."""
    entries, _ = tuned.split(record)
    cells = store.cells(record.study, ("confirm",)) if entries else []
    if not cells:
        return None
    tricks = tuned.variants(entries, dict(zip(measured.variants, measured.tricks, strict=True)))
    names, ours = list(tricks), [cell for cell in cells if cell.variant in tricks]
    seeds = tuple(dict.fromkeys(cell.seed for cell in ours))
    values = values_of(store, ours, measured.metric, list(measured.also), names, seeds)
    keys: dict[str, list[str]] = {}
    for cell in ours:
        keys.setdefault(cell.variant, []).append(cell.run)
    rows_asked = tuned.asked_rows(entries, measured.asked)
    pairs = {(a.variant, a.compared_with) for a in rows_asked if a.compared_with is not None}
    return replace(
        measured,
        variants=tuple(names),
        tricks=tuple(tricks.values()),
        seeds=seeds,
        values=values,
        planned=tuple(planned_of(names, ours)),
        failures=tuple(failures_of(names, seeds, ours, values[measured.metric.name])),
        asked=rows_asked,
        analysis={key: value for key, value in measured.analysis.items() if key == "generalise"},
        looks=(),
        source=_source(store, record, ours),
        inert=frozenset((one, other) for one, other in pairs if keys.get(one) == keys.get(other)),
    )


def _source(store: Reader, record: PlanRecord, cells: Sequence[StoredCell]) -> Source | None:
    """The metric of these cells' runs example by example, to be read when it is asked for; None: nothing is kept."""
    metric = record.metric
    at: At = "best" if metric.at == "best" else "last"
    runs = {(cell.variant, cell.seed): cell.run for cell in cells if cell.state == "done"}
    kept, own = store.with_examples(set(runs.values())), record.facts.example
    if not kept:
        hint = (
            f"no run has results for each of them (`ablate examples {record.study}` finds them out from kept weights)"
        )
        return Source(own, {}, {}, lambda _: {}, hint) if own else None
    measured_on = {run: of[metric.name, at] for run, of in kept.items() if (metric.name, at) in of}
    why = "" if metric.at in ("last", "best") else f"nothing is kept for each of them at epoch {metric.at}"
    why = why if measured_on else f"{metric.name} is no mean over them"

    def read(variant: str) -> dict[int, Column]:
        seeds = {run: seed for (name, seed), run in runs.items() if name == variant}
        return {seeds[one.run]: one.column for one in store.examples(list(seeds), metric.name, at)}

    return Source(
        own or "example",
        store.example_sets(set(measured_on.values())),
        {point: measured_on[run] for point, run in runs.items() if run in measured_on},
        read,
        why,
    )


def _imported(store: Reader, cells: Sequence[StoredCell], measured: Measured) -> Measured:
    """What a file tells of runs trained elsewhere. No outputs to compare, so nothing can be called inert.

    Where it has means, standard deviations and n alone, every variant is one stored run that holds the three.
    """
    metric, row = measured.metric.name, index(measured.variants)
    std, n = np.full(len(row), np.nan), np.zeros(len(row), dtype=np.int64)
    for variant, _, name, value in store.values(cells, [spread_name(metric), count_name(metric)]):
        if name == count_name(metric):
            n[row[variant]] = round(value)
        else:
            std[row[variant]] = value
    if not n.any():
        return measured
    mean = np.nanmax(measured.values[metric], axis=1)  # the one value there is
    return replace(measured, given=summary_of(mean, std, n), planned=tuple(n.tolist()))


# ------------------------------------------------------------------------------------------------- inert and provenance


def _provenance(attempts: Sequence[StoredAttempt], metric: Metric) -> dict[str, dict[str, int]]:
    plain = [kind for kind in PROVENANCE if kind not in ("gpu", "executed", "captured")]
    kinds = {kind: _counts([attempt.provenance.get(kind) for attempt in attempts]) for kind in plain}
    kinds["gpu"] = Counter(str(attempt.provenance["gpu"]) for attempt in attempts if attempt.provenance.get("gpu"))
    kinds["executed"] = Counter(_in_versions(attempts))
    taken = [attempt.provenance.get("captured", {}).get(metric.name, "") for attempt in attempts]
    kinds["captured"] = Counter(place.partition(" ")[0] for place in taken if place)
    return {kind: dict(sorted(counts.items())) for kind, counts in kinds.items()}


def _counts(values: Sequence[Json]) -> Counter[str]:
    """How often each is there, as text. Most of 20,000 are alike, and are counted before they become one."""
    counts: Counter[str] = Counter()
    try:
        distinct = Counter(values).items()
    except TypeError:  # another program wrote a list there
        distinct = ((value, 1) for value in values)  # type: ignore[assignment]
    for value, count in distinct:
        counts["unknown" if value is None else str(value)] += count
    return counts


def _in_versions(attempts: Sequence[StoredAttempt]) -> Iterator[str]:
    """Of each file that runs were found to execute, and not all as it was for the others: its version, for each run."""
    files = [(file, sha) for attempt in attempts for file, sha in attempt.provenance.get("executed", {}).items()]
    versions = Counter(file for file, _ in set(files))
    return (f"{file} {sha[:10]}" for file, sha in files if versions[file] > 1)


def _reruns(attempts: Sequence[StoredAttempt]) -> tuple[Mapping[str, Json], ...]:
    found = {a.run: a.provenance["reruns"] for a in attempts if a.provenance.get("reruns")}
    return tuple(found.values())


def _looks(
    measured: Measured, cells: Sequence[StoredCell], attempts: Sequence[StoredAttempt], logged: Logged
) -> tuple[Measured, ...]:
    """The study by the seeds of each look of adaptive seeds; empty where seeds are not adaptive."""
    row, column = index(measured.variants), index(measured.seeds)
    over = np.ones((len(row), len(column)), dtype=bool)
    for cell in cells:
        over[row[cell.variant], column[cell.seed]] = cell.state in ("done", "failed")
    looks = []
    for n in measured.analysis.get("looks") or ():
        seeds = measured.seeds[:n]
        here = [cell for cell in cells if cell.seed in seeds]
        values = {name: array[:, :n] for name, array in measured.values.items()}
        part = replace(
            measured,
            seeds=seeds,
            values=values,
            planned=tuple(planned_of(measured.variants, here)),
            failures=tuple(failures_of(measured.variants, seeds, here, values[measured.metric.name])),
            over=over[:, :n],
        )
        shown, alike = inert(part, attempts, logged)
        looks.append(replace(part, inert=shown, alike=alike))
    return tuple(looks)


def _saved(cells: Sequence[StoredCell], measured: Measured) -> frozenset[str]:
    """The keys of runs that no row can ask for any more, not executed."""
    if not measured.looks:
        return frozenset()
    reach = _of_first(cells, measured, measured.wanted.most)
    return frozenset(cell.run for cell in cells if cell.state == "todo" and cell.run not in reach)


def _of_first(cells: Sequence[StoredCell], measured: Measured, seeds: Numbers) -> frozenset[str]:
    """The keys of the first so many seeds of each variant."""
    variant, column = index(measured.variants), index(measured.seeds)
    return frozenset(cell.run for cell in cells if column[cell.seed] < seeds[variant[cell.variant]])


PROVENANCE = {
    "torch": "torch versions",
    "numpy": "numpy versions",
    "python": "Python versions",
    "processor": "kinds of processor",
    "gpu": "kinds of GPU",
    "system": "systems",
    "ablate": "versions of ablate's source",
    "git": "git commits",
    "executed": "versions of files that no import names",
    "captured": "kinds of place for the metric",
}
"""What a key does not hold but a table must not mix unsaid (CONTRACT, "Runs"), and how it is called."""
