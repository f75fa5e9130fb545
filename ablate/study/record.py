"""The plan as the database keeps it, typed: `run` stores one with each study, and all that shows results reads it.

Nobody else knows its JSON. `of` takes what any earlier ablate wrote: a part that came later has a default, so that an
old database is read and gone on with; a part that no ablate wrote is a StoreError that names the study and the part.
"""

from __future__ import annotations

import functools
from collections import abc
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ablate.errors import AblateError, ConfigError, StoreError
from ablate.identity import canonical_json, sha256
from ablate.records import Better, Json, Metric, RowKind, TaskFacts, TaskUse, TrickUse
from ablate.registry import Registry
from ablate.text import did_you_mean, one_of
from ablate.training.task import resolve


@dataclass(frozen=True, kw_only=True)
class TrickRecord:
    """A trick of the study. levels: empty where it is on or off and nothing else. part: the path of the part of the
    network that it is, of several the first that is called."""

    name: str
    label: str = ""
    category: str = ""
    levels: tuple[str, ...] = ()
    part: str = ""

    @property
    def shown(self) -> str:
        return self.label or self.name

    @property
    def choices(self) -> tuple[str, ...]:
        """As variants name them: `mixup`, or `optimizer=adamw` for a level."""
        return tuple(f"{self.name}={level}" for level in self.levels) or (self.name,)


@dataclass(frozen=True, kw_only=True)
class StartRecord:
    """The trained weights that a variant starts from: whose, in words, the key of their run, and their hash."""

    origin: str
    run: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class VariantRecord:
    """A variant. tricks: the choices that are on. of: the hand-listed variant whose changed base it stands on; empty
    for the study's own. designs: whose rows show it. config, uses: what the task completed. starts_from: pending while
    the weights are not trained; None where its seed draws them. setting: of several the one that it stands in, with
    which its name begins. control: the part whose size it lacks elsewhere."""

    name: str
    tricks: tuple[str, ...]
    of: str = ""
    placebo: bool = False
    designs: tuple[str, ...] = ()
    config: Mapping[str, Json]
    uses: tuple[TrickUse, ...] = ()
    starts_from: StartRecord | Literal["pending"] | None = None
    setting: str = ""
    control: str = ""

    @property
    def asked(self) -> str:
        """What its runs are asked, seeds and code aside. As text: 1 == True in Python, not in a configuration."""
        return canonical_json([self.config, _json(self.uses), _json(self.starts_from)])

    @property
    def identity(self) -> str:
        """Tells whether it is still what it was when it was tuned."""
        return sha256(canonical_json([self.config, _json(self.uses)]))


@dataclass(frozen=True)
class RowRecord:
    """A row of the table to come. differs: the tricks in which it differs from `compared_with`, in the file's order,
    then the keys of the base that a hand-listed variant's own `set:` changes and its comparison's does not.

    compared_with: None for the reference. label: what a view may print in place of the name ("- batchnorm", "+ mixup",
    "optimizer: adamw"); the name itself unless the design changes one trick at a time. setting: where it stands, of
    several; across: what it is called in every one of them, where its variant may be called otherwise. kind: a row of
    a "control", what a part does "beyond" its own, or what "trained" weights do without it; each is a family.
    """

    design: str
    variant: str
    compared_with: str | None
    differs: tuple[str, ...] = ()
    label: str = ""
    placebo: bool = False
    setting: str = ""
    across: str = ""
    kind: RowKind = ""


@dataclass(frozen=True, kw_only=True)
class SettingRecord:
    """A setting that the study is carried out in. baseline: as the plan's. left_out: tricks that cannot act in it, and
    why. unit: of the metric there; limits: the values that count as 0 and as 1; both where the study says so."""

    name: str
    baseline: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    limits: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Registered:
    """What of a plan is later than its study's first results. known: runs of the first plan that had results already.

    added, dropped: names by kind (tricks, seeds). changed: parts of the plan that decide how results are judged. one:
    something changed when one run had a result, which compares nothing.
    """

    known: int = 0
    added: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    dropped: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    one: bool = False


