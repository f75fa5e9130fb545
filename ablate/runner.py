"""From a study to finished runs: find the study, plan it, store the plan, try every variant for two steps, dispatch.

What `plan`, `run`, `retry` and `doctor` have in common. Nothing is printed here: what a person should hear goes to the
listener or is raised.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Protocol, get_args

from ablate import check, devices, identity, registration, scheduler, starts
from ablate import plan as planning
from ablate import study as studies
from ablate.dispatcher import Dispatcher, Ended, Listener, canaries
from ablate.errors import AblateError, ConfigError, NoDatabaseError, StudyError, did_you_mean, one_of
from ablate.executor import Failed, Finished, Slot
from ablate.executors.local import LocalExecutor
from ablate.feed import Feed
from ablate.packer import Sizes
from ablate.records import Json, Parent, Reason, Role, RunSpec, Start, Study
from ablate.registry import Registry
from ablate.store import Store
from ablate.stored import RunState, StoredStudy
from ablate.task import Task
from ablate.warm import Setup


@dataclass(frozen=True)
class Planned:
    """A study with everything that the plan knows of it. `overrides`: the --set options it was read with.

    parents: the studies whose weights pending variants wait for.
    """

    study: Study
    plan: planning.Plan
    registry: Registry
    task: Task
    overrides: tuple[str, ...]
    path: tuple[str, ...]
    parents: tuple[Planned, ...] = ()

    @property
    def sources(self) -> dict[str, str]:
        """The user's files that the runs execute: path to SHA-256."""
        private = {
            str(entry.path): identity.sha256_file(entry.path)
            for shelf in ("tricks", "models", "datasets")
            for entry in self.registry.entries(shelf).values()
            if entry.private
        }
        return {**self.task.sources(), **private}

    @property
    def shelf_files(self) -> tuple[tuple[str, str], ...]:
        """The plug-ins that the plan's variants use, as (shelf, name)."""
        shelves = {"model": "models", "data": "datasets", "trick": "tricks"}
        parts = {part for variant in self.plan.variants for part in variant.completed.code if ":" in part}
        return tuple(sorted((shelves[kind], name) for kind, _, name in (part.partition(":") for part in parts)))

    @property
    def stored_form(self) -> dict[str, Json]:
        """What the database keeps: the resolved plan, and where to read the study again."""
        file = str(Path(self.study.path).resolve()) if self.study.path else ""
        return {**self.plan.resolved(), "file": file, "overrides": list(self.overrides)}


# ------------------------------------------------------------------------------------------------------------ planning


def find(name: str | None, db: str, overrides: Sequence[str] = (), within: tuple[str, ...] = ()) -> Planned:
    """Plan the study at a path, or the stored one called `name`, or (None) the one last run, as it was run.

    within: the studies that are being planned, each for the sake of the one before it.
    """
    if name is not None and _is_path(name):
        return planned(studies.load(Path(name), overrides), db, overrides, within)
    stored = stored_study(name, db)
    if stored.resolved.get("imported"):
        raise AblateError(
            f"{stored.name} was imported from {stored.resolved['imported']['file']}; its runs were trained elsewhere, "
            "so there is nothing to plan or run. `ablate table` and `export` show it."
        )
    overrides = (*stored.resolved.get("overrides", ()), *overrides)
    file = Path(stored.resolved.get("file") or stored.name)
    if file.is_file():
        return planned(studies.load(file, overrides), db, overrides, within)
    return planned(studies.parse(stored.text, file.name, overrides, folder=file.parent), db, overrides, within)


def _is_path(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) or "/" in name or Path(name).is_file()


def stored_study(name: str | None, db: str) -> StoredStudy:
    """The study of that name in the database (a path means the study whose file it is), or the one last run."""
    with Store.open(db) as store:
        known = store.studies()
        if name is not None and _is_path(name) and name not in known:
            here = [s for s in map(store.study, known) if s and s.resolved.get("file") == str(Path(name).resolve())]
            name = here[0].name if here else Path(name).stem
        stored, shown = store.study(name), store.shown
    if stored is not None:
        registration.check_whole(stored.name, stored.resolved)
        return stored
    if not known:
        raise AblateError(f"{shown} holds no study yet; `ablate run STUDY` makes the first one.")
    raise AblateError(
        f"no study is called {name!r}; {shown} has {one_of(known)}.{did_you_mean(name or '', known)} "
        "A study file is named by its path."
    )


