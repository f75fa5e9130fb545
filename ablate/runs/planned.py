"""From a name to a planned study: find it, plan it, say how far it is, and specify its runs.

What every command that reads a study file has in common. Nothing is executed here: that is execute.py's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ablate import identity
from ablate.errors import AblateError, ConfigError, NoDatabaseError, StudyError
from ablate.records import Json, Parent, Role, RunSpec, Start, Study
from ablate.registry import Registry
from ablate.runs import executed
from ablate.store.reader import Reader
from ablate.store.store import Store
from ablate.store.stored import StoredStudy
from ablate.store.studies import is_path
from ablate.study import across, changes, mistakes, yaml_file
from ablate.study import file as studies
from ablate.study import plan as planning
from ablate.study.keyed import PlannedRun, with_edits
from ablate.study.record import PlanRecord
from ablate.text import did_you_mean, listed, one_of
from ablate.training.task import NOT_TRAINED, Task


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
        used = {*self.shelf_files, ("tasks", self.study.task.name)}
        private = {
            str(entry.path): identity.sha256_file(entry.path)
            for shelf in ("tasks", "tricks", "models", "datasets", "replacements")
            for entry in self.registry.entries(shelf).values()
            if entry.private and (not entry.package or (shelf, entry.name) in used)
        }
        return {**self.task.sources(), **private}

    @property
    def shelf_files(self) -> tuple[tuple[str, str], ...]:
        """The plug-ins that the plan's variants use, as (shelf, name)."""
        shelves = {
            "task": "tasks", "model": "models", "data": "datasets", "trick": "tricks", "replacement": "replacements",
        }  # fmt: skip
        parts = {part for variant in self.plan.variants for part in variant.completed.code if ":" in part}
        return tuple(sorted((shelves[kind], name) for kind, _, name in (part.partition(":") for part in parts)))

    @property
    def record(self) -> PlanRecord:
        """What the database keeps: the plan, and where to read the study again."""
        file = str(Path(self.study.path).resolve()) if self.study.path else ""
        return replace(self.plan.record, file=file, overrides=self.overrides)


def find(name: str | None, db: str, overrides: Sequence[str] = (), within: tuple[str, ...] = ()) -> Planned:
    """Plan the study at a path, or the stored one called `name`, or (None) the one last run, as it was run.

    within: the studies that are being planned, each for the sake of the one before it.
    """
    if name is not None and is_path(name):
        study = studies.load(Path(name), overrides)
        _refuse_another(study, db)
        return planned(study, db, overrides, within)
    with Store.open(db) as store:
        stored = store.find(name)
    record = stored.record
    if record.imported is not None:
        raise AblateError(
            f"{stored.name} was imported from {record.imported.file}; its runs were trained elsewhere, "
            "so there is nothing to plan or run. `ablate table` and `export` show it."
        )
    overrides = (*record.overrides, *overrides)
    file = Path(record.file or stored.name)
    if file.is_file():
        return planned(studies.load(file, overrides), db, overrides, within)
    return planned(studies.parse(stored.text, file.name, overrides, folder=file.parent), db, overrides, within)


def _refuse_another(study: Study, db: str) -> None:
    """AblateError where the database has a study of this name from another file."""
    with suppress(NoDatabaseError), Store.open(db) as store:
        stored = store.study(study.name)
        if stored is not None:
            stored.refuse_another(Path(study.path))


