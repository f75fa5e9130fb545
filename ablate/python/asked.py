"""The arguments of `ablate.study` as a study file says them: plain values, their YAML, and mistakes by argument.

The text is read and checked as a file's is, so words, defaults, checks and messages are those of the study file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from ablate.errors import Problem, StudyError
from ablate.python.written import what_is
from ablate.records import Json
from ablate.study.draft import escaped, key, value
from ablate.study.form import LevelForm, TrickForm
from ablate.study.structure import keys
from ablate.study.yaml_file import LIMIT_DEPTH, Trail, dotted

CALLED = "ablate.study"
"""Where a mistake is, in the place of a file's name."""


def plain(given: Any) -> Json:
    """A value as YAML has it: lists for tuples, texts for paths, numbers for numpy's, a mapping for a dataclass or a
    pydantic model. StudyError for what no file could say."""
    problems: list[Problem] = []
    made = _plain(given, (), problems)
    if problems:
        raise StudyError(problems)
    return made


def _plain(given: Any, path: Trail, problems: list[Problem]) -> Json:
    def wrong(message: str) -> None:
        problems.append(Problem(CALLED, 0, 0, dotted(path), message))

    if len(path) > LIMIT_DEPTH:
        wrong(f"is nested more than {LIMIT_DEPTH} levels deep.")
        return None
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        given = dataclasses.asdict(given)
    elif callable(dump := getattr(given, "model_dump", None)) and not isinstance(given, type):
        given = dump(mode="json")
    elif getattr(given, "shape", None) == () and callable(item := getattr(given, "item", None)):
        given = item()
    if isinstance(given, Mapping):
        strange = [one for one in given if not isinstance(one, str)]
        for one in strange:
            wrong(f"has the key {one!r}, {what_is(one)}; keys are text.")
        return {str(name): _plain(inner, (*path, str(name)), problems) for name, inner in given.items()}
    if isinstance(given, list | tuple):
        return [_plain(inner, (*path, index), problems) for index, inner in enumerate(given)]
    if isinstance(given, PurePath):
        return str(given)
    if given is None or type(given) in (bool, str):
        return given
    if type(given) is int:
        if not -(1 << 63) <= given < 1 << 63:
            wrong("is a whole number that does not fit 64 bits.")
        return given
    if type(given) is float:
        if not math.isfinite(given):
            wrong(f"is {given}; a number must be finite.")
        return given
    wrong(f"is {what_is(given)}; it must be text, a number, True, False, None, a list or a mapping of these.")
    return None


def in_full(study: dict[str, Json]) -> dict[str, Json]:
    """The same with `set:` around every trick and level that is a bare patch of the base: `{"mixup": 0.2}`."""
    base, tricks = study.get("base"), study.get("tricks")
    if not isinstance(base, dict) or not isinstance(tricks, dict):
        return study
    return {**study, "tricks": {name: _set(trick, base) for name, trick in tricks.items()}}


def _set(trick: Json, base: Mapping[str, Json], form: type[LevelForm] = TrickForm) -> Json:
    if not isinstance(trick, dict) or not trick:
        return trick
    if isinstance(trick.get("levels"), dict):
        return {**trick, "levels": {name: _set(level, base, LevelForm) for name, level in trick["levels"].items()}}
    bare = all(name in base or name.partition(".")[0] in base for name in trick)
    return {"set": trick} if bare and trick.keys().isdisjoint(keys(form)) else trick


def text(question: str, study: Mapping[str, Json]) -> str:
    """The study file that says the same, its question as the opening comment."""
    lines = [f"# {escaped(line)}".rstrip() for line in question.strip().splitlines()]
    for name, given in study.items():
        if name in ("tricks", "variants", "base") and isinstance(given, dict) and given:
            lines += [f"{name}:", *(f"  {key(one)}: {value(inner)}" for one, inner in given.items())]
        else:
            lines.append(f"{key(name)}: {value(given)}")
    return "\n".join(lines) + "\n"


def by_argument(error: StudyError, names: Sequence[str]) -> StudyError:
    """The same mistakes, said of the call: `ablate.study: tricks.mixup: ...`. names: of the file that there is not."""
    return StudyError(
        replace(problem, file=CALLED, line=0, column=0) if problem.file in names else problem
        for problem in error.problems
    )


def given(arguments: Mapping[str, Any]) -> dict[str, Json]:
    """The arguments that are there, as values of a study file."""
    made = plain({name: argument for name, argument in arguments.items() if argument is not None})
    assert isinstance(made, dict)
    return made


def overrides(changes: Mapping[str, Any]) -> Iterator[str]:
    """`KEY=VALUE` of --set, for changes by dotted key."""
    yield from (f"{name}={value(plain(change))}" for name, change in changes.items())


def name_of(task: Any, command: Any) -> str:
    """How a study is called that is given no name: after its function or its script."""
    command = task.get("command") if isinstance(task, Mapping) else command
    if isinstance(task, str) or not callable(task):
        words = command.split() if isinstance(command, str) else command if isinstance(command, list | tuple) else []
        script = next((PurePath(str(word)).stem for word in words if str(word).endswith((".py", ".sh"))), "")
        return script.strip("-._ ") or "study"
    return str(getattr(task, "__name__", "study"))