def planned(study: Study, db: str, overrides: Sequence[str] = (), within: tuple[str, ...] = ()) -> Planned:
    """Plan a study; what starts from other studies' runs has its weights if they are trained, else it is pending."""
    folder = Path(study.path).resolve().parent
    registry = Registry([folder / plugin for plugin in study.plugins])
    task = studies.task_of(study)
    sources = task.sources()
    path = tuple(dict.fromkeys([str(folder), str(Path.cwd())]))
    plan = planning.make_plan(study, registry, task, sources)
    if not plan.pending:
        return Planned(study, plan, registry, task, tuple(overrides), path)
    parents: dict[str, Planned] = {}
    found: dict[Parent, Start | str] = {}
    for wanted in plan.pending:
        try:
            if wanted.study not in parents:
                parents[wanted.study] = _parent(wanted.study, folder, db, (*within, study.name))
            found[wanted] = _start(parents[wanted.study], wanted, db)
        except StudyError:
            raise
        except AblateError as error:
            cell = next(variant.cell for variant in plan.variants if variant.pending == wanted)
            said = error.problems if isinstance(error, ConfigError) else [("init.study", str(error))]
            raise StudyError([check.refusal(study, cell, key, message) for key, message in said]) from error
    plan = planning.make_plan(study, registry, task, sources, found)
    awaited = tuple(parents[name] for name in dict.fromkeys(wanted.study for wanted in plan.pending))
    return Planned(study, plan, registry, task, tuple(overrides), path, awaited)


def _parent(name: str, folder: Path, db: str, within: tuple[str, ...]) -> Planned:
    """The study that `init` names: a file's path from the study's folder, a file of that name beside it, a stored one.

    Where the file was run before, it is read with the --set options that it was run with.
    """
    files = [folder / name, folder / f"{name}.yaml", folder / f"{name}.yml"]
    file = next((file for file in files if file.suffix in (".yaml", ".yml") and file.is_file()), None)
    if file is None and name.endswith((".yaml", ".yml")):
        raise AblateError(f"is {name!r}, and there is no file {files[0]}.")
    try:
        stored = stored_study(name if file is None else str(file), db)
    except AblateError as error:
        if file is None:
            raise AblateError(f"is {name!r}; there is no {files[1]}, and {error}") from error
        stored = None
    if stored is not None and file is not None and stored.resolved.get("file") != str(file.resolve()):
        stored = None  # another study of that name
    called = stored.name if stored is not None else studies.load(file).name if file is not None else name
    if called in within:
        raise AblateError(f"is {name!r}: a circle, for {' starts from '.join((*within, called))}.")
    return find(str(file) if stored is None else stored.name, db, (), within)


def _start(parent: Planned, wanted: Parent, db: str) -> Start | str:
    from ablate import lineage  # it loads numpy and scipy, which no other plan needs

    try:
        with Store.open(db) as store:
            return lineage.start(parent.plan, parent.stored_form, store, wanted)
    except NoDatabaseError:
        return starts.NOT_TRAINED


# ------------------------------------------------------------------------------------------------------------- counting


@dataclass(frozen=True)
class Counts:
    """How far a plan is. seconds: what the rest may take, from `past` finished runs; None where there is none.

    pending: runs, among those to do, that wait for another study. saved: runs that adaptive seeds do not need any more;
    how many of those to do they will need is not known yet, for the plan takes at `least` so many.
    """

    total: int
    done: int
    failed: int
    seconds: float | None
    past: int
    pending: int = 0
    saved: int = 0
    least: int = 0

    @property
    def todo(self) -> int:
        return self.total - self.done - self.failed - self.saved


def known_states(plan: planning.Plan, db: str) -> tuple[dict[str, RunState], list[float], frozenset[str]]:
    """The state of each planned run that the database knows, how long the study's finished runs took, and the keys of
    runs that adaptive seeds do not need any more."""
    try:
        with Store.open(db) as store:
            seconds = [attempt.seconds for attempt in store.counted(plan.study.name)]
            return store.states({run.key for run in plan.runs}), seconds, _saved(plan, store)
    except NoDatabaseError:
        return {}, [], frozenset()


