"""`ablate tune`: search a variant's settings, then train the winner and the untuned variant on fresh seeds.

A trial is ordinary runs of role `tune`: same keys, same store, same pool, so that what is trained already is not
trained again, and a killed search goes on with the same command. How trials come about is hunt.py's, what the
table says of the winner tuned.py's. One searcher a study: it holds a lock on `tune.lock` beside the journal, which the
system releases when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ablate.analysis import results, tuned
from ablate.errors import AblateError
from ablate.pool import scheduler
from ablate.pool.books import Ended
from ablate.pool.executor import Executor, Slot
from ablate.records import Better, Cell, HandVariant, Json, Reason, Row, Study
from ablate.runs import execute, saving
from ablate.runs import planned as planner
from ablate.runs.execute import Options
from ablate.runs.planned import Planned
from ablate.runs.progress import Watcher
from ablate.runs.winners import confirmation, of_variants, rivals
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.study import cells, search
from ablate.study.keyed import PlannedVariant
from ablate.study.record import Tuned, Untuned
from ablate.study.search import BEST, Dimension, Search, search_of
from ablate.study.yaml_file import Trail, edited
from ablate.text import did_you_mean, one_of
from ablate.tuning.hunt import Hunt, Searching, add_runs
from ablate.tuning.journal import Journal, check_sampler

if TYPE_CHECKING:
    from ablate.study.plan import Plan


OF_SETTINGS: frozenset[Reason] = frozenset({"diverged", "oom", "timeout"})
"""How a trial may fail by its own settings: three such failures say nothing of the trials to come."""


@dataclass(frozen=True)
class Told:
    """What a search came to. found: for each variant what the stored plan keeps of it."""

    ended: Ended
    found: tuple[Tuned, ...]


def with_options(planned: Planned, trials: int | None, variant: str | None, budget_s: float | None) -> Planned:
    """The study with what the command line says of its search."""
    study = planned.study
    if not study.tune:
        raise AblateError(
            f"{study.name} has no `tune:`; say what to search, for example\n\n"
            "    tune: {trials: 40, space: {optimizer.lr: {low: 0.01, high: 1.0, log: true}}}",
            page="tuning",
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
    request = search_of(planned.study)
    check_sampler(request.sampler)
    executor = execute.executor_of(planned, options)
    for parent in planned.parents:
        ended = execute.execute(parent, db, options, watcher, planned.study.name)
        if ended.stopped_by is not None or ended.alike:
            return Told(ended, ())
    if planned.parents:
        planned = planner.again(planned, db)
    slots = execute.places_expected(executor, planned.study, options, watcher)
    with Store.open(db, write=True) as store:
        execute.begin(store, watcher)
        saving.save(planned, store, options.retried)
        names, database, folder = chosen(store, planned, request), store.identity, store.folder
        place = home(folder, planned.study)
    with locked(place, planned.study.name):
        with Store.open(db) as store:
            hunts = [hunt_of(planned, request, name, place, store) for name in names]
        execute.opened(executor, planned, database, folder, options, watcher)
        try:
            with Store.open(db, write=True) as store:
                return _searched(planned, request, hunts, store, executor, slots, options, watcher)
        finally:
            executor.close()


def _searched(
    planned: Planned,
    request: Search,
    hunts: Sequence[Hunt],
    store: Store,
    executor: Executor,
    slots: Sequence[Slot],
    options: Options,
    watcher: Watcher,
) -> Told:
    """The search, and the confirmation of what it found."""
    study = planned.study
    watcher.beginning(study.name, "tune", _said(request, hunts), slots)
    places, workers = execute.places_of(executor, study, slots, options)

    def at_a_time() -> int:
        return min(executor.room, workers or executor.room) if executor.engine else len(slots)

    feed = Searching(planned, request, hunts, store, at_a_time, watcher)
    first = execute.dispatch(planned, store, executor, feed, places, workers, watcher, excused=OF_SETTINGS)
    if first.stopped_by is not None or first.alike:
        return Told(first, ())
    winners = {hunt.variant.name: hunt.best(study.metric) for hunt in hunts}
    hopeless = [name for name, best in winners.items() if best is None]
    if hopeless:
        raise AblateError(f"no trial of {', '.join(hopeless)} gave a value; `ablate export` lists the runs and why.")
    plan = of_variants(planned, list(_rivals(planned, hunts)), request.fresh, store)
    specs = add_runs(replace(planned, plan=plan), store, "confirm", afresh=True)
    states = store.states(specs)
    again = {key: (s.reason, s.attempts) for key, s in states.items() if s.state == "failed"}
    store.requeue(scheduler.to_requeue(again, study.limits, retried=["pruned"]))
    before = {entry.variant: entry for entry in store.find(study.name).record.tuned}
    entries = [
        entry(planned.plan, request, hunt, _executed(store, hunt), before.get(hunt.variant.name)) for hunt in hunts
    ]  # fmt: skip
    names = {entry.variant for entry in entries}
    store.keep_tuned(study.name, [*(e for name, e in before.items() if name not in names), *entries])
    watcher.naming({run.key: (run.variant, run.seed) for run in plan.runs})
    todo = sum(state.state != "done" for state in store.states(specs).values())
    if todo:
        sentence = f"tuned and untuned on fresh seeds from {request.fresh[0]}: {todo} of {len(specs)} runs to do."
        watcher.beginning(study.name, "confirm", sentence, slots)
    second = execute.dispatch(planned, store, executor, specs, places, workers, watcher)
    return Told(replace(second, executed=first.executed + second.executed), tuple(entries))


def _said(request: Search, hunts: Sequence[Hunt]) -> str:
    """What is searched, and how far that is."""
    parts = []
    for hunt in hunts:
        earlier = len(hunt.journal.trials())
        keys = ", ".join(parameter.key for parameter in hunt.space)
        parts.append(f"{hunt.variant.name} by {keys}" + (f", {earlier} there already" if earlier else ""))
    seeds = "one run each" if len(request.seeds) == 1 else f"{len(request.seeds)} runs each"
    return f"searching {'; '.join(parts)}: {request.trials} trials of {seeds}, {request.sampler}."


def _executed(store: Reader, hunt: Hunt) -> int:
    """How many runs the search took, not counting those that were never begun because an earlier seed was paused."""
    keys = {key for trial in hunt.trials for key in trial.runs}
    return sum(state.state != "todo" or state.attempts > 0 for state in store.states(keys).values())


def _rivals(planned: Planned, hunts: Sequence[Hunt]) -> Iterator[PlannedVariant]:
    for hunt in hunts:
        best = hunt.best(planned.study.metric)
        assert best is not None, "a search without a value was refused"
        yield from rivals(planned, hunt.variant, best.settings)


def chosen(store: Reader, planned: Planned, request: Search) -> tuple[str, ...]:
    """The names of the variants to search. AblateError where the best one is not known yet."""
    if request.variants != (BEST,):
        names = [variant.name for variant in planned.plan.variants]
        for name in request.variants:
            if name not in names:
                raise AblateError(search.no_variant(name, [*names, BEST]))
        return request.variants
    loaded = results.load(store, planned.study.name)
    best = loaded.best
    if best is None:
        raise AblateError(
            f"no variant of {planned.study.name} has every planned seed done, so none is the best yet: `ablate run` "
            "first, or name one with --variant."
        )
    return (best.variant,)


def home(folder: Path, study: Study) -> Path:
    """Where a study's journal lies: beside the folder of its runs."""
    return folder / planner.folder_name(study.name)


