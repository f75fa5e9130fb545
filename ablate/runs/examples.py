"""`ablate examples`: what finished runs got right for each example, found out from their stored weights, untrained.

For runs of before it was kept, and for what another study asks of the same runs (their best epoch). What comes out must
have the run's own metrics as its means: weights that were exchanged, or data that changed, are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ablate.errors import AblateError, DataError
from ablate.records import Metric
from ablate.registry import Registry
from ablate.runs.planned import Planned, specs
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.store.stored import Kept
from ablate.text import listed, many
from ablate.training.examples import At, Column, far
from ablate.training.task import Run

FILES: Mapping[At, str] = {"last": "last.pt", "best": "best.pt"}
"""Which weights an epoch's results come from."""


@dataclass(frozen=True)
class Filled:
    """What came of it, as counts of runs. there: that had their examples; found: that have them now; without: that left
    no weights; refused: of others (VARIANT:SEED), why."""

    there: int = 0
    found: int = 0
    without: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """`10 runs have their results for each example now, 60 had them. 2 left no weights ...`."""
        text = f"{many(self.found, 'run')} got results for each example, {self.there} had them."
        if self.without:
            text += f" {many(self.without, 'run')} left no weights to find them out from."
        lines = [f"{name}: {why}" for name, why in self.refused.items()]
        return "\n".join([text, *([f"Refused: {listed(lines, chr(10), most=5)}"] if lines else [])])


def fill(planned: Planned, db: str, *, progress: Callable[[int, int], None] | None = None) -> Filled:
    """Find out what is missing of the study's finished runs and keep it. Nothing is loaded where nothing is missing.

    progress: told how many of how many are done.
    """
    if not planned.task.has_examples:
        return Filled()
    with Store.open(db) as store:
        lacking, there = _lacking(planned, store)
    if not lacking:
        return Filled(there)
    with Store.open(db, write=True) as store:
        left = store.kept(lacking)
        files = {key: found for key, ats in lacking.items() if (found := _files(left.get(key), ats))}
        wanted = specs(planned, store.folder)
        names = {cell.run: f"{cell.variant}:{cell.seed}" for cell in store.cells(planned.study.name)}
        registry = Registry(planned.registry.folders, planned.registry.beside)
        refused: dict[str, str] = {}
        for done, (key, found) in enumerate(files.items()):
            if progress is not None:
                progress(done, len(files))
            try:
                run = Run(wanted[key], registry, outputs=dict(left[key].outputs))
                _find_out(planned, run, found, store)
            except AblateError as error:
                refused[names.get(key, key[:12])] = str(error)
    return Filled(there, len(files) - len(refused), len(lacking) - len(files), refused)


def _lacking(planned: Planned, store: Reader) -> tuple[dict[str, list[At]], int]:
    """Of finished runs of the plan the epochs whose examples are not kept; and how many runs lack nothing."""
    states = store.states(dict.fromkeys(run.key for run in planned.plan.runs if run.key))
    done = [key for key, state in states.items() if state.state == "done"]
    kept = store.with_examples(done)
    asked: list[At] = ["last", "best"] if planned.study.metric.at == "best" else ["last"]
    lacking = {key: [at for at in asked if at not in {held for _, held in kept.get(key, ())}] for key in done}
    lacking = {key: ats for key, ats in lacking.items() if ats}
    return lacking, len(done) - len(lacking)


def _files(left: Kept | None, ats: list[At]) -> dict[At, Path]:
    """Those of these weights that a finished run left."""
    return {} if left is None else {at: file for at in ats if (file := left.folder / FILES[at]).is_file()}


def _find_out(planned: Planned, run: Run, files: Mapping[At, Path], store: Store) -> None:
    """Keep what a run's weights make of the examples. DataError where that is not what the run had."""
    examples = planned.task.examine(run, files)
    for column in examples.columns:
        value = _metric_of(store, run.spec.key, column, planned.study.metric)
        wrong = f"the run has no {column.metric}" if value is None else far(column, value)
        if wrong:
            file = files[column.at]
            raise DataError(f"{file} holds other weights than were measured, or the data are others now: {wrong}.")
    store.keep_examples({run.spec.key: examples})


def _metric_of(store: Reader, key: str, column: Column, metric: Metric) -> float | None:
    """What the run reported of a column's metric: at its end, or at the first epoch at which the study's was best."""
    if column.at == "last":
        return store.values_of([key], column.metric).get(key)
    curve = store.curves_of([key], metric.name).get(key, {})
    sign = -1 if metric.better == "higher" else 1
    step = min(curve, key=lambda at: (sign * curve[at], at), default=-1)
    return store.curves_of([key], column.metric).get(key, {}).get(step)
