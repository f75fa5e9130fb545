"""What dispatcher, server and worker say to each other: frozen records, and JSON in between.

How the bytes travel is the executor's business: through a socket (executors/local.py), a file or a queue. A message is
one JSON object without a line break, `{"Said": {"step": 3, "values": {"accuracy": 97.2}}}`. `decode` believes nothing:
code of the user's own may write to a worker's channel.

    to a server      Setup, once; Fork, Drop            from a server   Ready or Unable, once; Forked, Unforked, Exited
    to a worker      Job, once (in its Fork); Pause     from a worker   Said any number of times; Done or Broken
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints, overload

from ablate.errors import GarbledError
from ablate.records import GRACE_S, Json, Reason, RunSpec, TaskUse
from ablate.text import one_of

# ---------------------------------------------------------------------------------------------------- with the server


@dataclass(frozen=True)
class Setup:
    """What a server imports, in this order.

    path: folders in which the task looks for modules. plugins: folders of private plug-ins; shelf_files: the (shelf,
    name) to load now. sources: the user's files that the plan was made from; the server's children report what it found
    instead. database: whose runs these are (`Store.identity`). grace_s: how long a run that is to end may take to.
    spawn: every child imports by itself, for what the server imports may not be forked.
    """

    task: TaskUse
    imports: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    shelf_files: tuple[tuple[str, ...], ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    database: str = ""
    grace_s: float = GRACE_S
    spawn: bool = False

    @property
    def unseen(self) -> str:
        """The first folder or file of it that this place does not see; empty where it sees all. A mount point is there
        also where nothing is mounted, so the folder alone says nothing."""
        return next((path for path in (*self.path[:1], *self.sources) if not os.path.exists(path)), "")


@dataclass(frozen=True)
class Fork:
    """Start a child for this attempt; its channel comes with the message. job: None where it is too long for a packet,
    and is the first line of the channel.

    ahead: in the place of one that is gone, of which more have been told than the dispatcher had `heard`. So both know
    whose place it is: of each that is gone, that of the first which was asked for ahead before it was heard, if any.
    """

    token: str
    job: Job | None = None
    ahead: bool = False
    heard: int = 0


@dataclass(frozen=True)
class Drop:
    """Do not start the child of this attempt, which waits for another to be gone."""

    token: str


@dataclass(frozen=True)
class Ready:
    """Everything is imported."""

    pid: int


@dataclass(frozen=True)
class Unable:
    """Something cannot be imported, and why: the last word of a server."""

    text: str


@dataclass(frozen=True)
class Forked:
    """The child of an attempt exists. started: in the kernel's units, to tell a reused pid apart."""

    token: str
    pid: int
    started: int


@dataclass(frozen=True)
class Unforked:
    """There is no child for this attempt, and why: the system refused it, or nobody is left to follow."""

    token: str
    why: str


@dataclass(frozen=True)
class Exited:
    """The child of an attempt is gone, at `at_s` of the host's monotonic clock. status: as wait gives it; peak_mib,
    cpu_s: what it took, as the system says."""

    token: str
    status: int
    peak_mib: float
    cpu_s: float
    at_s: float


# ---------------------------------------------------------------------------------------------------- with the worker


@dataclass(frozen=True)
class Job:
    """One run to execute, on a device as the worker sees it. canary: two steps of it, stored nowhere. grace_s: how long
    it has after SIGTERM."""

    token: str
    spec: RunSpec
    device: str
    environment: Mapping[str, str]
    canary: bool = False
    grace_s: float = GRACE_S


@dataclass(frozen=True)
class Pause:
    """Leave a checkpoint after the next step, and stop."""

    why: str