def hunt_of(planned: Planned, asked: Search, name: str, place: Path, store: Reader) -> Hunt:
    study, variant = planned.study, planned.plan.variant(name)
    space = search.parameters(study, variant.cell, variant.completed)
    if not space:
        raise AblateError(
            f"nothing of `tune.space` applies to {name}; its configuration has none of the keys.", page="tuning"
        )
    called = f"{name} {search.identity_of(study, asked, space, variant.completed)}"
    journal = _journal(place, called, space, asked, study.metric.better)
    runs = {run for trial in journal.trials() for run in trial.runs}
    if runs - store.states(runs).keys():
        # Another database's in the same folder, or one's that was deleted: what it says was never trained here.
        journal = _journal(place, f"{called} {store.identity}", space, asked, study.metric.better)
    epochs, config = planned.task.epochs, variant.completed.config
    whole = config.get(epochs) if epochs and epochs not in [parameter.key for parameter in space] else None
    own = {p.key: search.value_at(study, variant.cell, variant.completed, p.key) for p in space}
    return Hunt(variant, space, own, journal, int(whole) if whole else None)


def _journal(place: Path, called: str, space: Sequence[Dimension], asked: Search, better: Better) -> Journal:
    return Journal(place / "tune.journal", called, space, asked.sampler, asked.sampler_seed, better)


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