@dataclass(frozen=True, kw_only=True)
class Untuned:
    """A searched variant's own settings, and what they came to; None where the search did not try them."""

    settings: Mapping[str, Json]
    value: float | None


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A search that found something. of: the variant's `identity` then. search: its name in the journal. seeds, fresh:
    of its trials, and of the confirmation. states: of how many trials each. runs: executed for it, paused ones too.
    trial, value, settings: the winner's. winners: every one so far, for seeing one and going on is a choice."""

    variant: str
    of: str
    search: str
    sampler: str
    pruner: str
    seeds: tuple[int, ...]
    fresh: tuple[int, ...]
    trials: int
    states: Mapping[str, int]
    runs: int
    trial: int
    value: float
    settings: Mapping[str, Json]
    untuned: Untuned
    winners: tuple[Mapping[str, Json], ...]


@dataclass(frozen=True, kw_only=True)
class ImportRecord:
    """The file that runs which were trained elsewhere came from."""

    file: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """A study's plan. file, overrides: where to read the study again, and the --set options that it was read with.

    facts: what its task says of its numbers. imported: where its runs came from; None where they are ablate's own.
    registered: None where it cannot be told. rules: what a brief asks of the variants listed by hand. words: the
    authors' own, for a report.
    """

    study: str
    question: str = ""
    task: TaskUse
    facts: TaskFacts = field(default_factory=TaskFacts)
    metric: Metric
    also: Mapping[str, Better] = field(default_factory=dict)
    analysis: Mapping[str, Json] = field(default_factory=dict)
    baseline: str = ""
    seeds: tuple[int, ...]
    tricks: tuple[TrickRecord, ...]
    variants: tuple[VariantRecord, ...]
    rows: tuple[RowRecord, ...]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    imported: ImportRecord | None = None
    file: str = ""
    overrides: tuple[str, ...] = ()
    registered: Registered | None = None
    tuned: tuple[Tuned, ...] = ()
    rules: Mapping[str, Json] = field(default_factory=dict)
    across: tuple[SettingRecord, ...] = ()
    words: Mapping[str, Json] = field(default_factory=dict)

    def within(self, setting: str) -> PlanRecord:
        """The plan of one setting. AblateError where there is none of that name."""
        names = [one.name for one in self.across]
        if setting not in names:
            there = f"there is {one_of(names)}" if names else "it has no `across:`"
            raise AblateError(f"{self.study} has no setting called {setting!r}; {there}.{did_you_mean(setting, names)}")
        return replace(
            self,
            baseline=next(one.baseline for one in self.across if one.name == setting),
            variants=tuple(variant for variant in self.variants if variant.setting == setting),
            rows=tuple(row for row in self.rows if row.setting == setting),
            across=(),
        )

    @property
    def looks(self) -> tuple[int, ...]:
        """At how many seeds adaptive seeds look; empty where seeds are not adaptive."""
        return tuple(self.analysis.get("looks") or ())

    @property
    def sha(self) -> str:
        return sha256(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Json]:
        """What the database keeps; equal plans give equal text."""
        stored: dict[str, Json] = _json(self)
        return stored

    @classmethod
    def of(cls, stored: Mapping[str, Json], study: str = "") -> PlanRecord:
        """A plan that was stored for `study`. StoreError where it is not as any ablate wrote it."""
        try:
            record: PlanRecord = _record(cls, {**stored, **({"study": study} if study else {})}, "")
        except _DamagedError as damage:
            raise StoreError(
                f"the database is damaged: the stored plan of {study or stored.get('study')!r} has no {damage} as "
                "ablate writes it; restore a copy, or name another with --db"
            ) from None
        return record if stored.get("facts") else replace(record, facts=_facts_of(record.task))


def _facts_of(use: TaskUse) -> TaskFacts:
    """Of the task of a plan that was stored before plans held them. Only ablate's own tasks were there then, and making
    one loads none of a user's code."""
    own = Registry()
    try:
        return resolve(use, own).facts if use.name in own.names("tasks") else TaskFacts()
    except ConfigError:
        return TaskFacts()


# ----------------------------------------------------------------------------------------------------- to and from JSON

