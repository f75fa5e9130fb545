"""The calls: `ablate.study`, `ablate.load`, `ablate.open`, and what can be done with a study.

A study made here is a study file that nobody wrote: its arguments are read and checked as the file's text is, and the
database keeps that text, so that every command works on it, too. Its paths start from the working directory; where its
function was written as a module, it lies with that in the study's folder beside the database.
"""

from __future__ import annotations

import inspect
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ablate.errors import AblateError, ConfigError, Problem, StudyError
from ablate.python import asked
from ablate.python.called import all_spoken, spoken
from ablate.python.results import Database, Results
from ablate.python.shown import Plan, write
from ablate.python.watched import Notebook, view
from ablate.python.written import Written, what_is, written
from ablate.records import Json
from ablate.records import Study as StudyRecord
from ablate.runs import execute, planned, progress
from ablate.runs.afterwards import settled
from ablate.scripts.sources import module_at
from ablate.store.store import Store
from ablate.study import file as studies
from ablate.study.changes import of_texts
from ablate.terminal.options import Terminal, check_workers
from ablate.terminal.printed import Foretold, standing_line

Function = Callable[..., Any]
Named = Mapping[str, Any]
Listed = str | Sequence[Any]


@spoken
def study(
    task: Function | str | Named | None = None,
    *,
    command: str | Sequence[str] | None = None,
    study: str | None = None,
    question: str = "",
    base: Any = None,
    tricks: Named | None = None,
    designs: str | Named | Sequence[str | Named] | None = None,
    variants: Named | None = None,
    baseline: str | None = None,
    seeds: int | Sequence[int] | Named | None = None,
    metric: str | Named | None = None,
    also: str | Sequence[str | Named] | None = None,
    rules: Named | None = None,
    resources: Named | None = None,
    limits: Named | None = None,
    tune: Named | None = None,
    weights: str | None = None,
    plugins: str | Path | Sequence[str | Path] | None = None,
    analysis: Named | None = None,
    notes: Named | None = None,
    placebo: bool | None = None,
    across: Named | None = None,
    engines: Any = None,
    db: str | Path | None = None,
) -> Study:
    """A study, checked. The arguments are the keys of a study file (`ablate help study-file`) and mean the same.

    task: a function `(config, run)`, or what the file's `task:` takes; command: the command of one. study: its name;
    that of the function or the script unless given. tricks: `{"mixup": {"mixup": 0.2}}` is short for a trick that
    changes these keys of the base. db: as for `open`. StudyError with every mistake, by argument.
    """
    function = task if callable(task) and not isinstance(task, str | Mapping) else None
    if command is not None and task is not None:
        raise StudyError([Problem(asked.CALLED, 0, 0, "command", "stands beside a task; give one of them.")])
    given = asked.in_full(
        asked.given(
            {
                "study": study, "task": {"command": command} if command is not None else None if function else task,
                "base": base, "tricks": tricks, "designs": designs, "variants": variants, "baseline": baseline,
                "seeds": seeds, "metric": metric, "also": also, "rules": rules, "resources": resources,
                "limits": limits, "tune": tune, "weights": weights, "plugins": plugins, "analysis": analysis,
                "notes": notes, "placebo": placebo, "across": across, "engines": engines,
            }
        )
    )  # fmt: skip
    place = database(db)
    name = given.get("study") or asked.name_of(task, command)
    folder, module = Path.cwd(), None
    if function is not None:
        target, module = _target(function)
        given = {"task": target, **given}
    if module is not None:
        folder = _folder(place) / planned.folder_name(str(name))
        write(module.text, folder / f"{module.module}.py")
    made = Made({"study": name, **given}, question, folder, place, module, function)
    made.record()
    return made


@spoken
def load(path: str | Path, *, set: Named | None = None, db: str | Path | None = None) -> Study:
    """The study of a file. set: changes by dotted key, as --set makes them: `{"seeds": 3, "optimizer.lr": 0.1}`."""
    file = Path(path)
    overrides = tuple(asked.overrides(set or {}))
    return Loaded(file, overrides, studies.load(file, overrides).name, database(db))