def edited(stored: StoredStudy, file: Path) -> str:
    """What the study's file says now and did not when it was run last, as a sentence; empty where nothing."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return ""
    lines = [] if text == stored.text or stored.record.imported is not None else changes.of_texts(stored.text, text)
    lines = [one for one in lines if not one.startswith("notes.")]  # the authors' words are shown as they are now
    if not lines:
        return ""
    return f"{file}: the file has changed since its last run: {listed(lines, most=6)}. What is shown is as it was run."


def planned(study: Study, db: str, overrides: Sequence[str] = (), within: tuple[str, ...] = ()) -> Planned:
    """Plan a study; what starts from other studies' runs has its weights if they are trained, else it is pending."""
    folder = Path(study.path).resolve().parent
    task = studies.task_of(study)
    sources = task.sources()
    path = tuple(dict.fromkeys([str(folder), str(Path.cwd())]))
    registry = Registry([folder / plugin for plugin in study.plugins], path)
    plan = across.make_plan(study, registry, task, sources)
    if not plan.pending:
        return Planned(study, _current(plan, folder, db), registry, task, tuple(overrides), path)
    parents: dict[str, Planned] = {}
    starts: dict[Parent, Start | str] = {}
    for wanted in plan.pending:
        try:
            if wanted.study not in parents:
                parents[wanted.study] = _parent(wanted.study, study, overrides, db, within)
            starts[wanted] = _start(parents[wanted.study], wanted, db)
        except StudyError:
            raise
        except AblateError as error:
            cell = next(variant.cell for variant in plan.variants if variant.pending == wanted)
            problems = error.problems if isinstance(error, ConfigError) else [("init.study", str(error))]
            raise StudyError([mistakes.refusal(study, cell, key, message) for key, message in problems]) from error
    plan = across.make_plan(study, registry, task, sources, starts)
    awaited = tuple(parents[name] for name in dict.fromkeys(wanted.study for wanted in plan.pending))
    return Planned(study, _current(plan, folder, db), registry, task, tuple(overrides), path, awaited)


def _current(plan: planning.Plan, folder: Path, db: str) -> planning.Plan:
    with Store.if_there(db) as store:
        return plan if store is None else executed.current(plan, folder, store)


def _parent(name: str, study: Study, overrides: Sequence[str], db: str, within: tuple[str, ...]) -> Planned:
    """The study that `init` names: a file's path from the study's folder, a file of that name beside it, a stored one.

    Where the file was run before, it is read with the --set options that it was run with.
    """
    folder = Path(study.path).resolve().parent
    within = (*within, study.name)
    files = [folder / name, folder / f"{name}.yaml", folder / f"{name}.yml"]
    file = next((file for file in files if file.suffix in (".yaml", ".yml") and file.is_file()), None)
    if file is None and name.endswith((".yaml", ".yml")):
        raise AblateError(f"is {name!r}, and there is no file {files[0]}.")
    try:
        with Store.open(db) as store:
            stored = store.find(name if file is None else str(file))
    except AblateError as error:
        if file is None:
            raise AblateError(f"is {name!r}; there is no {files[1]}, and {error}") from error
        stored = None
    if stored is not None and file is not None and stored.record.file != str(file.resolve()):
        stored = None  # another study of that name
    moved = _moved(study, overrides, file) if file is not None else ()
    called = stored.name if stored is not None else studies.load(file, moved).name if file is not None else name
    if called in within:
        raise AblateError(f"is {name!r}: a circle, for {' starts from '.join((*within, called))}.")
    return find(str(file) if stored is None else stored.name, db, moved, within)


def _moved(study: Study, overrides: Sequence[str], parent: Path) -> tuple[str, ...]:
    """The --set options that say where the data lie, for the parent too: both files name one and the same folder."""
    given = tuple(one for one in overrides if one.partition("=")[0].removeprefix("base.") == "data.root")
    root = _root(Path(study.path)) if given and study.path else None
    return given if root is not None and root == _root(parent) else ()


def _root(file: Path) -> Json:
    """`base.data.root` as the file has it; None where it has none. What else is wrong with the file is told later."""
    try:
        root, _ = yaml_file.read(yaml_file.decoded(file.read_bytes(), str(file)), str(file))
    except (OSError, StudyError):
        return None
    given: Any = None if root is None else yaml_file.unfold(root).value
    for key in ("base", "data", "root"):
        given = given.get(key) if isinstance(given, Mapping) else None
    return given