_NO_WORD = frozenset(
    {
        "of",
        "placebo",
        "starts_from",
        "imported",
        "registered",
        "tuned",
        "rules",
        "example",
        "setting",
        "across",
        "control",
        "kind",
        "limits",
        "words",
        "part",
        "one",
    }
)
"""Parts that are not written where they are empty: most plans have none of them."""

_NEEDED = frozenset({(Metric, "better"), (RowRecord, "differs")})
"""Parts that have a default where a person writes them, and none in a stored plan."""

_EARLIER = {(RowRecord, "kind"): "control"}
"""What parts were called in the plans that an earlier ablate stored."""


class _DamagedError(Exception):
    """The dotted place of a part that is not what it should be."""


def _json(value: Any) -> Json:
    if isinstance(value, TaskUse):
        return value.written
    if isinstance(value, TrickUse):
        return [value.name, dict(value.params)]
    if is_dataclass(value):
        held = {of.name: getattr(value, of.name) for of in fields(value)}
        return {name: _json(part) for name, part in held.items() if part or name not in _NO_WORD}
    if isinstance(value, tuple | list):
        return [_json(one) for one in value]
    return {key: _json(one) for key, one in value.items()} if isinstance(value, Mapping) else value


def _record(kind: Any, stored: Json, place: str) -> Any:
    """A mapping as the record `kind`; null is as good as absent where a part has a default."""
    if not isinstance(stored, dict):
        raise _DamagedError(place)
    values = {}
    for name, (of, optional) in _parts(kind).items():
        here = f"{place}.{name}" if place else name
        written = name if name in stored else _EARLIER.get((kind, name), name)
        if written not in stored and not optional:
            raise _DamagedError(here)
        if stored.get(written) is not None or not optional:
            values[name] = _value(of, stored[written], here)
    return kind(**values)


@functools.cache
def _parts(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Of each part of a record its type, and whether it may be absent."""
    hints = get_type_hints(kind)
    return {
        of.name: (
            hints[of.name],
            (of.default is not MISSING or of.default_factory is not MISSING) and (kind, of.name) not in _NEEDED,
        )
        for of in fields(kind)
    }


@functools.cache  # asked 70,000 times of a plan of 2,048 variants
def _form(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    return get_origin(kind), get_args(kind)


def _value(kind: Any, stored: Json, place: str) -> Any:
    """What is stored as the type `kind` has it."""
    if kind is Any or (kind is str and type(stored) is str):
        return stored
    origin, of = _form(kind)
    if kind is TaskUse:
        return _task(stored, place)
    if kind is TrickUse:
        name, params = stored if isinstance(stored, list) and len(stored) == 2 else (None, None)
        return TrickUse(_value(str, name, place), _value(Mapping[str, Any], params, place))
    if origin is None and is_dataclass(kind):
        return _record(kind, stored, place)
    if origin in (Union, UnionType):
        return _either(of, stored, place)
    if origin is tuple and isinstance(stored, list):
        return tuple(_value(of[0], one, f"{place}[{i}]") for i, one in enumerate(stored))
    if origin is abc.Mapping and isinstance(stored, dict):
        return {key: _value(of[1], one, f"{place}.{key}") for key, one in stored.items()}
    if not (stored in of if origin is Literal else origin is None and _is(kind, stored)):
        raise _DamagedError(place)
    return stored


def _task(stored: Json, place: str) -> TaskUse:
    try:
        return TaskUse.of(stored)
    except (KeyError, TypeError, ValueError):
        raise _DamagedError(place) from None


def _either(kinds: tuple[Any, ...], stored: Json, place: str) -> Any:
    """The first of these types that fits; else the damage that the first of them has."""
    damage: _DamagedError | None = None
    for kind in kinds:
        try:
            return _value(kind, stored, place)
        except _DamagedError as error:
            damage = damage or error
    raise damage or _DamagedError(place)


def _is(kind: Any, stored: Json) -> bool:
    """Whether a plain value is of a type. JSON has one kind of number; a truth is none."""
    if isinstance(stored, bool):
        return kind is bool
    return isinstance(stored, int | float if kind is float else kind)
