"""The contract of a kind of file in which programs leave numbers; files in `captures/`. And what rows of numbers mean.

A kind is told by content, never by a file's name alone. Reading may meet a file that is just being written: what cannot
be read yet is read at the next look.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ablate.records import Json
from ablate.registry import Plugin

HEAD_BYTES = 4096
"""How much of a file tells its kind."""

STEPS = ("step", "global_step", "_step", "iteration", "iter", "update", "epoch", "round")
"""What columns that count steps are called; the first that a row has is taken."""

_NEVER = (*STEPS, "_timestamp", "_runtime", "wall_time", "timestamp", "time")
"""Columns that are no metrics."""


@dataclass(frozen=True)
class Reading:
    """One number. step: None for a number that belongs to the end."""

    name: str
    value: float
    step: int | None = None


class Capture(Plugin):
    """A kind of file. label: how it is called where it is said what a number was taken from."""

    label: ClassVar[str]

    @abstractmethod
    def recognises(self, path: Path, head: bytes) -> bool:
        """Whether a file that begins with `head` is of this kind."""

    @abstractmethod
    def read(self, path: Path, step: str) -> Iterator[Reading]:
        """Every number, in the file's order. step: the column that counts steps; empty where it is found by name.
        ValueError or OSError where the file cannot be read (yet)."""


def readings(rows: Iterable[Mapping[str, Json]], step: str = "") -> Iterator[Reading]:
    """Numbers of rows in the order in which they were written, one row a step unless it says which."""
    for count, row in enumerate(rows, 1):
        numbers = dict(flat(row))
        at = step_of(numbers, step)
        number = count if at is None else at
        yield from (Reading(name, value, number) for name, value in numbers.items() if counts_nothing(name, step))


def flat(row: Mapping[str, Json], above: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a mapping; nested names get dots, texts that are numbers count, anything else is left out."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            found = number(value)
            if found is not None:
                yield f"{above}{name}", found


def number(value: Json) -> float | None:
    """A number or the text of one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def step_of(numbers: Mapping[str, float], step: str) -> int | None:
    """The step that a row says; None where it says none, or no whole one."""
    names = (step,) if step else STEPS
    found = next((numbers[name] for name in names if name in numbers), None)
    whole = found is not None and math.isfinite(found) and found == int(found) and abs(found) < 2**62
    return int(found) if whole and found is not None else None


def counts_nothing(name: str, step: str) -> bool:
    """Whether a column holds a metric."""
    return name != step and name.lower() not in _NEVER