def _start(parent: Planned, wanted: Parent, db: str) -> Start | str:
    from ablate.runs import lineage  # it loads numpy and scipy, which no other plan needs

    try:
        with Store.open(db) as store:
            return lineage.start(parent.plan, store, wanted)
    except NoDatabaseError:
        return NOT_TRAINED


def again(plan: Planned, db: str) -> Planned:
    """The plan once more, after the studies that it waited for were trained. AblateError where it still waits."""
    now = planned(plan.study, db, plan.overrides)
    if now.plan.pending:
        raise AblateError("\n".join(note for note in now.plan.notes if note.startswith("Pending")))
    return now


# ------------------------------------------------------------------------------------------------------------- its runs


def described(plan: planning.Plan, run: PlannedRun) -> dict[str, Json]:
    """What a run is asked, as the database keeps it for people and for changes.py."""
    done = plan.variant(run.variant).completed
    tricks = [[use.name, dict(use.params)] for use in done.tricks]
    task = plan.study.task.written if done.task is None else done.task
    said = {"task": task, "config": done.config, "tricks": tricks, "seed": run.draws}
    said |= {"threads": plan.study.resources.threads, "data": done.data}
    said |= {"code": with_edits(done.code, run.edited)}
    return {**said, **done.kept_start}


def folder_name(study: str) -> str:
    """A study's name as the name of a folder: letters, digits, dot, dash and underscore; told apart by a hash."""
    plain = re.sub(r"[^\w.-]", "_", study, flags=re.ASCII).strip(".")
    clear = plain == study and not plain.endswith(".db")  # the database lies in the same folder
    return plain if clear else f"{plain[:40]}-{identity.sha256(study)[:8]}"


def specs(planned: Planned, folder: Path) -> dict[str, RunSpec]:
    """The specification of each run, by key, in the plan's order. folder: where the database lies."""
    by_key: dict[str, RunSpec] = {}
    runs = folder / folder_name(planned.study.name) / "runs"
    plugins, sources = tuple(map(str, planned.registry.folders)), planned.sources
    measured = {run.evaluates for run in planned.plan.runs} - {""}
    for run in planned.plan.runs:
        if run.key not in by_key:
            own, cache = str(runs / run.key), str(folder / ".cache")
            keep = planned.study.weights != "none" or run.key in measured
            spec = planned.plan.spec(run, own, cache, plugins, planned.path, keep)
            edited = {str(Path(planned.path[0], name).resolve()): sha for name, sha in run.edited.items()}
            by_key[run.key] = replace(spec, sources=sources, edited=edited)
    return by_key


# -------------------------------------------------------------------------------------------------------- how far it is


def find_run(store: Reader, name: str, study: str | None = None) -> str:
    """The key of the run that `name` means: a key, its first digits, or VARIANT:SEED of a study (None: the last)."""
    keys = store.run_keys(name) if re.fullmatch("[0-9a-f]{4,64}", name) else []
    if len(keys) == 1:
        return keys[0]
    if keys:
        shown = one_of(key[: len(name) + 6] for key in keys[:5])
        raise AblateError(
            f"{len(keys)} runs start with {name!r}: {shown}{', ...' if len(keys) > 5 else ''}; give more digits."
        )
    variant, _, seed = name.rpartition(":")
    stored = store.study(None) if study is None else store.find(study)
    cells = store.cells(stored.name, get_args(Role)) if stored else []
    for cell in cells:
        if (cell.variant, str(cell.seed)) == (variant, seed):
            return cell.run
    which = "a study" if stored is None else f"{stored.name}{', the study last run' * (study is None)}"
    hint = did_you_mean(name, [f"{cell.variant}:{cell.seed}" for cell in cells])
    raise AblateError(f"no run is called {name!r}; give a key's first digits, or VARIANT:SEED of {which}.{hint}")
