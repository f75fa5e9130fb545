"""The study file: text in, a checked Study out, or every mistake in it at once, each with its place.

yaml_file reads the text, structure checks its form, lookup looks names up; here the task is asked whether
it takes the base, the base with each trick, and each variant listed by hand. Which variants the designs choose, and
what only they show to be wrong, is plan's matter. Nothing is trained and torch is not imported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.errors import (
    AblateError,
    ConfigError,
    DataError,
    OutputsError,
    PluginError,
    Problem,
    StudyError,
    UnfitError,
)
from ablate.records import Cell, Choice, Json, Study, TaskUse
from ablate.registry import Registry, unknown
from ablate.study.cells import closure, copied, layers, leaves, origin, patched, uses_of
from ablate.study.findings import parts
from ablate.study.form import StudyForm
from ablate.study.lookup import Lookup
from ablate.study.structure import Finding, keys
from ablate.study.structure import schema as form_schema
from ablate.study.yaml_file import (
    LIMIT_BYTES,
    LIMIT_DEPTH,
    SWITCHES,
    Node,
    Place,
    Trail,
    Unfolded,
    decoded,
    read,
    replaced,
    said,
    unfold,
)
from ablate.text import did_you_mean, listed, one_of
from ablate.training.task import Completed, Task, plain_names, resolve

_NOTHING = object()


# --------------------------------------------------------------------------------------------------------------- files


def load(path: Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file. overrides: `KEY=VALUE` of --set. StudyError with every problem."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise StudyError([Place(str(path)).problem((), _unreadable(path, error))]) from None
    return parse(decoded(data, str(path)), str(path), overrides, path.parent)


def parse(
    text: str, file: str, overrides: Sequence[str] = (), folder: Path | None = None, *, located: bool = True
) -> Study:
    """Read a study from its text. file: its name in messages. folder: where `plugins:` and a task's module are looked
    for, beside the working directory; None where the study lies in no folder. located: False for text that is no file,
    whose places then have no line. StudyError with every problem."""
    root, problems = read(text, file, located=located)
    if root is None:
        raise StudyError([Place(file).problem((), "is empty; `ablate init FILE` writes a study to start from.")])
    if not isinstance(root.value, dict):
        message = f"is no mapping of keys such as {one_of(keys(StudyForm)[:4])}; `ablate init FILE` writes an example."
        raise StudyError([*problems, root.place.problem((), message)])
    root, wrong = _overridden(root, overrides, folder)
    reader, study = _checked(unfold(root), text, file, folder)
    meant = {finding.path for finding in reader.findings} & reader.given.switches.keys()
    if meant:  # a bare on or off was refused as text; where it is taken as a boolean, a boolean was meant
        again, _ = _checked(unfold(root, meant), text, file, folder)
        meant -= {finding.path for finding in again.findings}
        reader, study = _checked(unfold(root, meant), text, file, folder)
    worded = reader.given.switches or reader.given.numerals
    named = _named(unfold(root), folder) if worded else None
    if named is not None and named.free_form:
        _refuse_bare_words(reader)
    problems += wrong + reader.problems(problems)
    if problems:
        raise StudyError(problems)
    return replace(study, notes=reader.all_notes())


def _refuse_bare_words(reader: Lookup) -> None:
    """A bare yes or no that reaches a function: in Python both texts are true, so the trick would change nothing. A
    bare 0b101 or 1,000, which is no number in YAML 1.2: twice that text is 1,0001,000."""
    of_function = ("base", "tricks", "variants", "tune")
    for path in reader.given.numerals:
        if path[0] in of_function:
            word = str(reader.given.get(path))
            plain = str(int(word, 0)) if word[:1] == "0" and word[1:2].isalpha() else re.sub("[_,]", "", word)
            message = f"is a bare {word}, which a function gets as text; write {plain} for the number, {word!r} in "
            reader.wrong(path, f"{message}quotes for text.", page="own-code")
    for path in reader.given.switches:
        if path[0] in of_function:
            word = reader.given.get(path)
            message = f"is a bare {word}, which a function gets as text, and any text is true in Python; write true or "
            reader.wrong(path, f"{message}false for a boolean, {word!r} in quotes for text.", page="own-code")


def _checked(given: Unfolded, text: str, file: str, folder: Path | None) -> tuple[Lookup, Study]:
    """The study, and the reader that holds what is wrong with it."""
    reader, task = Lookup(given, text, file, folder), None
    try:
        task = _task(reader.form.task, reader.registry, folder or Path.cwd())
    except ConfigError as error:
        reader.findings += [Finding(parts(key), message, _names_key(message)) for key, message in error.problems]
    except PluginError as error:
        reader.wrong(("task",), str(error), page=error.page)
    study = reader.study(task)
    try:
        study = replace(study, base=patched({}, study.base, study.flat), written_base=study.base)
    except ConfigError as error:
        reader.findings += [Finding(("base", key), message) for key, message in error.problems]
    else:
        if task is not None:
            _try_all(study, task, reader)
    return reader, study


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        beside = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        near = did_you_mean(path.name, beside) or (f" {path.parent} has {one_of(beside[:8])}." if beside else "")
        return f"there is no such file.{near} `ablate init FILE` writes a study to start from."
    if isinstance(error, IsADirectoryError):
        inside = sorted(str(p) for p in path.glob("*.y*ml"))
        return f"is a folder; name one file of it{': ' + one_of(inside[:8]) if inside else ''}."
    return f"cannot be read: {error.strerror or error}."


def _overridden(root: Node, overrides: Sequence[str], folder: Path | None) -> tuple[Node, list[Problem]]:
    """The tree with each `KEY=VALUE` in its place: a key of the study, else a key of the base."""
    problems: list[Problem] = []
    for override in overrides:
        key, equals, value = override.partition("=")
        place, trail = Place(f"--set {override}"), tuple(key.strip().split("."))
        if not equals or "" in trail or len(trail) > LIMIT_DEPTH:
            problems.append(place.problem((), "is not KEY=VALUE, such as seeds=3 or optimizer.lr=0.1."))
            continue
        try:
            node, wrong = read(value, place.file, located=False)
        except StudyError as error:
            wrong = list(error.problems)
        problems += wrong
        if wrong:
            continue
        trail = trail if trail[0] in keys(StudyForm) else ("base", *trail)
        absent = _absent_from_base(root, trail, folder)
        if absent:
            problems.append(place.problem(trail, absent, "own-code"))
            continue
        try:
            root = replaced(root, trail, node or Node(place, None))
        except KeyError as error:
            problems.append(place.problem(trail, f"cannot be set: {error.args[0]} is not a mapping."))
    return root, problems


def _absent_from_base(root: Node, trail: Sequence[str], folder: Path | None) -> str:
    """What is wrong with setting a key that the base of a free-form task does not have; empty where nothing is."""
    given: Any = unfold(root).value
    if trail[0] != "base" or len(trail) == 1:
        return ""
    task = _named(unfold(root), folder)
    if task is None or not (task.free_form or task.flat):
        return ""
    base = given.get("base") if isinstance(given.get("base"), dict) else {}
    key, paths = ".".join(trail[1:]), list(_flat(base))
    if any(path == key or path.startswith(f"{key}.") for path in paths):
        return ""
    return (
        f"the base has no key {key!r}; it has {one_of(paths) or 'none'}.{did_you_mean(key, [*paths, *keys(StudyForm)])}"
    )


def _named(given: Unfolded, folder: Path | None) -> Task | None:
    """The task of a study; None where it cannot be told, which is said later."""
    reader = Lookup(given, "", "", folder)
    try:
        return _task(reader.form.task, reader.registry, folder or Path.cwd())
    except AblateError:
        return None


# ---------------------------------------------------------------------------------------------------------------- tasks


def task_of(study: Study) -> Task:
    """The task of a study. ConfigError (key `task`) where there is none."""
    folder = Path(study.path).resolve().parent if study.path else Path.cwd()
    return _task(study.task, Registry([folder / plugin for plugin in study.plugins], [folder]), folder)


def _task(use: TaskUse, registry: Registry, folder: Path) -> Task:
    if use.name not in registry.names("tasks"):
        message = f"{unknown('task', use.name, plain_names(registry))} A function is written package.module:function."
        raise ConfigError([("task", message)])
    return resolve(use, registry, tuple(dict.fromkeys([str(folder.resolve()), str(Path.cwd())])))


# --------------------------------------------------------------------------------------------------------------- trying


def _try_all(study: Study, task: Task, reader: Lookup) -> None:
    """Try the study in each of its settings. What one setting refuses of a trick is no mistake where another takes it:
    the trick is left out there (across.py)."""
    if not study.across:
        for finding, context, _ in _Trial(study, task, reader).everything():
            reader.wrong(finding.path, f"{finding.message}{context}", finding.on_key, finding.page)
        return
    found: dict[tuple[Finding, str, str], list[str]] = {}
    for setting in study.across:
        for one in _Trial(replace(study, setting=setting), task, reader).everything():
            found.setdefault(one, []).append(setting.name)
    refused = {
        of: {name for (_, _, tried), names in found.items() if tried == of for name in names} for _, _, of in found
    }
    for (finding, context, of), settings in found.items():
        whole = len(settings) == len(study.across)
        if not of or len(refused[of]) == len(study.across):
            where = "" if whole else f" (in {listed(settings)})"
            reader.wrong(finding.path, f"{finding.message}{context}{where}", finding.on_key, finding.page)


class _Trial:
    """Asks the task about the base, the base with each trick and what it requires, and each variant listed by hand."""

    def __init__(self, study: Study, task: Task, reader: Lookup) -> None:
        self.study, self.task, self.reader = study, task, reader
        self.seen: set[Finding] = set()
        self.found: list[tuple[Finding, str, str]] = []

    def everything(self) -> list[tuple[Finding, str, str]]:
        """What is wrong, once each: the finding, what was tried in words, and the trick or variant that was; empty for
        the base."""
        # Of parts of the network each is tried alone: which of them may be away at once is the plan's matter.
        whole = tuple(trick.choices[0] for trick in self.study.tricks if trick.part)
        base = self.attempt(Cell(whole), "")
        tricks = {trick.name: trick for trick in self.study.tricks}
        for trick in self.study.tricks:
            needed = closure(trick.name, tricks)
            if not self.reader.broken.isdisjoint(needed):
                continue
            if trick.part:
                rest = tuple(choice for choice in whole if choice.trick != trick.name)
                self.attempt(Cell(rest), f"with {trick.name!r} off", ("tricks", trick.written))
                continue
            others = tuple(tricks[name].choices[0] for name in needed if name != trick.name)
            for choice in trick.choices:
                on = tuple(choice if name == trick.name else tricks[name].choices[0] for name in needed)
                on += tuple(other for other in whole if other not in on)
                if self.on_another_base(choice) and self.complete(Cell(on))[1]:
                    continue  # it is meant for another architecture, say, and is tried there below
                done = self.attempt(Cell(on), f"with {str(choice)!r} on", ("tricks", trick.name))
                if done is not None and base is not None:
                    before = base if not others else self.complete(Cell((*others, *whole)))[0]
                    same = before is not None and (before.asked, before.tricks) == (done.asked, done.tricks)
                    if same and self.study.setting is None:
                        self.reader.notes.append(f"{choice} changes nothing: the base is so already.")
        for variant in self.study.variants:
            self.attempt(variant.cell, f"in variant {variant.name!r}", ("variants", variant.name))
        return self.found

    def on_another_base(self, choice: Choice) -> bool:
        """Whether a variant listed by hand has it on a changed base."""
        return any(variant.set and choice in variant.tricks for variant in self.study.variants)

    def attempt(self, cell: Cell, who: str, own: Trail = ()) -> Completed | None:
        """The completed configuration, or None after reporting what is new. own: the place that needs no `who`."""
        done, findings = self.complete(cell)
        for finding in findings:
            if finding not in self.seen:
                self.seen.add(finding)
                context = "" if not who or finding.path[:2] == own else f" ({who})"
                self.found.append((finding, context, who))
        if done is not None:
            self.check_epoch(done, who)
        return done

    def complete(self, cell: Cell) -> tuple[Completed | None, list[Finding]]:
        """What the task makes of a cell, or what is wrong with it, at the places where it was written."""
        config = copied(self.study.base)
        for path, changes in layers(self.study, cell):
            switches = self.reader.given.switches
            if self.task.flat:
                absent = list(_absent_option(config, changes, path))
            else:
                absent = list(_absent(config, changes, path, switches)) if self.task.free_form else []
            if absent:
                return None, absent
            try:
                config = patched(config, changes, self.study.flat)
            except ConfigError as error:
                return None, [Finding((*path, key), message, True) for key, message in error.problems]
        uses = uses_of(self.study, cell)
        try:
            return self.task.completed(config, uses, self.reader.registry), []
        except (UnfitError, OutputsError):  # the plan says so, where a variant is this cell
            return None, []
        except ConfigError as error:
            return None, [self._finding(cell, *problem) for problem in error.problems]
        except AblateError as error:  # data that are missing, a plug-in that cannot be imported
            data = config.get("data")
            key = ("data.root" if "root" in data else "data") if isinstance(data, dict) else ""
            return None, [self._finding(cell, key * isinstance(error, DataError), str(error), error.page)]

    def _finding(self, cell: Cell, key: str, message: str, page: str = "") -> Finding:
        """What the task says of a dotted key, at the place where the key was written."""
        return Finding(origin(self.study, cell, key), message, key != "task" and _names_key(message), page)

    def check_epoch(self, done: Completed, who: str) -> None:
        """A numbered epoch, at which a study takes its metric, must be one that every run has."""
        at, epochs = self.study.metric.at, done.config.get(self.task.epochs)
        if not isinstance(at, int):
            return
        message = ""
        if isinstance(epochs, int) and at > epochs:
            message = f"is {at}, but a run has {epochs} epochs; it may be last or best too."
        elif done.config.get(self.task.ends_early):
            message = f"is {at}, and with {self.task.ends_early} a run may end before; it must be last or best."
        finding = Finding(("metric", "at"), message)
        if message and finding not in self.seen:
            self.seen.add(finding)
            self.found.append((finding, f" ({who})" if who else "", who))


def _absent(
    config: Mapping[str, Json], changes: Mapping[str, Json], path: Trail, switches: Collection[Trail], above: str = ""
) -> Iterator[Finding]:
    """Keys that `set:` names and a function task's base lacks: what no function reads changes nothing, silently.

    Also a bare on or off where the base has a boolean, so that it is read as one.
    """
    for key, value in changes.items():
        inner: Any = config
        for part in key.split("."):
            inner = inner.get(part, _NOTHING) if isinstance(inner, Mapping) else _NOTHING
        if inner is _NOTHING:
            message = (
                f"the base has no key {above + key!r}; write it under `base:` too, as it is when the trick is off."
            )
            names = [above + name for name in _flat(config)]
            yield Finding((*path, key), message + did_you_mean(above + key, names), True, "own-code")
        elif isinstance(value, Mapping) and "name" not in value and isinstance(inner, Mapping):
            yield from _absent(inner, value, (*path, key), switches, f"{above}{key}.")
        elif isinstance(inner, bool) and (*path, key) in switches:
            yield Finding((*path, key), f"is {said(value)}; the base has {said(inner)} here.")


def _absent_option(config: Mapping[str, Json], changes: Mapping[str, Json], path: Trail) -> Iterator[Finding]:
    """Options that `set:` names and a command's base lacks: what a run without the trick has must be said."""
    for trail, key, _ in leaves(changes, path):
        if key not in config:
            message = (
                f"the base has no {key!r}; write it under `base:` too, as it is when the trick is off (null: left out)."
            )
            yield Finding(trail, message + did_you_mean(key, config), True, "own-code")