def entry(plan: Plan, request: Search, hunt: Hunt, runs: int, earlier: Tuned | None) -> Tuned:
    """What is kept of a search that found something. runs: executed for it, paused ones among them. earlier: what was
    kept of this variant's search before."""
    metric, trials = plan.study.metric, hunt.trials
    best = hunt.best(metric)
    assert best is not None, "a search without a value was refused"
    assert best.value is not None, "the best trial is one with a value"
    states = [trial.state for trial in trials if trial.promotes is None]
    first = next((trial for trial in trials if trial.number == 0 and trial.value is not None), None)
    winners = earlier.winners if earlier is not None and earlier.search == hunt.journal.name else ()
    settings = dict(best.settings)
    untuned = first.value if first is not None and first.settings == hunt.own else None
    return Tuned(
        variant=hunt.variant.name,
        of=hunt.variant.record.identity,
        search=hunt.journal.name,
        sampler=request.sampler,
        pruner=request.pruner,
        seeds=tuple(request.seeds),
        fresh=tuple(request.fresh),
        trials=len(states),
        states={state: states.count(state) for state in sorted(set(states))},
        runs=runs,
        trial=best.number,
        value=best.value,
        settings=settings,
        untuned=Untuned(settings=hunt.own, value=untuned),
        winners=(*winners, *([settings] if settings not in winners else [])),
    )


def retried(planned: Planned, db: str, options: Options, watcher: Watcher) -> Ended:
    """Execute again the runs on fresh seeds that failed, of what was tuned; nothing where none did."""
    with Store.open(db, write=True) as store:
        asked = confirmation(planned, store)
        states = store.states({run.key for run in asked.plan.runs})
        failed = {key: (state.reason, state.attempts) for key, state in states.items() if state.state == "failed"}
        again = get_args(Reason) if options.retry_failed else options.retry_reasons
        keys = scheduler.to_requeue(failed, planned.study.limits, retried=again)
        if not keys:
            return Ended(0, None)
        store.requeue(keys)
        database, folder = store.identity, store.folder
        specs = {key: spec for key, spec in planner.specs(asked, store.folder).items() if key in keys}
    executor = execute.executor_of(planned, options)
    slots = execute.places_expected(executor, planned.study, options, watcher)
    execute.opened(executor, planned, database, folder, options, watcher)
    try:
        with Store.open(db, write=True) as store:
            watcher.naming({run.key: (run.variant, run.seed) for run in asked.plan.runs})
            places, workers = execute.places_of(executor, planned.study, slots, options)
            return execute.dispatch(planned, store, executor, specs, places, workers, watcher)
    finally:
        executor.close()


def applied(planned: Planned, db: str, variant: str | None) -> tuple[str, list[str]]:
    """The text of the study as it was tuned, and what fresh seeds say of each winner's settings. variant: whose search
    alone; None: all. AblateError where nothing was tuned.

    A winner's settings are written into its variant: no run of another one, unless it is made from it, is another then.
    """
    study = planned.study
    with Store.open(db) as store:
        stored = store.study(study.name)
        rows = () if stored is None else results.load(store, study.name).tuned_rows
    entries = tuned.split(stored.record)[0] if stored is not None else []
    chosen = [entry for entry in entries if variant in (None, search.BEST, entry.variant)]
    names = [entry.variant for entry in entries]
    if not chosen:
        why = f"{one_of(names)} was tuned, not {variant!r}" if names else "nothing of it, as it is now, was tuned"
        raise AblateError(
            f"{study.name}: {why}; `ablate tune` searches.{did_you_mean(variant or '', names)}", page="tuning"
        )
    changes: dict[Trail, Json] = {("study",): f"{study.name[:58]}-tuned"}
    for entry in chosen:
        changes |= _written(planned, entry)
    given = f", with --set {' --set '.join(planned.overrides)}" if planned.overrides else ""
    what = "; ".join(f"{entry.variant} by trial {entry.trial} of {entry.trials}" for entry in chosen)
    where = next((place for place, *_ in changes if place in ("variants", "base")), "base")
    text = edited(study.text, changes, where, f"As tuned in {study.name}{given}: {what}.")
    return text, [_verdict(rows, entry.variant, study.metric.name) for entry in chosen]