def count(
    plan: planning.Plan,
    states: Mapping[str, RunState],
    seconds: Sequence[float],
    workers: int,
    saved: Set[str] = frozenset(),
) -> Counts:
    keys = {run.key for run in plan.runs if run.key}
    pending = sum(not run.key for run in plan.runs)
    done = sum(states[key].state == "done" for key in keys if key in states)
    failed = sum(states[key].state == "failed" for key in keys if key in states)
    rest = (len(keys) + pending - done - failed - len(saved)) * median(seconds) / workers if seconds else None
    return Counts(len(keys) + pending, done, failed, rest, len(seconds), pending, len(saved), _least(plan))


def _least(plan: planning.Plan) -> int:
    """How many runs the plan takes where the first look of adaptive seeds settles every row; else all of them."""
    looks = plan.study.analysis.get("looks") or [len(plan.study.seeds)]
    keys = [run.key for run in plan.runs if run.seed in plan.study.seeds[: looks[0]]]
    return len(set(keys) - {""}) + keys.count("")


# ------------------------------------------------------------------------------------------------------------ executing


class Watcher(Listener, Protocol):
    """Who is told how a `run` goes, besides what a dispatcher's listener hears."""

    def planned(self, planned: Planned, counts: Counts, changes: Sequence[str], slots: Sequence[Slot]) -> None: ...

    def trying(self, done: int, of: int) -> None: ...

    def warn(self, text: str) -> None: ...


@dataclass(frozen=True)
class Options:
    """What the command line says of a `run`. devices: names, all where empty; workers: runs at a time; retry_reasons:
    of failures to take up although they would only repeat themselves (retry_failed: all).
    """

    workers: int | None = None
    devices: tuple[str, ...] = ()
    retry_failed: bool = False
    canary: bool = True
    retry_reasons: tuple[Reason, ...] = ()


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
            asked=options.devices,
        )
    except ConfigError as error:
        raise StudyError([check.problem(study, key, message) for key, message in error.problems]) from None
    if isinstance(resources.memory_gib, float):
        room = sizes_for(study, slots).room
        most = max(room, key=lambda name: room[name])
        if resources.memory_gib * 1024 > room[most]:
            has = f"{most} has {room[most] / 1024:.1f} GiB"
            message = f"is {resources.memory_gib:g}, but {has}; a run would never fit."
            raise StudyError([check.problem(study, "resources.memory_gib", message)])
    return slots


def sizes_for(study: Study, slots: Sequence[Slot]) -> Sizes:
    """What is known of the memory that runs take before any of them ran."""
    asked = study.resources.memory_gib
    room = {slot.device: devices.memory_mib(slot.device) for slot in slots}
    return Sizes(room, int(asked * 1024) if isinstance(asked, float) else None)


def execute(planned: Planned, db: str, options: Options, watcher: Watcher) -> Ended:
    """Store the plan and execute what is not done. Returns at once where nothing is to do.

    What variants start from is trained first, as the study that it is, and then its run is fixed in the plan.
    """
    for parent in planned.parents:
        ended = execute(parent, db, options, watcher)
        if ended.stopped_by is not None:
            return ended
    if planned.parents:
        planned = again(planned, db)
    slots = slots_for(planned.study, options)
    with Store.open(db, write=True) as store:
        check_hosts(store, watcher)
        changes = save(planned, store, options)
        seconds = [attempt.seconds for attempt in store.counted(planned.study.name)]
        states = store.states({run.key for run in planned.plan.runs})
        folder, trained = store.folder, _trained_elsewhere(planned.plan, store)
        saved = _saved(planned.plan, store)
    counts = count(planned.plan, states, seconds, len(slots), saved)
    watcher.planned(planned, counts, changes, slots)
    if counts.todo == 0:
        return Ended(0, None)
    wanted = specs(planned, folder, trained)
    # The server is started while no database is open, so that no process but this one ever holds the file.
    executor = local_executor(planned)
    try:
        if options.canary and planned.task.has_canary:
            _canary(planned, executor, _one_each(planned.study, slots), wanted, states, folder, watcher)
        with Store.open(db, write=True) as store:
            made = devices.provenance() | {"git": devices.git_commit(str(Path(planned.study.path).resolve().parent))}
            limits = planned.study.limits
            feed, sizes = _feed(planned, store, wanted), _sizes(planned, store, wanted, slots)
            dispatcher = Dispatcher(
                store, executor, slots, feed, limits, listener=watcher, provenance=made, sizes=sizes
            )
            return dispatcher.run()
    finally:
        executor.close()


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
    if "looks" not in planned.study.analysis:
        return wanted
    from ablate import seeds  # it loads numpy and scipy, which no other run needs

    return seeds.ByLook(store, planned.study.name, wanted)