@spoken
def open(db: str | Path | None = None) -> Database:
    """A database's studies: `ablate.open("results/ablate.db")["batchnorm"]` has the results of one.

    db: a SQLite file or a postgresql:// URL; $ABLATE_DB, else results/ablate.db, unless given.
    """
    return Database(database(db))


def database(db: str | Path | None) -> str:
    place = str(db or os.environ.get("ABLATE_DB") or "results/ablate.db")
    return place if "://" in place else os.path.expanduser(place)


@all_spoken
class Study:
    """A study that can be planned, run and saved. Files that it names are read when that is asked for."""

    def __init__(self, name: str, db: str) -> None:
        self.name = name
        self.db = db

    @abstractmethod
    def record(self) -> StudyRecord:
        """The study, read and checked now."""

    @abstractmethod
    def _planned(self) -> planned.Planned: ...

    @abstractmethod
    def save(self, path: str | Path) -> Path:
        """Write the study file that says the same, and the module of its function beside it; paths in it start from
        its folder. AblateError where another file is there."""

    def plan(self) -> Plan:
        """What would be trained, and what would not: what `ablate plan` prints."""
        return Plan(Foretold.of(self._planned(), self.db))

    def run(
        self,
        *,
        workers: int | None = None,
        devices: str | Iterable[str] = (),
        retry_failed: bool = False,
        canary: bool = True,
        executor: str = execute.LOCAL,
        quiet: bool = False,
    ) -> Results:
        """Train what is missing; returns the results. The arguments are the options of `ablate run`.

        Runs are processes of their own, started by another program and never forked from this one. KeyboardInterrupt
        (Ctrl-C, a notebook's stop) ends what runs, keeps what is done, and is raised; outside the main thread there are
        no signals to hear. Runs that fail are data: the table counts them, `runs()` has the reasons.
        """
        terminal = Terminal(self.db, quiet)
        terminal.before_writing()
        ready = self._planned()
        names = tuple(devices.split(",")) if isinstance(devices, str) and devices else tuple(devices)
        options = execute.Options(check_workers(workers, "workers"), names, retry_failed, canary, executor=executor)
        with view(quiet=quiet) as watcher:
            ended = execute.execute(ready, self.db, options, watcher)
            if isinstance(watcher, Notebook):
                with Store.open(self.db) as store:
                    watcher.end(standing_line(self.name, progress.standing(store, self.name)["counts"]))
        if ended.stopped_by is not None:
            raise KeyboardInterrupt("stopped; what is done is kept. Run it again to go on.")
        if not ended.alike:
            for sentence in settled(ready, self.db):
                terminal.say(sentence)
        return self.results()

    def results(self, setting: str | None = None) -> Results:
        """What there is of it already. AblateError where it was not run yet. setting: of a study with `across:` the one
        that is meant; None: all of them together."""
        with Store.open(self.db) as store:
            store.find(self.name)
        return Results(self.db, self.name, setting)


@all_spoken
class Loaded(Study):
    """The study of a file, read anew whenever it is planned or run."""

    def __init__(self, file: Path, overrides: tuple[str, ...], name: str, db: str) -> None:
        super().__init__(name, db)
        self.file = file
        self.overrides = overrides

    def record(self) -> StudyRecord:
        return studies.load(self.file, self.overrides)

    def _planned(self) -> planned.Planned:
        return planned.find(str(self.file), self.db, self.overrides)

    def save(self, path: str | Path) -> Path:
        if self.overrides:
            raise AblateError(f"{self.file} was loaded with changes (set=), which a copy of it would not have.")
        return _saved({_study_file(path): self.record().text})

    def __repr__(self) -> str:
        return f"study {self.name!r} of {self.file}"