def _verdict(rows: Sequence[Row], variant: str, metric: str) -> str:
    """`On fresh seeds A (tuned) has score 0.93, untuned 0.91 (n=5): helps.`"""
    of_variant = {row.variant: row for row in rows if row.design == tuned.TUNED}
    ours, own = of_variant.get(tuned.tuned_name(variant)), of_variant.get(tuned.untuned_name(variant))
    if ours is None or own is None or ours.mean is None or own.mean is None:
        return "These settings were not tried on fresh seeds yet; `ablate tune` does that."
    verdict = f": {ours.verdict}" if ours.verdict else ""
    return f"On fresh seeds {ours.variant} has {metric} {ours.mean:.5g}, untuned {own.mean:.5g} (n={ours.n}){verdict}."


def _written(planned: Planned, found: Tuned) -> dict[Trail, Json]:
    """The changes of the study's text that give one variant the settings that its search found."""
    study, cell = planned.study, planned.plan.variant(found.variant).cell
    settings = {key: value for key, value in found.settings.items() if value != found.untuned.settings[key]}
    if not settings:
        return {}
    if cell == Cell() and len(planned.plan.variants) == 1 and not study.variants:
        return {("base", key): value for key, value in settings.items()}
    hand = next((one for one in study.variants if one.name == found.variant), None)
    like = hand or next((one for one in study.variants if one.name == cell.of), HandVariant("", ()))
    covered = [*(level.set for _, level in study.on(cell)), like.tuned]
    above = [
        key
        for key in settings
        if cells.trick_of(study, key) or any(cells.writes_to(changes, key) for changes in covered)
    ]
    parts: dict[str, dict[str, Json]] = {}
    for key, value in settings.items():
        parts.setdefault("tuned" if key in above else "set", {})[key] = value
    places = [f"variants.{found.variant}.{key}" for key in ("set", "tricks", "tuned")]
    if hand is not None and any(place in study.positions for place in places):
        return {("variants", hand.name, part, key): v for part, of in parts.items() for key, v in of.items()}
    own = {"set": {**like.set, **parts.get("set", {})}, "tuned": {**like.tuned, **parts.get("tuned", {})}}
    whole = {**{part: of for part, of in own.items() if of}, "tricks": [str(choice) for choice in cell.on]}
    if hand is not None:
        return {("variants", hand.name): whole}
    return {("variants", _new_name(planned, found.variant)): whole, **_as_planned(planned)}


def _new_name(planned: Planned, variant: str) -> str:
    """`full-tuned`: a name that no variant of the plan and no trick's removal has."""
    taken = {one.name for one in planned.plan.variants} | {f"{variant}-{trick.name}" for trick in planned.study.tricks}
    names = (f"{variant[:56]}-tuned{number}" for number in ("", *range(2, 100)))
    return next(name for name in names if name not in taken)


def _as_planned(planned: Planned) -> dict[Trail, Json]:
    """What must be written once a variant is listed by hand, so that what else is planned stays: a design that was
    there because nothing was listed, and the comparison that was the first variant."""
    study = planned.study
    changes: dict[Trail, Json] = {}
    if not study.variants and "designs" not in study.positions:
        changes["designs",] = [use.name for use in study.designs]
    if planned.plan.baseline != "base" and "baseline" not in study.positions:
        changes["baseline",] = planned.plan.baseline
    return changes
