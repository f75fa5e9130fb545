"""What the sections of a study file's form have in common: their base, and values that several of them take."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

MOST_SEEDS = 1000
"""`seeds: 1000` is 0 to 999; tuning draws from 1000 on (CONTRACT, "Values")."""

DEFAULT_SEEDS = 5

LARGEST_SEED = 2**32 - 1
"""What numpy's and torch's global generators both take."""

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Form(BaseModel):
    """A mapping of the study file. what: how messages call it. example: what it may be. hint: for a stray key."""

    model_config = ConfigDict(extra="forbid", strict=True)
    what: ClassVar[str]
    example: ClassVar[str]
    hint: ClassVar[str] = ""


def to_seconds(given: Any) -> float | None:
    return None if given is None else seconds_of(given)


def seconds_of(given: Any) -> float:
    """Seconds of `90`, `90s`, `15m` or `2h`. ValueError says what is allowed."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", str(given)) if not isinstance(given, bool) else None
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ValueError("it must be a time above 0 such as 90 (seconds), 90s, 15m or 2h")
    return seconds


def to_gib(given: Any) -> float | str | None:
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not (given is None or given == "auto" or (number and 0 < given <= 100_000)):
        raise ValueError("it must be a number of GiB above 0, or auto")
    return float(given) if number else given


def to_epoch(given: Any) -> Any:
    whole = isinstance(given, int) and not isinstance(given, bool) and given >= 1
    if not whole and given not in ("last", "best"):
        raise ValueError("it must be last, best or the number of an epoch, from 1")
    return given


def to_looks(given: list[int]) -> list[int]:
    if not given or given[0] < 2 or given[-1] > MOST_SEEDS or any(a >= b for a, b in itertools.pairwise(given)):
        raise ValueError(f"it must be growing numbers of seeds from 2 to {MOST_SEEDS} such as [3, 5, 10]")
    return given


def to_seeds(given: list[int]) -> list[int]:
    if not 1 <= len(given) <= MOST_SEEDS:
        raise ValueError(f"it must list 1 to {MOST_SEEDS} seeds such as [0, 1, 2]")
    twice = [seed for seed, times in Counter(given).items() if times > 1]
    if twice:
        raise ValueError(f"it must list a seed once, and lists {twice[0]} again")
    return given


def one_or_more(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


def or_empty(given: Any) -> Any:
    return {} if given is None else given


Mapped = Annotated[dict[str, Any], BeforeValidator(or_empty)]
Names = Annotated[list[Any], BeforeValidator(one_or_more)]
