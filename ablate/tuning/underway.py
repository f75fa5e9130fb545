"""A search at one moment, as plain data: its trials so far, the best, what is being tried and how that compares.

From the journal and the database alone, so `ablate tune` and `ablate status --watch` show the same. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ablate.records import Better, Json
from ablate.runs.moment import Moment, Running
from ablate.store.reader import Reader
from ablate.tuning import journal
from ablate.tuning.journal import Search, Trial, trial_name


@dataclass(frozen=True)
class Tried:
    """A trial that is being tried: its run that executes now, and what the best trial had at the same step."""

    trial: Trial
    run: Running | None
    best_had: float | None


@dataclass(frozen=True)
class SearchSoFar:
    """One search. trials: in order, a promoted one once, as its last part stands. best, untuned: None until they have a
    value. left_s: until the last trial is over; None where nothing tells."""

    study: str
    metric: str
    better: Better
    search: Search
    trials: tuple[Trial, ...]
    best: Trial | None
    untuned: Trial | None
    trying: tuple[Tried, ...]
    left_s: float | None

    @property
    def ended(self) -> int:
        return sum(trial.state != "running" for trial in self.trials)

    @property
    def gain(self) -> float | None:
        """By how much the best is above the untuned variant, in the metric's unit."""
        if self.best is None or self.untuned is None or self.best.value is None or self.untuned.value is None:
            return None
        return self.best.value - self.untuned.value

    def told(self) -> dict[str, Json]:
        """As `status --format json` has it."""
        best, untuned = self.best, self.untuned
        return {
            "variant": self.search.variant,
            "trial": self.ended,
            "trials": self.search.asked,
            "best": None if best is None else {"trial": best.number, "value": best.value},
            "untuned": None if untuned is None else untuned.value,
        }


def so_far(store: Reader, seen: Moment, folder: Path, slots: int | None = None) -> list[SearchSoFar]:
    """The searches of a study that go on, each variant's; where none does, the last one. seen: the study's moment of
    role tune. folder: of its journal. slots: runs at a time; None: as many as are running."""
    every = journal.searches(folder / "tune.journal")
    going = [search for search in every if any(trial.state == "running" for trial in search.trials)]
    durations = [seconds for _, seconds in store.durations(seen.study, ("tune",))]
    per_run = median(durations) if durations else None
    places = max(slots or len(seen.running), 1)
    return [_so_far(store, seen, search, per_run, places / max(len(going), 1)) for search in going or every[-1:]]


def _so_far(store: Reader, seen: Moment, search: Search, per_run: float | None, places: float) -> SearchSoFar:
    trials = _merged(search.trials)
    done = [trial for trial in trials if trial.value is not None]
    sign = -1 if seen.better == "higher" else 1
    best = min(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)
    untuned = next((trial for trial in done[:1] if trial.number == 0 and trial.settings == search.own), None)
    runs = {run.variant: run for run in seen.running}
    trying = [_tried(store, seen, search, trial, runs, best) for trial in trials if trial.state == "running"]
    left = search.asked - sum(trial.state != "running" for trial in trials)
    left_s = None if per_run is None else max(left, 0) * len(search.seeds) * per_run / places
    return SearchSoFar(
        seen.study, seen.metric, seen.better, search, tuple(trials), best, untuned, tuple(trying), left_s
    )


def _merged(trials: Sequence[Trial]) -> list[Trial]:
    """A trial that was paused and goes on is one trial."""
    origin: dict[int, int] = {}
    merged: dict[int, Trial] = {}
    for trial in trials:
        first = trial.number if trial.promotes is None else origin[trial.promotes]
        origin[trial.number] = first
        merged[first] = Trial(first, trial.settings, trial.state, trial.value, trial.runs)
    return list(merged.values())


def _tried(
    store: Reader, seen: Moment, search: Search, trial: Trial, runs: Mapping[str, Running], best: Trial | None
) -> Tried:
    run = runs.get(trial_name(search.variant, trial.number))
    had: Mapping[str, float] = {}
    if best is not None and best.runs and run is not None and run.step:
        had = store.at_step(best.runs[:1], seen.metric, run.step)
    return Tried(trial, run, next(iter(had.values()), None))