def _saved(plan: planning.Plan, store: Store) -> frozenset[str]:
    """The keys of the plan's runs that adaptive seeds do not need any more."""
    if "looks" not in plan.study.analysis:
        return frozenset()
    from ablate import seeds

    return seeds.saved(store, plan)


def check_hosts(store: Store, watcher: Watcher) -> None:
    """A SQLite file on a network file system is for one host: its locks need not reach the others."""
    if store.network is None:
        return
    others = sorted({a.host for a in store.live() if not a.expired} - {devices.host()})
    if others:
        raise AblateError(
            f"{store.shown} lies on {store.network}, and {one_of(others)} is running on it; SQLite's locks do not "
            "reach from host to host. Wait until it has finished, or give --db a postgresql:// URL or another file."
        )
    watcher.warn(f"{store.shown} lies on {store.network}: run on this host only, for SQLite's locks reach no further.")


def again(plan: Planned, db: str) -> Planned:
    """The plan once more, after the studies that it waited for were trained. AblateError where it still waits."""
    now = planned(plan.study, db, plan.overrides)
    if now.plan.pending:
        raise AblateError("\n".join(note for note in now.plan.notes if note.startswith("Pending")))
    return now


def save(planned: Planned, store: Store, options: Options) -> list[str]:
    """Store the plan; failed runs that may be tried again are to do. Returns what changed since the last `run`."""
    plan = planned.plan
    before = store.study(plan.study.name)
    resolved = planned.stored_form
    changes = [] if before is None else registration.diff(before.resolved, resolved)
    asked = {run.key: run for run in plan.runs}
    configs = {key: identity.canonical_json(described(plan, run)) for key, run in asked.items()}
    with store.transaction():
        seen = any(cell.state == "done" for cell in store.cells(plan.study.name))
        known = sum(state.state == "done" for state in store.states(asked).values())
        earlier = None if before is None else before.resolved
        registered = registration.register(earlier, resolved, seen=seen, known=known)
        kept = {"tuned": earlier["tuned"]} if earlier and "tuned" in earlier else {}  # checked when it is shown
        resolved = {**resolved, "registered": registered, **kept}
        sha = identity.sha256(identity.canonical_json(resolved))
        role: Role = "ablation"
        cells = [(run.variant, run.seed, role, run.key) for run in plan.runs]
        store.save_plan(plan.study.name, plan.study.text, resolved, sha, cells, configs)
        states = store.states(asked)
        failed = {key: (s.reason, s.attempts) for key, s in states.items() if s.state == "failed"}
        again = options.retry_reasons if not options.retry_failed else get_args(Reason)
        store.requeue(scheduler.to_requeue(failed, plan.study.limits, retried=again))
    return changes


def described(plan: planning.Plan, run: planning.PlannedRun) -> dict[str, Json]:
    """What a run is asked, as the database keeps it for people and for drift.py."""
    done = plan.variant(run.variant).completed
    tricks = [[use.name, dict(use.params)] for use in done.tricks]
    said = {"task": plan.study.task, "config": done.config, "tricks": tricks, "seed": run.draws}
    said |= {"threads": plan.study.resources.threads, "data": done.data, "code": dict(done.code)}
    return {**said, **starts.kept(done)}


def local_executor(planned: Planned) -> LocalExecutor:
    """The pool of this host, its server started with what these runs import."""
    return LocalExecutor(
        Setup(
            task=planned.study.task,
            imports=planned.task.imports,
            path=planned.path if ":" in planned.study.task else (),
            plugins=tuple(map(str, planned.registry.folders)),
            shelf_files=planned.shelf_files,
            sources=planned.sources,
            threads=planned.study.resources.threads,
        )
    )