class _Storable:
    """Every text of a worker's message is one that any database takes and any terminal may show: no NUL, and no half of
    a character, as file names that are no UTF-8 have them, for one such text would end the dispatcher, and every run
    with it; and no control characters but ends of lines and tabs, which would steer whose terminal shows it."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, _storable(value))


@dataclass(frozen=True)
class Said(_Storable):
    """The metrics of a step, counted from 1."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Done(_Storable):
    """The task returned. outputs: hashes of what it made. seen: how it ran: what it took of its device, as far as it
    can tell, and what the task says.

    executed: the user's files that it executed and that its plan did not know, path from the study's folder to SHA-256.
    examples: the file in the run's folder with its results example by example; empty where there are none.
    """

    values: Mapping[str, float]
    outputs: Mapping[str, str]
    seen: Mapping[str, Json] = field(default_factory=dict)
    executed: Mapping[str, str] = field(default_factory=dict)
    examples: str = ""


@dataclass(frozen=True)
class Broken(_Storable):
    """The run failed. detail: the traceback; message: its last line."""

    reason: Reason
    message: str
    detail: str = ""


def _storable(value: Any) -> Any:
    if type(value) is float:
        return value
    if isinstance(value, str):
        return _CONTROL.sub(_escaped, value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_storable(name): _storable(held) for name, held in value.items()}
    return value


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def _escaped(found: re.Match[str]) -> str:
    return "\\0" if found.group() == "\0" else found.group().encode("unicode_escape").decode()


# ----------------------------------------------------------------------------------------------------- to and from JSON

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


_ENCODER = json.JSONEncoder(default=vars)
"""Kept, for `json.dumps` makes one anew for every message."""


def encode(message: object) -> bytes:
    """A record as one line of ASCII, its line break not included."""
    return _ENCODER.encode({type(message).__name__: vars(message)}).encode()


@overload
def decode(data: bytes, kind: type[A], /) -> A: ...
@overload
def decode(data: bytes, kind: type[A], or_: type[B], /) -> A | B: ...
@overload
def decode(data: bytes, kind: type[A], or_: type[B], or__: type[C], /) -> A | B | C: ...
@overload
def decode(data: bytes, /, *kinds: type[A]) -> A: ...
def decode(data: bytes, *kinds: type[Any]) -> Any:
    """The message that `data` holds. GarbledError where it is none of these kinds."""
    try:
        ((name, held),) = json.loads(data).items()
        kind = next(kind for kind in kinds if kind.__name__ == name)
        return _read(kind, held)
    except (ValueError, TypeError, AttributeError, RecursionError, StopIteration):
        shown, due = data[:80].decode("utf-8", "backslashreplace"), one_of(kind.__name__ for kind in kinds)
        raise GarbledError(f"{shown!r} is no message of ablate's; it must be {due}.") from None


@cache
def _hints(kind: Any) -> Mapping[str, Any] | None:
    """The fields of a record and their types; None for what is no record."""
    return get_type_hints(kind) if is_dataclass(kind) else None


def learn(kind: Any) -> None:
    """Work out the fields of a record, and of those in it, before it is decoded."""
    for inner in (_hints(kind) or {}).values():
        learn(inner)
    for inner in _form(kind)[1]:
        learn(inner)


@cache  # asked for every number of every step: without it a step costs the dispatcher a third more
def _form(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    return get_origin(kind), get_args(kind)


def _read(kind: Any, value: Any) -> Any:
    """A value of JSON as what a field says that it is. TypeError where it is something else."""
    if kind is Any:
        return value
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (str, int, bool) and type(value) is kind:
        return value
    origin, inner = _form(kind)
    if origin in (Union, UnionType):  # `X | None`
        return None if value is None else _read(inner[0], value)
    if origin is Literal and value in inner:
        return value
    hints = _hints(kind)
    if hints is not None and isinstance(value, dict) and value.keys() == hints.keys():
        return kind(**{name: _read(hints[name], held) for name, held in value.items()})
    if origin is tuple and isinstance(value, list):
        return tuple(_read(inner[0], held) for held in value)
    if origin is not None and origin not in (Literal, tuple) and isinstance(value, dict):
        return {name: _read(inner[1], held) for name, held in value.items()}
    raise TypeError(f"{value!r:.80} is no {kind}")
