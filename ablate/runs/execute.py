"""From a planned study to finished runs: store the plan, try every variant for two steps, dispatch.

What `run`, `retry` and `tune` have in common. Nothing is printed here: what a person should hear goes to the listener
or is raised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast, get_args

from ablate.errors import AblateError, ConfigError, StudyError
from ablate.pool import ending
from ablate.pool import host as devices
from ablate.pool.books import Ended
from ablate.pool.dispatcher import Dispatcher
from ablate.pool.executor import Executor, Needs, Slot
from ablate.pool.feed import Feed
from ablate.pool.messages import Setup
from ablate.pool.scheduler import Sizes
from ablate.records import Json, Reason, RunSpec, Study
from ablate.runs import canary as two_steps
from ablate.runs import saving
from ablate.runs.heeded import Heeding
from ablate.runs.planned import Planned, again, folder_name, specs
from ablate.runs.progress import Watcher, count, saved_of
from ablate.store.store import Store
from ablate.store.stored import RunState
from ablate.text import duration, listed, many, one_of
from ablate.training.provenance import provenance
from ablate.training.trick import Trick

LOCAL = "local"
"""The executor where none is named."""
DETACHED = {"ray": "`ray job submit -- ablate run ... --executor ray` does it", "local": "nohup does it, or tmux"}
"""How to leave a command running, where its executor needs it."""


@dataclass(frozen=True)
class Options:
    """What the command line says of a `run`. devices: names, all where empty; workers: runs at a time; retry_reasons:
    of failures to take up although they would only repeat themselves (retry_failed: all); executor: who executes;
    only: keys of the runs to execute, all where empty. engine: parameters of the executor, over those of the study;
    detach: leave as soon as everything is handed over.
    """

    workers: int | None = None
    devices: tuple[str, ...] = ()
    retry_failed: bool = False
    canary: bool = True
    retry_reasons: tuple[Reason, ...] = ()
    executor: str = LOCAL
    only: tuple[str, ...] = ()
    engine: Mapping[str, Json] = field(default_factory=dict)
    detach: bool = False

    @property
    def retried(self) -> Sequence[Reason]:
        """The reasons of failures to take up although they would only repeat themselves."""
        return get_args(Reason) if self.retry_failed else self.retry_reasons


def slots_for(study: Study, options: Options) -> tuple[Slot, ...]:
    """Where runs of the study may execute. AblateError where it asks for more than there is."""
    resources = study.resources
    wanted = resources.gpus
    if wanted is None:
        wanted = 1 if devices.gpus() and "cpu" not in options.devices else 0
    try:
        slots = devices.slots(
            gpus_per_run=wanted,
            runs_per_gpu=resources.runs_per_gpu,
            threads=resources.threads,
            workers=options.workers,
            devices=options.devices,
            several=study.flat,
        )
    except ConfigError as error:
        raise StudyError([study.problem(key, message) for key, message in error.problems]) from None
    if isinstance(resources.memory_gib, float):
        room = sizes_for(study, slots).room
        most = max(room, key=lambda name: room[name])
        if resources.memory_gib * 1024 > room[most]:
            has = f"{most} has {room[most] / 1024:.1f} GiB"
            message = f"is {resources.memory_gib:g}, but {has}; a run would never fit."
            raise StudyError([study.problem("resources.memory_gib", message)])
    return slots


def fitting(slots: tuple[Slot, ...], watcher: Watcher) -> tuple[Slot, ...]:
    """As many of them as this process may hold files open for, having raised its limit where it may; told if fewer."""
    most = devices.most_runs(len(slots))
    if most < len(slots):
        watcher.warn(
            f"{many(most, 'run')} at a time, not {len(slots)}: this process may open no more files (`ulimit -Hn`)."
        )
    return slots[:most]


def places_for(study: Study, slots: Sequence[Slot], options: Options) -> tuple[Slot, ...]:
    """Every slot of this host in which one of so many runs may execute: --workers says how many, not where."""
    every = slots_for(study, replace(options, workers=None))
    return every if len(every) > len(slots) else tuple(slots)


def places_of(
    executor: Executor, study: Study, slots: Sequence[Slot], options: Options
) -> tuple[tuple[Slot, ...], int | None]:
    """The slots of this host in which its runs may execute, and how many at a time; None: as many as an engine has
    room for."""
    return ((), options.workers) if executor.engine else (places_for(study, slots, options), len(slots))


def sizes_for(study: Study, slots: Sequence[Slot]) -> Sizes:
    """What is known of the memory that runs take before any of them ran."""
    asked = study.resources.memory_gib
    room = {slot.device: devices.memory_mib(slot.device) for slot in slots}
    return Sizes(room, int(asked * 1024) if isinstance(asked, float) else None)


def execute(planned: Planned, db: str, options: Options, watcher: Watcher, awaited_by: str = "") -> Ended:
    """Store the plan and execute what is not done. Returns at once where nothing is to do.

    What variants start from is trained first, as the study that it is, and then its run is fixed in the plan.
    awaited_by: the study for whose sake that is.
    """
    executor = executor_of(planned, options)
    for parent in planned.parents:
        ended = execute(parent, db, options, watcher, planned.study.name)
        if ended.stopped_by is not None or ended.alike:
            return ended
    if planned.parents:
        planned = again(planned, db)
    slots = places_expected(executor, planned.study, options, watcher)
    with Store.open(db, write=True) as store:
        begin(store, watcher)
        database, folder = store.identity, store.folder
        wanted: Mapping[str, RunSpec] = specs(planned, folder)
        if options.only:
            wanted = {key: wanted[key] for key in options.only}
        states = saving.states(planned, store, options.retried)
        is_open = any(key not in states or states[key].state not in ("done", "failed") for key in wanted)
        # A plan whose variants are to be tried is stored after that: one that is refused replaces none.
        tries = options.canary and planned.task.has_canary and is_open
        tries = tries and bool(two_steps.untried(planned.plan, wanted, states))
        changes = saving.changes(planned, store) if tries else saving.save(planned, store, options.retried)
        # What an engine has is not known before its workers come, so neither is how long it may take.
        seconds = [took for _, took in store.durations(planned.study.name)] if not executor.engine else []
        saved = saved_of(planned.plan, store)
    counts = count(planned.plan, states, seconds, len(slots), saved)
    if awaited_by and counts.todo:
        changes.insert(0, f"{awaited_by} waits for the weights of {planned.study.name}, which is trained first.")
    watcher.planned(planned, counts, changes, slots)
    if counts.todo == 0:
        return Ended(0, None)
    if options.only and all(key in states and states[key].state == "done" for key in wanted):
        return Ended(0, None)
    if tries and executor.engine:
        wanted = _canary_here(planned, setup_of(planned, database), wanted, states, folder, watcher)
    opened(executor, planned, database, folder, options, watcher)
    try:
        if tries and not executor.engine:
            each = _one_each(planned.study, slots)
            wanted = two_steps.tried(planned, executor, each, wanted, states, folder, watcher)
        with Store.open(db, write=True) as store:
            if tries:
                saving.save(planned, store, options.retried)
            places, workers = places_of(executor, planned.study, slots, options)
            sizes = None if executor.engine else _sizes(planned, store, wanted, places)
            feed = wanted if options.only else _feed(planned, store, wanted)
            ended = dispatch(
                planned, store, executor, feed, places, workers, watcher, sizes=sizes, detach=options.detach
            )
            if ended.detached:
                return ended
            _name_read(planned, store, watcher)
            return _heeded(ended, feed, watcher)
    finally:
        executor.close()


def dispatch(
    planned: Planned,
    store: Store,
    executor: Executor,
    feed: Mapping[str, RunSpec] | Feed,
    places: Sequence[Slot],
    workers: int | None,
    watcher: Watcher,
    *,
    sizes: Sizes | None = None,
    excused: frozenset[Reason] = frozenset(),
    detach: bool = False,
) -> Ended:
    """Execute what `feed` wants, `workers` runs at a time (None: as many as the executor has room for), in any of
    `places`; who failed alike is told. detach: only hand it over."""
    limits = planned.study.limits
    ended = Dispatcher(
        store, executor, places, feed, limits, listener=watcher, provenance=provenance(planned.study.path),
        sizes=sizes, workers=workers, excused=excused, detach=detach,
    ).run()  # fmt: skip
    if ended.alike:
        watcher.warn(
            f"{many(limits.stop_after, 'run')} failed alike and none is done, so the others were not trained: "
            f"{ended.alike}. Mend it and run again, with --retry-failed where no file changed; "
            "`limits.stop_after` has the number."
        )
    if ended.left:
        watcher.warn(
            f"{many(ended.left, 'run')} left to do: what they met is not their fault, and it did not go away for "
            f"{duration(limits.infrastructure_s)} (`limits.infrastructure`). The same command tries them again."
        )
    return ended


def _sizes(planned: Planned, store: Store, wanted: Mapping[str, RunSpec], slots: Sequence[Slot]) -> Sizes | None:
    """What runs take, from those that have finished; None where devices are shared by count."""
    if planned.study.resources.memory_gib is None:
        return None
    sizes = sizes_for(planned.study, slots)
    for attempt in store.counted(planned.study.name):
        if attempt.run in wanted:
            sizes.learn(wanted[attempt.run], attempt.provenance)
    return sizes


def _feed(planned: Planned, store: Store, wanted: Mapping[str, RunSpec]) -> Mapping[str, RunSpec] | Feed:
    feed: Mapping[str, RunSpec] | Feed = wanted
    if "looks" in planned.study.analysis:
        from ablate.runs import adaptive  # it loads numpy and scipy, which no other run needs

        feed = adaptive.ByLook(store, planned.study.name, wanted)
    return Heeding(feed, store, planned.plan) if planned.task.flat and planned.task.seeded else feed


def _name_read(planned: Planned, store: Store, watcher: Watcher) -> None:
    """What programs read and no key holds, by name."""
    counted = store.counted(planned.study.name) if planned.task.flat else []
    read = sorted({str(name) for attempt in counted for name in attempt.provenance.get("read") or ()})
    if read:
        watcher.warn(
            f"the command read {listed(read)}, which {'are' if len(read) > 1 else 'is'} not in the key; add to "
            "task.sources what decides a run (`ablate try --write` does), to task.data what it learns from."
        )


def _heeded(ended: Ended, feed: Mapping[str, RunSpec] | Feed, watcher: Watcher) -> Ended:
    """How it ended, where it did so because seeds are ignored."""
    if not isinstance(feed, Heeding) or not feed.said:
        return ended
    watcher.warn(feed.said)
    return replace(ended, alike=feed.said)


def begin(store: Store, watcher: Watcher) -> None:
    """What is to be so before runs are executed: nobody else's host works on the file, and nothing works that a dead
    dispatcher left."""
    check_hosts(store, watcher)
    swept = ending.sweep(store.identity)
    if swept:
        watcher.warn(f"ended {swept} process{'es' * (swept > 1)} that an earlier `ablate` of this database had left.")


def check_hosts(store: Store, watcher: Watcher) -> None:
    """A SQLite file on a network file system is for one host: its locks need not reach the others."""
    if store.network is None:
        return
    live = [a.host for a in store.live() if not a.expired and not devices.keeps(a.host)]
    others = sorted({place.partition("/")[0] for place in live} - {devices.host()})
    if others:
        raise AblateError(
            f"{store.shown} lies on {store.network}, and {one_of(others)} is running on it; SQLite's locks do not "
            "reach from host to host. Wait until it has finished, or give --db a postgresql:// URL or another file.",
            page="clusters",
        )
    watcher.warn(f"{store.shown} lies on {store.network}: run on this host only, for SQLite's locks reach no further.")


def executor_of(planned: Planned, options: Options) -> Executor:
    """Who executes, not opened yet. PluginError where nobody is called so; AblateError where it has no such
    parameters, or cannot do what is asked."""
    params = {**planned.study.engines.get(options.executor, {}), **options.engine}
    try:
        executor: Executor = planned.registry.make("executors", options.executor, params)
    except ConfigError as error:
        lines = [message if repr(key) in message else f"{key} {message}" for key, message in error.problems]
        raise AblateError(f"--executor {options.executor}: {'; '.join(lines)}", page="clusters") from None
    if options.detach and not executor.keeps:
        raise AblateError(
            f"--detach: the executor {options.executor!r} keeps no runs without the command that looks after them; "
            f"{DETACHED.get(options.executor, 'slurm does')}.",
            page="clusters",
        )
    return executor


def places_expected(executor: Executor, study: Study, options: Options, watcher: Watcher) -> tuple[Slot, ...]:
    """The slots of this host that runs will have; of an engine, as many as it is to have workers."""
    if executor.engine:
        count = int(options.engine.get("jobs", study.engines.get(options.executor, {}).get("jobs", 1)))
        return tuple(Slot(options.executor, index) for index in range(count))
    return fitting(slots_for(study, options), watcher)


def opened(
    executor: Executor, planned: Planned, database: str, folder: Path, options: Options, watcher: Watcher
) -> Executor:
    """The executor, ready for the study's runs; an engine is told what it is to see and to have as well. folder: the
    database's."""
    setup = setup_of(planned, database)
    if executor.engine:
        return executor.open(setup, needs_of(planned, folder, options, watcher))
    return executor.open(setup)


