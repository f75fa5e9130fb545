"""A search as a feed: settings become trials, trials become runs, and what comes of them is told to the sampler.

The dispatcher executes what is wanted here; what to try next is tune.py's, when to pause a run pruning.py's. Everything
that must outlive a kill is in the journal or in the store: whoever comes after goes on from there. tuning.py has the
whole way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from ablate.errors import ConfigError
from ablate.identity import canonical_json
from ablate.pool import scheduler
from ablate.pool.feed import Seen
from ablate.records import Metric, Reason, Role, RunSpec
from ablate.runs import planned as planner
from ablate.runs.moment import value_at
from ablate.runs.planned import Planned
from ablate.runs.progress import Watcher
from ablate.runs.winners import of_variants, settled
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.study import search
from ablate.study.keyed import PlannedVariant
from ablate.study.plan import Plan
from ablate.study.search import Dimension, Search
from ablate.tuning import pruning
from ablate.tuning.journal import Journal, Trial, trial_name

UNKNOWN: frozenset[Reason] = frozenset({"lost", "cancelled", "code_changed"})
"""Ends of a run that say nothing of its settings. Any other failure does: samplers are to keep away from them."""


# ----------------------------------------------------------------------------------------------------------- one search


@dataclass
class Underway:
    """A trial that is being tried. paused: the step, value and reason for which its run is to stop."""

    trial: Trial
    specs: Mapping[str, RunSpec]
    curve: dict[int, float] = field(default_factory=dict)
    paused: tuple[int, float, str] | None = None


@dataclass
class Hunt:
    """The search of one variant. own: its settings untuned. steps: of a whole run, where known. spent_s: what its runs
    took so far."""

    variant: PlannedVariant
    space: tuple[Dimension, ...]
    own: search.Settings
    journal: Journal
    steps: int | None
    trials: list[Trial] = field(default_factory=list)
    underway: dict[int, Underway] = field(default_factory=dict)
    finished: list[pruning.Curve] = field(default_factory=list)
    spent_s: float = 0.0

    @property
    def asked(self) -> int:
        """Settings tried so far: a promotion tries none anew."""
        return sum(trial.promotes is None for trial in self.trials)

    def keep(self, trial: Trial) -> None:
        """Remember how a trial stands now."""
        self.trials[trial.number : trial.number + 1] = [trial]

    def best(self, metric: Metric) -> Trial | None:
        """The best value; of equal ones the first."""
        sign = -1 if metric.better == "higher" else 1
        done = [trial for trial in self.trials if trial.value is not None]
        return min(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


class Searching:
    """The feed of a search: tells Optuna what ended, asks it for as many settings as runs execute at a time, which an
    engine's workers change."""

    def __init__(
        self,
        planned: Planned,
        request: Search,
        hunts: Sequence[Hunt],
        store: Store,
        at_a_time: Callable[[], int],
        watcher: Watcher,
    ) -> None:
        self.planned, self.asked, self.hunts = planned, request, hunts
        self.store, self.at_a_time, self.watcher = store, at_a_time, watcher
        self._metric = planned.study.metric
        self._specs: dict[str, RunSpec] = {}
        for hunt in hunts:
            hunt.journal.keep_search(hunt.variant.name, request.trials, request.seeds, hunt.own)
            self._recall(hunt)

    # ------------------------------------------------------------------------------------------------------- as a feed

    def wanted(self, seen: Seen) -> Mapping[str, RunSpec]:
        for hunt in self.hunts:
            for underway in list(hunt.underway.values()):
                self._settle(hunt, underway, seen)
        while self._load(seen) < self.at_a_time() and self._begin():
            pass
        specs = {
            key: spec
            for hunt in self.hunts
            for underway in hunt.underway.values()
            for key, spec in self._now(underway, seen).items()
        }
        if specs.keys() != self._specs.keys():
            self._specs = specs
        return self._specs

    def progressed(self, key: str, step: int, values: Mapping[str, float]) -> tuple[Reason, str] | None:
        value = values.get(self._metric.name)
        if self.asked.pruner == "none" or value is None:
            return None
        for hunt in self.hunts:
            for underway in hunt.underway.values():
                if next(iter(underway.specs)) == key and underway.paused is None:
                    return self._judge(hunt, underway, step, value)
        return None

    def _now(self, underway: Underway, seen: Seen) -> Mapping[str, RunSpec]:
        """The runs of a trial that are wanted now: where runs are judged early, the first seed decides for all."""
        first = next(iter(underway.specs))
        if self.asked.pruner == "none" or first in seen.done:
            return underway.specs
        return {first: underway.specs[first]}

    def _load(self, seen: Seen) -> int:
        """Runs that are to do or under way."""
        return sum(
            key not in seen.done
            for hunt in self.hunts
            for underway in hunt.underway.values()
            for key in self._now(underway, seen)
        )

    # ----------------------------------------------------------------------------------------------------- what begins

    def _recall(self, hunt: Hunt) -> None:
        """Take up a search where it was: what a kill left untold is gone on with, or told if it has ended."""
        unfinished = hunt.journal.running()
        hunt.trials = hunt.journal.trials()
        done = [trial.runs[0] for trial in hunt.trials if trial.state == "done" and trial.runs]
        if self.asked.pruner != "none":
            curves = self.store.curves_of(done, self._metric.name)
            hunt.finished = [curves[key] for key in done if key in curves]
            hunt.steps = hunt.steps or next((max(curve) for curve in hunt.finished), None)
        if self.asked.budget_s is not None:
            hunt.spent_s = self.store.seconds_of([*{key for trial in hunt.trials for key in trial.runs}])
        for trial in unfinished:
            self._start(hunt, trial)

    def _begin(self) -> bool:
        """Begin one trial, of the variant that has had the fewest; False where none is left."""
        for hunt in sorted(self.hunts, key=lambda hunt: hunt.asked):
            trial = self._promoted(hunt)
            if trial is None and self._goes_on(hunt):
                trial = self._first(hunt) or hunt.journal.ask()
            if trial is not None:
                hunt.keep(trial)
                self._start(hunt, trial)
                return True
        return False

    def _goes_on(self, hunt: Hunt) -> bool:
        limit = math.inf if self.asked.budget_s is None else self.asked.budget_s * self.at_a_time() / len(self.hunts)
        return hunt.asked < self.asked.trials and hunt.spent_s < limit and not hunt.journal.exhausted()

    def _first(self, hunt: Hunt) -> Trial | None:
        """The untuned settings, as the first trial, where the space holds them."""
        if hunt.trials or not all(parameter.holds(hunt.own[parameter.key]) for parameter in hunt.space):
            return None
        return hunt.journal.add(hunt.own)

    def _promoted(self, hunt: Hunt) -> Trial | None:
        """A paused trial that by now is among the best of its rung: it goes on, as a trial of the same runs."""
        if self.asked.pruner != "hyperband" or hunt.steps is None:
            return None
        promoted = {trial.promotes for trial in hunt.trials}
        for trial in hunt.trials:
            if trial.state == "pruned" and trial.rungs and trial.number not in promoted:
                step = max(trial.rungs)
                if pruning.goes_on(trial.rungs[step], self._rung(hunt, trial, step), self._metric.better):
                    return replace(hunt.journal.add(trial.settings, trial.number), runs=trial.runs)
        return None

    def _start(self, hunt: Hunt, trial: Trial) -> None:
        """Give a trial its runs: those that are done already count, those that were paused go on."""
        study, name = self.planned.study, _called(hunt, trial)
        try:
            variant = settled(self.planned, hunt.variant, trial.settings, name)
        except ConfigError as error:
            hunt.journal.tell_pruned(trial.number, f"the task refuses these settings: {error}")
            hunt.keep(replace(trial, state="pruned", why="refused"))
            return
        plan = of_variants(self.planned, [variant], self.asked.seeds, self.store)
        specs = self._add(plan, "tune")
        hunt.journal.keep_runs(trial.number, list(specs))
        hunt.keep(replace(trial, runs=tuple(specs)))
        hunt.underway[trial.number] = Underway(hunt.trials[trial.number], specs)
        self.watcher.naming({run.key: (name, run.seed) for run in plan.runs})
        if trial.paused is not None:  # a kill came between the decision and its telling
            self._told_pruned(hunt, trial.number, trial.paused)
            return
        states = self.store.states(specs)
        again = {key: (s.reason, s.attempts) for key, s in states.items() if s.state == "failed"}
        self.store.requeue(scheduler.to_requeue(again, study.limits, retried=["pruned"]))
        underway, first = hunt.underway[trial.number], next(iter(specs))
        if self.asked.pruner != "none" and states[first].state == "done":
            self._judge_whole(hunt, underway, first)
        if underway.paused is not None:
            self._told_pruned(hunt, trial.number, underway.paused)
        elif all(state.state == "done" for state in states.values()):
            self._tell(hunt, underway)

    def _add(self, plan: Plan, role: Role) -> dict[str, RunSpec]:
        return add_runs(replace(self.planned, plan=plan), self.store, role)

    # -------------------------------------------------------------------------------------------------------- what ends

    def _settle(self, hunt: Hunt, underway: Underway, seen: Seen) -> None:
        """Tell what came of a trial, if it has ended."""
        number = underway.trial.number
        first = next(iter(underway.specs))
        failed = next((seen.failed[key] for key in underway.specs if key in seen.failed), None)
        if underway.paused is not None:
            if first in seen.done or failed is not None:
                self._told_pruned(hunt, number, underway.paused)
        elif failed in UNKNOWN:
            hunt.journal.tell_failed(number, str(failed))
            self._over(hunt, number, replace(hunt.trials[number], state="failed", why=str(failed)))
        elif failed is not None:
            hunt.journal.tell_pruned(number, failed)
            self._over(hunt, number, replace(hunt.trials[number], state="pruned", why=failed))
        elif all(key in seen.done for key in underway.specs):
            self._tell(hunt, underway)

    def _told_pruned(self, hunt: Hunt, number: int, paused: tuple[int, float, str]) -> None:
        step, value, why = paused
        hunt.journal.tell_pruned(number, why, step, value)
        self._over(hunt, number, replace(hunt.trials[number], state="pruned", why=why))

    def _tell(self, hunt: Hunt, underway: Underway) -> None:
        number = underway.trial.number
        values = values_at(self.store, list(underway.specs), self._metric)
        if len(values) < len(underway.specs):
            why = f"a run reports no {self._metric.name}"
            hunt.journal.tell_pruned(number, why)
            self._over(hunt, number, replace(hunt.trials[number], state="pruned", why=why))
            return
        value = fmean(values.values())
        hunt.journal.tell(number, value)
        self._over(hunt, number, replace(hunt.trials[number], state="done", value=value))

    def _over(self, hunt: Hunt, number: int, trial: Trial) -> None:
        underway = hunt.underway.pop(number)
        hunt.keep(trial)
        if trial.state != "done":
            self.store.drop_todo(self.planned.study.name, _called(hunt, trial), "tune")
        if self.asked.budget_s is not None:
            hunt.spent_s = self.store.seconds_of([*{key for trial in hunt.trials for key in trial.runs}])
        if trial.state == "done" and self.asked.pruner != "none":
            first = next(iter(underway.specs))
            curve = self.store.curves_of([first], self._metric.name).get(first, {})
            hunt.finished.append(curve)
            hunt.steps = hunt.steps or max(curve, default=None)

    # ------------------------------------------------------------------------------------------------------- what waits

    def _judge(self, hunt: Hunt, underway: Underway, step: int, value: float) -> tuple[Reason, str] | None:
        """What a step says of a trial that is not paused yet."""
        underway.curve[step] = value
        why = self._pause(hunt, underway, step)
        if not why:
            return None
        hunt.journal.keep_pause(underway.trial.number, step, value, why)
        underway.paused = (step, value, why)
        return "pruned", why

    def _judge_whole(self, hunt: Hunt, underway: Underway, first: str) -> None:
        """Judge a run that is done by its stored curve, as its steps would have been judged one by one.

        It ended and a kill came before that was told; or it was over before it heard that it was to pause; or another
        search trained it. What becomes of a trial must not depend on which of two processes was faster.
        """
        for step, value in sorted(self.store.curves_of([first], self._metric.name).get(first, {}).items()):
            if self._judge(hunt, underway, step, value):
                return

    def _pause(self, hunt: Hunt, underway: Underway, step: int) -> str:
        """Why a trial's run is to stop here; empty where it goes on. The untuned settings are never stopped."""
        trial, better = underway.trial, self._metric.better
        if _origin(hunt, trial) == 0 or (hunt.steps is not None and step >= hunt.steps):
            return ""
        if self.asked.pruner == "median":
            below = pruning.below_median(underway.curve, step, hunt.finished, better)
            return f"below the median of {len(hunt.finished)} trials at step {step}" if below else ""
        if hunt.steps is None:
            return ""
        bracket = pruning.bracket_of(hunt.journal.name, _origin(hunt, trial), hunt.steps)
        if step not in pruning.rungs(bracket, hunt.steps):
            return ""
        self._reached(hunt, underway, step)
        rung = self._rung(hunt, underway.trial, step)
        if step <= self._passed(hunt, trial) or pruning.goes_on(underway.curve[step], rung, better):
            return ""
        return f"not among the best third of {len(rung)} trials at step {step}"

    @staticmethod
    def _passed(hunt: Hunt, trial: Trial) -> int:
        """The rung from which a trial was promoted: a run that goes on says its earlier steps once more."""
        return 0 if trial.promotes is None else max(hunt.trials[trial.promotes].rungs, default=0)

    def _reached(self, hunt: Hunt, underway: Underway, step: int) -> None:
        value = underway.curve[step]
        if underway.trial.rungs.get(step) != value:
            hunt.journal.keep_rung(underway.trial.number, step, value)
            underway.trial = replace(underway.trial, rungs={**underway.trial.rungs, step: value})
            hunt.keep(underway.trial)

    def _rung(self, hunt: Hunt, trial: Trial, step: int) -> list[float]:
        """The values of all trials of the bracket that reached this step, once each."""
        assert hunt.steps is not None
        mine = pruning.bracket_of(hunt.journal.name, _origin(hunt, trial), hunt.steps)
        values = {}
        for other in hunt.trials:
            origin = _origin(hunt, other)
            if step in other.rungs and pruning.bracket_of(hunt.journal.name, origin, hunt.steps) == mine:
                values[origin] = other.rungs[step]
        return list(values.values())


