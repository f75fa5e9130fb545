"""The class that a function's `config` is annotated with: a dataclass, or a pydantic model.

A configuration is validated against it in the plan and passed as it in a run. The plan asks a process of its own, for
the class is known only where its module is imported; one process for a function, which answers for every variant.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ablate.errors import ConfigError
from ablate.records import Json
from ablate.registry import says
from ablate.text import did_you_mean, one_of
from ablate.training.answers import EndedError, answers, serve


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


def check(
    config: Mapping[str, Json], module: str, function: str, folders: Sequence[str], sources: Mapping[str, str]
) -> None:
    """ConfigError where the class refuses a configuration, or (key `task`) the function cannot be imported."""
    try:
        problems = answers("configured", (module, function, *folders), sources).ask(dict(config))
    except EndedError as error:
        problems = [("task", f"cannot be imported to learn what its `config` is: {error}.")]
    if problems:
        raise ConfigError((key, message) for key, message in problems)


def main() -> None:
    """The process: arguments are module, function, folders. A configuration a line in, the problems a line out."""
    module, function, *folders = sys.argv[1:]
    kind: type | None = None
    problems: list[tuple[str, str]] | None = None

    def answer(config: Json) -> Json:
        nonlocal kind, problems
        if problems is None:  # imported by the first question, when what the module prints is none of the answers
            kind, problems = _imported(module, function, folders)
        if kind is None:
            return problems
        try:
            configured(kind, config)
        except ConfigError as error:
            return list(error.problems)
        return []

    serve(answer)


def _imported(module: str, function: str, folders: Sequence[str]) -> tuple[type | None, list[tuple[str, str]]]:
    sys.path[:0] = folders
    try:
        return class_of(getattr(importlib.import_module(module), function)), []
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error}"
        return None, [("task", f"cannot be imported to learn what its `config` is: {why}")]
