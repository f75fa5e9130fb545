"""`ablate tune`: search a variant's settings, then train the winner and the untuned variant on fresh seeds.

A trial is ordinary runs of role `tune`: same keys, same store, same pool, so that what is trained already is not
trained again, and a killed search goes on with the same command. How trials come about is searching.py's, what the
table says of the winner tuned.py's. One searcher a study: it holds a lock on `tune.lock` beside the journal, which the
system releases when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ablate.analysis import results, tuned
from ablate.analysis import verdicts as analysis
from ablate.errors import AblateError
from ablate.pool import scheduler
from ablate.pool.dispatcher import Dispatcher, Ended
from ablate.pool.executor import Executor, Slot
from ablate.records import Json, Study
from ablate.runs import execute as runner
from ablate.runs import planned as planner
from ablate.runs.execute import Options
from ablate.runs.planned import Planned
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.study import search
from ablate.study.plan import PlannedVariant
from ablate.study.search import BEST, Search, search_of
from ablate.training.provenance import provenance
from ablate.tuning.hunt import Hunt, Searching, Watcher, add_runs, of_variants, settled
from ablate.tuning.journal import Journal, check_sampler


@dataclass(frozen=True)
class Told:
    """What a search came to. found: an entry for each variant, as the stored plan keeps it (tuned.py)."""

    ended: Ended
    found: tuple[Mapping[str, Json], ...]


def with_options(planned: Planned, trials: int | None, variant: str | None, budget_s: float | None) -> Planned:
    """The study with what the command line says of its search."""
    study = planned.study
    if not study.tune:
        raise AblateError(
            f"{study.name} has no `tune:`; say what to search, for example\n\n"
            "    tune: {trials: 40, space: {optimizer.lr: {low: 0.01, high: 1.0, log: true}}}"
        )
    tune = dict(study.tune)
    if trials is not None:
        tune["trials"] = trials
    if budget_s is not None:
        tune["budget"] = budget_s
    if variant is not None:
        tune = {**{key: value for key, value in tune.items() if key != "variants"}, "variant": variant}
    study = replace(study, tune=tune)
    return replace(planned, study=study, plan=replace(planned.plan, study=study))


def tune(planned: Planned, db: str, options: Options, watcher: Watcher) -> Told:
    """Search, then confirm. What is done already is not done again; the same call goes on after a kill."""
    asked = search_of(planned.study)
    check_sampler(asked.sampler)
    for parent in planned.parents:
        ended = runner.execute(parent, db, options, watcher)
        if ended.stopped_by is not None:
            return Told(ended, ())
    if planned.parents:
        planned = planner.again(planned, db)
    slots = runner.slots_for(planned.study, options)
    with Store.open(db, write=True) as store:
        runner.check_hosts(store, watcher)
        runner.save(planned, store, options)
        names = chosen(store, planned, asked)
        place = home(store.folder, planned.study)
    with locked(place, planned.study.name):
        hunts = [hunt_of(planned, asked, name, place) for name in names]
        # The server is started while no database is open, so that no process but this one ever holds the file.
        executor = runner.local_executor(planned)
        try:
            with Store.open(db, write=True) as store:
                return _searched(planned, asked, hunts, store, executor, slots, watcher)
        finally:
            executor.close()


def _searched(
    planned: Planned,
    asked: Search,
    hunts: Sequence[Hunt],
    store: Store,
    executor: Executor,
    slots: Sequence[Slot],
    watcher: Watcher,
) -> Told:
    """The search, and the confirmation of what it found."""
    study = planned.study
    made = provenance(study.path)
    watcher.beginning(study.name, "tune", _said(asked, hunts), slots)
    feed = Searching(planned, asked, hunts, store, len(slots), watcher)
    first = Dispatcher(store, executor, slots, feed, study.limits, listener=watcher, provenance=made).run()
    if first.stopped_by is not None:
        return Told(first, ())
    winners = {hunt.variant.name: hunt.best(study.metric) for hunt in hunts}
    hopeless = [name for name, best in winners.items() if best is None]
    if hopeless:
        raise AblateError(f"no trial of {', '.join(hopeless)} gave a value; `ablate export` lists the runs and why.")
    plan = of_variants(planned.plan, list(_rivals(planned, hunts)), asked.fresh)
    specs = add_runs(replace(planned, plan=plan), store, "confirm", afresh=True)
    states = store.states(specs)
    again = {key: (s.reason, s.attempts) for key, s in states.items() if s.state == "failed"}
    store.requeue(scheduler.to_requeue(again, study.limits, retried=["pruned"]))
    before = {entry["variant"]: entry for entry in _kept(store, study.name)}
    found = [
        tuned.entry(planned.plan, asked, hunt, _executed(store, hunt), before.get(hunt.variant.name)) for hunt in hunts
    ]  # fmt: skip
    names = {entry["variant"] for entry in found}
    store.keep_in_plan(study.name, "tuned", [*(e for name, e in before.items() if name not in names), *found])
    watcher.naming({run.key: (run.variant, run.seed) for run in plan.runs})
    todo = sum(state.state != "done" for state in store.states(specs).values())
    if todo:
        said = f"tuned and untuned on fresh seeds from {asked.fresh[0]}: {todo} of {len(specs)} runs to do."
        watcher.beginning(study.name, "confirm", said, slots)
    second = Dispatcher(store, executor, slots, specs, study.limits, listener=watcher, provenance=made).run()
    return Told(Ended(first.executed + second.executed, second.stopped_by), tuple(found))


def _said(asked: Search, hunts: Sequence[Hunt]) -> str:
    """What is searched, and how far that is."""
    parts = []
    for hunt in hunts:
        there = len(hunt.journal.trials())
        keys = ", ".join(parameter.key for parameter in hunt.space)
        parts.append(f"{hunt.variant.name} by {keys}" + (f", {there} there already" if there else ""))
    seeds = "one run each" if len(asked.seeds) == 1 else f"{len(asked.seeds)} runs each"
    return f"searching {'; '.join(parts)}: {asked.trials} trials of {seeds}, {asked.sampler}."


def _executed(store: Reader, hunt: Hunt) -> int:
    """How many runs the search took, not counting those that were never begun because an earlier seed was paused."""
    keys = {key for trial in hunt.trials for key in trial.runs}
    return sum(state.state != "todo" or state.attempts > 0 for state in store.states(keys).values())


def _kept(store: Reader, study: str) -> list[dict[str, Json]]:
    stored = store.study(study)
    return list(stored.resolved.get("tuned", ())) if stored is not None else []


def _rivals(planned: Planned, hunts: Sequence[Hunt]) -> Iterator[PlannedVariant]:
    """Of every searched variant: as it is untuned, and with the settings that won."""
    for hunt in hunts:
        best = hunt.best(planned.study.metric)
        assert best is not None, "a search without a value was refused"
        yield replace(hunt.variant, name=tuned.untuned_name(hunt.variant.name), designs=())
        yield settled(planned, hunt.variant, best.settings, tuned.tuned_name(hunt.variant.name))


def chosen(store: Reader, planned: Planned, asked: Search) -> tuple[str, ...]:
    """The names of the variants to search. AblateError where the best one is not known yet."""
    if asked.variants != (BEST,):
        known = [variant.name for variant in planned.plan.variants]
        for name in asked.variants:
            if name not in known:
                raise AblateError(search.no_variant(name, [*known, BEST]))
        return asked.variants
    found = results.load(store, planned.study.name)
    best = analysis.best(analysis.rows(found.measured), found.measured.metric.better)
    if best is None:
        raise AblateError(
            f"no variant of {planned.study.name} has every planned seed done, so none is the best yet: `ablate run` "
            "first, or name one with --variant."
        )
    return (best.variant,)


def home(folder: Path, study: Study) -> Path:
    """Where a study's journal lies: beside the folder of its runs."""
    return folder / planner.folder_name(study.name)


def hunt_of(planned: Planned, asked: Search, name: str, place: Path) -> Hunt:
    study, variant = planned.study, planned.plan.variant(name)
    space = search.parameters(study, variant.cell, variant.completed)
    if not space:
        raise AblateError(f"nothing of `tune.space` applies to {name}; its configuration has none of the keys.")
    called = f"{name} {search.identity_of(study, asked, space, variant.completed)}"
    journal = Journal(place / "tune.journal", called, space, asked.sampler, asked.sampler_seed, study.metric.better)
    epochs = variant.completed.config.get("epochs")
    whole = study.task == "classify" and "epochs" not in [parameter.key for parameter in space]
    own = {p.key: search.value_at(study, variant.cell, variant.completed, p.key) for p in space}
    return Hunt(variant, space, own, journal, int(epochs) if whole and epochs else None)


@contextmanager
def locked(place: Path, study: str) -> Iterator[None]:
    """One searcher a study. The lock goes with the process, so a killed one leaves none behind."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "tune.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AblateError(f"another `ablate tune` of {study} is running; wait until it has finished.") from None
        yield