def _called(hunt: Hunt, trial: Trial) -> str:
    """The variant that a trial's runs belong to."""
    return trial_name(hunt.variant.name, _origin(hunt, trial))


def _origin(hunt: Hunt, trial: Trial) -> int:
    """The number of the trial that first tried these settings; its own but for a promotion."""
    while trial.promotes is not None:
        trial = hunt.trials[trial.promotes]
    return trial.number


# -------------------------------------------------------------------------------------------------- variants and runs


def add_runs(planned: Planned, store: Store, role: Role, *, afresh: bool = False) -> dict[str, RunSpec]:
    """Add a plan's runs to the store, in a role that is no part of the ablation; their specifications."""
    plan = planned.plan
    runs = {run.key: run for run in plan.runs}
    configs = {key: canonical_json(planner.described(plan, run)) for key, run in runs.items()}
    cells = [(run.variant, run.seed, role, run.key) for run in plan.runs]
    store.add_cells(plan.study.name, cells, configs, afresh=afresh)
    specs = planner.specs(planned, store.folder)
    keep = role != "tune" or plan.study.weights == "all"  # nobody predicts with a trial
    return specs if keep else {key: replace(spec, keep=False) for key, spec in specs.items()}


def values_at(store: Reader, keys: Sequence[str], metric: Metric) -> dict[str, float]:
    """The study's metric of these runs, at the epoch that it is judged at."""
    if metric.at == "last":
        return store.values_of(keys, metric.name)
    curves = store.curves_of(keys, metric.name)
    return {key: value for key, curve in curves.items() if (value := value_at(curve, metric)) is not None}