def _flat(config: Mapping[str, Json]) -> Iterator[str]:
    """The dotted keys of a configuration's leaves."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from (f"{key}.{below}" for below in _flat(value))
        else:
            yield key


def _names_key(message: str) -> bool:
    """Whether a message is about the key itself ("model 'vgg' has no parameter 'widht'"), not about its value."""
    return " has no " in message


# -------------------------------------------------------------------------------------------------------------- editors


def schema() -> dict[str, Any]:
    """A JSON Schema of the study file, for editors that complete and check YAML."""
    return form_schema(Registry())


def starter(name: str) -> str:
    """A commented study that runs as it is. name: the study's name; what a name cannot hold becomes a hyphen."""
    name = re.sub(r"[^\w.+-]+", "-", name).strip("-.+_")[:64] or "study"
    plain = re.fullmatch(r"[A-Za-z][\w-]*", name) and name.lower() not in ("null", "true", "false", *SWITCHES)
    return _STARTER.replace("NAME", name if plain else json.dumps(name, ensure_ascii=False))


_STARTER = """\
# Does batch norm help a small VGG on handwritten digits, and does it still help next to other tricks?
study: NAME

base:                                  # what every variant starts from; all that is left out has a default
  model: {name: vgg, width: 8}         # `ablate list models` prints what there is
  data: {name: digits, train_size: 400}
  optimizer: {name: sgd, lr: 0.05}
  schedule: {name: constant}
  epochs: 10
  batch_size: 50

tricks:                                # what can be switched on; a dotted key patches one value of the base
  batchnorm: {set: {model.norm: batch}, category: batchnorm}
  crop_flip: {with: {flip: false}}     # a file of the tricks' shelf: `ablate list tricks`
  label_smoothing:                     # with nothing after the colon it has its defaults
  cosine: {set: {schedule: {name: cosine}}, category: optimization}
  # a trick of several levels, one at a time:
  # optimizer:
  #   levels:
  #     adamw: {set: {optimizer: {name: adamw, lr: 1e-3}}}
  #     rmsprop: {set: {optimizer: {name: rmsprop, lr: 1e-3}}}
  #   category: optimization

designs: leave_one_out                 # all tricks, then without each; add_one_in adds one at a time to the base
# variants:                            # beside or in place of designs
#   A: [batchnorm, cosine]
#   wide: {set: {model.width: 16}, tricks: [batchnorm]}

seeds: 5                               # 0 to 4, the same for every variant, so that differences are of pairs
# seeds: {looks: [3, 5, 10]}           # or look by look: the next seeds go to the rows that are still open
metric: dev_accuracy                   # {name: dev_accuracy, minimum_effect: 0.5}: less than that does not matter
also: [dev_loss]
"""
