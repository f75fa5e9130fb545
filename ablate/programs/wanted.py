"""Where a study says that a command's numbers are: `metrics:`, `derive:`, `step:`; each mistake at its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ablate.errors import ConfigError
from ablate.programs.arithmetic import Formula
from ablate.programs.printed import JsonReader, PatternReader, Reader
from ablate.records import Json
from ablate.text import did_you_mean, one_of

_KINDS = ("file", "stdout", "regex")


@dataclass(frozen=True)
class Source:
    """One place of `metrics:`. glob: of files; else what reads the output."""

    glob: str = ""
    reader: Reader | None = None

    @property
    def where(self) -> str:
        return f"files {self.glob}" if self.glob else "standard output"


@dataclass(frozen=True)
class Wanted:
    """sources: in the order in which they are tried for each name; none where it is automatic. asked: the names that
    the study's table shows. besides: a glob of files that hold no metrics: a line is an example there, no step."""

    sources: tuple[Source, ...] = ()
    derive: tuple[tuple[str, Formula], ...] = ()
    step: str = ""
    asked: tuple[str, ...] = ()
    besides: str = ""

    @property
    def automatic(self) -> bool:
        return not self.sources

    @cached_property
    def looked_for(self) -> tuple[str, ...]:
        """Names that must be found: what the study asks for, derived ones by what they take."""
        derived = dict(self.derive)
        taken = [name for formula in derived.values() for name in formula.names]
        return tuple(dict.fromkeys([*(name for name in self.asked if name not in derived), *taken]))


def wanted(
    metrics: Sequence[Mapping[str, Json]], derive: Mapping[str, str], step: str, asked: Sequence[str] = ()
) -> Wanted:
    """What a task's keys say. ConfigError below `task`."""
    problems: list[tuple[str, str]] = []
    sources = []
    for i, given in enumerate(metrics):
        key = f"task.metrics.{i}"
        stray = next((name for name in given if name not in _KINDS), None)
        if stray is not None:
            near = did_you_mean(stray, _KINDS)
            problems.append((f"{key}.{stray}", f"is no key of a place of metrics; it has {one_of(_KINDS)}.{near}"))
        elif len(given) != 1:
            problems.append((key, f"must have one of {one_of(_KINDS)}."))
        else:
            ((kind, value),) = given.items()
            if not isinstance(value, str) or not value:
                problems.append((f"{key}.{kind}", f"is {value!r}; it must be text."))
                continue
            try:
                sources.append(_source(kind, value, step))
            except ValueError as error:
                problems.append((f"{key}.{kind}", f"is {value!r}; {error}."))
    formulas = []
    for name, text in derive.items():
        try:
            formulas.append((name, Formula.of(text)))
        except ValueError as error:
            problems.append((f"task.derive.{name}", f"is {text!r}; {error}."))
    if problems:
        raise ConfigError(problems)
    return Wanted(tuple(sources), tuple(formulas), step, tuple(asked))


def _source(kind: str, value: str, step: str) -> Source:
    if kind == "file":
        return Source(glob=value)
    if kind == "stdout" and value == "json":
        return Source(reader=JsonReader(step))
    return Source(reader=PatternReader(value, kind == "regex", step))