def needs_of(planned: Planned, folder: Path, options: Options, watcher: Watcher) -> Needs:
    """What an engine is to know of the study. folder: the database's."""
    resources = planned.study.resources
    memory = resources.memory_gib if isinstance(resources.memory_gib, float) else None
    return Needs(
        planned.study.name, str(folder.resolve() / folder_name(planned.study.name)), resources.gpus,
        resources.runs_per_gpu, memory, planned.study.limits, provenance(), options.detach, watcher.warn,
    )  # fmt: skip


def setup_of(planned: Planned, database: str) -> Setup:
    """What these runs import. database: the identity of the one that they belong to."""
    tricks = [
        cast(type[Trick], planned.registry.load("tricks", name))
        for shelf, name in planned.shelf_files
        if shelf == "tricks"
    ]
    imports = [*planned.task.imports, *(module for trick in tricks for module in trick.imports)]
    return Setup(
        task=planned.study.task,
        imports=tuple(dict.fromkeys(imports)),
        path=planned.path,
        plugins=tuple(map(str, planned.registry.folders)),
        shelf_files=planned.shelf_files,
        sources=planned.sources,
        threads=planned.study.resources.threads,
        database=database,
        grace_s=planned.study.limits.grace_s,
        spawn=planned.study.resources.start == "spawn",
    )


def _canary_here(
    planned: Planned,
    setup: Setup,
    wanted: Mapping[str, RunSpec],
    states: Mapping[str, RunState],
    folder: Path,
    watcher: Watcher,
) -> Mapping[str, RunSpec]:
    """Two steps of every variant on this host, whatever is to execute them all: a queue may take hours."""
    if planned.study.resources.gpus and not devices.gpus():
        watcher.warn("two steps of every variant are not tried first, for this host has no GPU; the first runs tell.")
        return wanted
    local: Executor = planned.registry.make("executors", LOCAL, {})
    slots = fitting(slots_for(planned.study, Options()), watcher)
    local.open(setup)
    try:
        return two_steps.tried(planned, local, _one_each(planned.study, slots), wanted, states, folder, watcher)
    finally:
        local.close()


def _one_each(study: Study, slots: Sequence[Slot]) -> Sequence[Slot]:
    """One slot of each device where memory is heeded, for what two steps take is not known before them."""
    if study.resources.memory_gib is None:
        return slots
    return tuple({slot.device: slot for slot in reversed(slots)}.values())