def folder_name(study: str) -> str:
    """A study's name as the name of a folder: letters, digits, dot, dash and underscore; told apart by a hash."""
    plain = re.sub(r"[^\w.-]", "_", study, flags=re.ASCII).strip(".")
    clear = plain == study and not plain.endswith(".db")  # the database lies in the same folder
    return plain if clear else f"{plain[:40]}-{identity.sha256(study)[:8]}"


def run_folder(planned: Planned, folder: Path, key: str) -> Path:
    """A run's own folder below `folder`, where the database lies."""
    return folder / folder_name(planned.study.name) / "runs" / key


def specs(planned: Planned, folder: Path, trained: Mapping[str, str] = MappingProxyType({})) -> dict[str, RunSpec]:
    """The specification of each run, by key, in the plan's order.

    trained: folders of finished runs of other studies that runs of this plan measure anew.
    """
    made: dict[str, RunSpec] = {}
    plugins, sources = tuple(map(str, planned.registry.folders)), planned.sources
    measured = {run.evaluates for run in planned.plan.runs} - {""}
    for run in planned.plan.runs:
        if run.key not in made:
            found = trained.get(run.evaluates, "")
            if run.evaluates and not found:
                found = str(run_folder(planned, folder, run.evaluates))
            own, cache = str(run_folder(planned, folder, run.key)), str(folder / ".cache")
            keep = planned.study.weights != "none" or run.key in measured
            spec = planned.plan.spec(run, own, cache, plugins, planned.path, found, keep)
            made[run.key] = replace(spec, sources=sources)
    return made


def _trained_elsewhere(plan: planning.Plan, store: Store) -> dict[str, str]:
    """Folders of finished runs that this plan does not hold and whose weights its runs measure anew, by key."""
    wanted = {run.evaluates for run in plan.runs} - {run.key for run in plan.runs} - {""}
    finished = [key for key, found in store.states(wanted).items() if found.state == "done"]
    return {key: attempt.log for key in finished for attempt in store.attempts(key) if attempt.counted}


def _one_each(study: Study, slots: Sequence[Slot]) -> Sequence[Slot]:
    """One slot of each device where memory is heeded, for what two steps take is not known before them."""
    if study.resources.memory_gib is None:
        return slots
    return tuple({slot.device: slot for slot in reversed(slots)}.values())


def _canary(
    planned: Planned,
    executor: LocalExecutor,
    slots: Sequence[Slot],
    wanted: Mapping[str, RunSpec],
    states: Mapping[str, RunState],
    folder: Path,
    watcher: Watcher,
) -> None:
    """Two steps of every variant without a finished run. AblateError where one fails: hours would fail as well."""
    first: dict[str, str] = {}
    proven = {run.variant for run in planned.plan.runs if run.key in states and states[run.key].state == "done"}
    for run in planned.plan.runs:
        if run.variant not in proven:
            first.setdefault(run.variant, run.key)
    scratch = folder / folder_name(planned.study.name) / "canary"
    try:
        trial = {name: replace(wanted[key], folder=str(scratch / key)) for name, key in first.items()}
        watcher.trying(0, len(trial))
        ended = canaries(executor, slots, trial, progress=lambda done: watcher.trying(done, len(trial)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    failed = {name: event for name, event in ended.items() if isinstance(event, Failed)}
    if failed:
        lines = [f"  {name}: {event.reason}: {event.message}" for name, event in failed.items()]
        detail = next(iter(failed.values())).detail
        raise AblateError(
            "nothing was trained: two steps on one batch already fail for\n"
            + "\n".join(lines)
            + (f"\n{detail.rstrip()}" if detail else "")
            + "\nMend the study, or train the other variants with --no-canary."
        )
    for row in planned.plan.rows:
        ours, theirs = ended.get(row.variant), ended.get(row.compared_with or "")
        if (
            isinstance(ours, Finished)
            and isinstance(theirs, Finished)
            and ours.outputs
            and ours.outputs == theirs.outputs
        ):
            watcher.warn(
                f"{row.variant} is bit-identical to {row.compared_with} after two steps: "
                f"{' and '.join(row.differs)} may do nothing here."
            )
