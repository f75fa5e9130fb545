"""The class that a function's `config` is annotated with: a dataclass, or a pydantic model.

A configuration is validated against it in the plan and passed as it in a run. The plan asks a process of its own, for
the class is known only where its module is imported; one process for a function, which answers for every variant.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import importlib
import json
import os
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ablate.errors import ConfigError
from ablate.records import Json
from ablate.registry import says
from ablate.text import did_you_mean, one_of

_HOME = str(Path(__file__).resolve().parents[2])
_BEGIN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); import ablate; del sys.path[0]; "
    "from ablate.training.configured import main; main()"
)


def class_of(function: Callable[..., Any]) -> type | None:
    """The class that the first parameter is annotated with; None where that is no dataclass and no pydantic model."""
    code = getattr(function, "__code__", None)
    name = code.co_varnames[0] if code is not None and code.co_argcount else ""
    found = typing.get_type_hints(function).get(name) if name in getattr(function, "__annotations__", ()) else None
    known = isinstance(found, type) and (dataclasses.is_dataclass(found) or hasattr(found, "model_validate_json"))
    return found if known else None


def configured(kind: type, config: Mapping[str, Json]) -> Any:
    """The configuration as an instance. ConfigError names each key that the class refuses."""
    import pydantic

    problems = list(_stray(kind, config, ""))
    text = json.dumps(config)
    try:
        if validate := getattr(kind, "model_validate_json", None):
            made = validate(text)  # as strict as the model wants to be
        else:
            made = pydantic.TypeAdapter(kind).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        found = [(".".join(map(str, item["loc"])), says(item)) for item in error.errors(include_url=False)]
        problems += [(key, message) for key, message in found if key not in dict(problems)]
    if problems:
        raise ConfigError(problems)
    return made


def _stray(kind: Any, config: Mapping[str, Json], at: str) -> Iterator[tuple[str, str]]:
    """Keys that a dataclass has no field for: pydantic would leave them out without a word."""
    if not dataclasses.is_dataclass(kind):
        return
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.init]
    for key, value in config.items():
        if key not in names:
            has = f"has no field {key!r}; it has {one_of(names) or 'none'}.{did_you_mean(key, names)}"
            yield at + key, f"{getattr(kind, '__name__', kind)} {has}"
        elif isinstance(value, Mapping):
            yield from _stray(hints.get(key), value, f"{at}{key}.")


# --------------------------------------------------------------------------------------------------- asked in the plan


class Checker:
    """A process that has imported a function and says what its class makes of configurations."""

    def __init__(self, module: str, function: str, folders: Sequence[str]) -> None:
        # Not in the terminal's group, and without a word on its standard output, for that carries the answers.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BEGIN, _HOME, module, function, *folders], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True, env={"PYTHONHASHSEED": "0", **os.environ},
        )  # fmt: skip
        self._known: dict[str, list[tuple[str, str]]] = {}

    def check(self, config: Mapping[str, Json]) -> None:
        """ConfigError where the class refuses it, or (key `task`) the function cannot be imported."""
        text = json.dumps(config)
        if text not in self._known:
            self._known[text] = self._asked(text)
        if self._known[text]:
            raise ConfigError(self._known[text])

    def _asked(self, text: str) -> list[tuple[str, str]]:
        asked, answers = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answers is not None
        try:
            print(text, file=asked, flush=True)
            return [(key, message) for key, message in json.loads(answers.readline())]
        except (OSError, ValueError):
            return [("task", "cannot be imported to learn what its `config` is: the process that tried ended.")]

    def close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.kill()
        self._process.wait()


_checkers: dict[tuple[str, ...], tuple[Mapping[str, str], Checker]] = {}


def checker(module: str, function: str, folders: Sequence[str], sources: Mapping[str, str]) -> Checker:
    """The process for this function as its sources are now: one is kept, for whoever plans asks again and again."""
    name = (module, function, *folders)
    if name in _checkers and _checkers[name][0] != sources:
        _checkers.pop(name)[1].close()
    if not _checkers:
        atexit.register(close)
    if name not in _checkers:
        _checkers[name] = (dict(sources), Checker(module, function, folders))
    return _checkers[name][1]


def close() -> None:
    """End every process that is kept."""
    while _checkers:
        _checkers.popitem()[1][1].close()


def main() -> None:
    """The process: arguments are module, function, folders. A configuration a line in, the problems a line out."""
    module, function, *folders = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the module prints is none of the answers
    sys.path[:0] = folders
    problems: list[tuple[str, str]] = []
    kind: type | None = None
    try:
        kind = class_of(getattr(importlib.import_module(module), function))
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error}"
        problems = [("task", f"cannot be imported to learn what its `config` is: {why}")]
    for line in sys.stdin:
        found = problems
        if kind is not None:
            try:
                configured(kind, json.loads(line))
            except ConfigError as error:
                found = list(error.problems)
        print(json.dumps(found), file=answers, flush=True)