@all_spoken
class Made(Study):
    """A study of arguments. folder: where the file would lie; module: of its function, where it was written as one."""

    def __init__(
        self,
        given: Mapping[str, Json],
        question: str,
        folder: Path,
        db: str,
        module: Written | None,
        function: Function | None,
    ) -> None:
        super().__init__(str(given["study"]), db)
        self._given, self._question, self._folder, self._module = given, question, folder, module
        self._function = function
        self._started = Path.cwd()

    def _text(self, folder: Path) -> str:
        """The study file, as it would lie in a folder."""
        given, plugins = self._given, self._given.get("plugins")
        if plugins is not None and folder.resolve() != self._started:
            named = [plugins] if isinstance(plugins, str) else plugins
            away = [os.path.relpath(self._started / str(one), folder.resolve()) for one in named]
            given = {**given, "plugins": away}
        return asked.text(self._question, given)

    def record(self) -> StudyRecord:
        called = f"{planned.folder_name(self.name)}.yaml"
        with self._by_argument():
            return studies.parse(self._text(self._folder), called, (), self._folder, located=False)

    @contextmanager
    def _by_argument(self) -> Iterator[None]:
        called = f"{planned.folder_name(self.name)}.yaml"
        try:
            yield
        except StudyError as error:
            raise asked.by_argument(error, (called, str(self._folder / called))) from None

    def _written_anew(self) -> None:
        """A constant that the function uses may have another value since the study was made: it would use that one."""
        if self._function is None or self._module is None:
            return
        _, module = _target(self._function)
        if module is not None and module != self._module:
            write(module.text, self._folder / f"{module.module}.py")
            self._module = module

    def _planned(self) -> planned.Planned:
        self._written_anew()
        record = self.record()
        file = Path(record.path)
        if file.is_file() and (differing := of_texts(file.read_text(errors="replace"), record.text)):
            raise AblateError(
                f"{file} is a study of this name, and it says otherwise ({'; '.join(differing[:3])}). Give this one "
                f"another name by `study=`, or load the file: ablate.load({file.name!r})."
            )
        with self._by_argument():
            return planned.planned(record, self.db)

    def save(self, path: str | Path) -> Path:
        file = _study_file(path)
        text = self._text(file.parent)
        if self._module is not None:
            return _saved({file: text, file.parent / f"{self._module.module}.py": self._module.text})
        studies.parse(text, file.name, (), file.parent)  # its paths mean something else in another folder
        return _saved({file: text})

    def __repr__(self) -> str:
        return f"study {self.name!r}\n{self._text(self._started)}"


def _study_file(path: str | Path) -> Path:
    file = Path(path)
    if file.suffix not in (".yaml", ".yml"):
        raise AblateError(f"a study file ends in .yaml; did you mean {file.name}.yaml?")
    return file


def _saved(files: Mapping[Path, str]) -> Path:
    """Write them; returns the first. AblateError where one is there and says something else: then none is written."""
    for file, content in files.items():
        if file.is_file() and file.read_text(errors="replace") != content:
            raise AblateError(f"{file} exists already and says otherwise; choose another name or remove it.")
    for file, content in files.items():
        write(content, file)
    return next(iter(files))


def _target(function: Function) -> tuple[str, Written | None]:
    """How a study names a function: in a module of the user's, or in one that is written of it. StudyError, for the
    argument task, where it cannot be named."""

    def refused(why: str) -> StudyError:
        return StudyError([Problem(asked.CALLED, 0, 0, "task", why, "python")])

    if not inspect.isfunction(function):
        raise refused(f"is {what_is(function)}; it must be a function written with `def`, which takes (config, run).")
    module, name = function.__module__, function.__qualname__
    file = module_at(module, [Path.cwd()]) if module not in ("__main__", "__mp_main__") else None
    if file is not None and name.isidentifier() and str(file) == os.path.realpath(inspect.getfile(function)):
        return f"{module}:{name}", None
    try:
        own = written(function)
    except ConfigError as error:
        raise StudyError([Problem(asked.CALLED, 0, 0, key, why, "python") for key, why in error.problems]) from None
    return own.target, own


def _folder(db: str) -> Path:
    """Where the database lies; of a server's nothing lies here but runs' files."""
    return Path("results").resolve() if "://" in db else Path(db).resolve().parent
