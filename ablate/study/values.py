"""Values that sections of a study file take, checked or turned into what is meant. ValueError says what is allowed."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from ablate.records import Better, TaskUse
from ablate.text import joined

MOST_SEEDS = 1000
"""`seeds: 1000` is 0 to 999; tuning draws from 1000 on (CONTRACT, "Values")."""

LARGEST_SEED = 2**32 - 1
"""What numpy's and torch's global generators both take."""

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


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


def to_limits(given: Any) -> Any:
    """A pair of numbers, or one for each setting."""
    for pair in given.values() if isinstance(given, dict) and given else [given]:
        numbers = [one for one in pair if not isinstance(one, bool)] if isinstance(pair, list) else []
        if len(numbers) != 2 or not all(isinstance(one, int | float) and math.isfinite(one) for one in numbers):
            raise ValueError("it must be two numbers such as [0, 100], or such a pair for each setting")
    return given


def wrong_limits(worst: float, best: float, better: Better) -> str:
    """Why a metric that is better so cannot have these limits; empty where it can."""
    right = worst < best if better == "higher" else worst > best
    return "" if right else f"the first counts as 0, the second as 1, and {better} is better"


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


def to_task(given: Any) -> TaskUse:
    try:
        return TaskUse.of(given)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            "it must be a name, package.module:function, a mapping with a command, or {name: NAME, PARAMETER: ...}"
        ) from None


def to_part(given: Any) -> Any:
    """A path or pattern, or a list of them. YAML reads `3.10` as 3.1 and `0` as a number."""
    for one in given if isinstance(given, list) else [given]:
        if not isinstance(one, str) or not one:
            written = f'"{one}"' + (" or as you wrote it, for YAML reads 3.10 as 3.1" if isinstance(one, float) else "")
            raise ValueError(f"it must be text; put the path in quotes, {written}")
    if given == []:
        raise ValueError("it must name a part")
    return given


def to_instead(given: Any) -> Any:
    number = given.get("input") if isinstance(given, dict) and len(given) == 1 else None
    named = isinstance(given, dict) and isinstance(given.get("use"), str) and given.keys() <= {"use", "with"}
    if named and isinstance(given.get("with", {}), dict):
        return given
    if not isinstance(given, str) and (not isinstance(number, int) or isinstance(number, bool) or number < 0):
        raise ValueError(
            "it must be identity, zero, one, linear, mean, an activation such as relu, {input: 1} or {use: FILE}"
        )
    return given


def to_heads(given: list[int]) -> list[int]:
    if not given or len(set(given)) < len(given) or min(given) < 0:
        raise ValueError("it must list heads of an attention, counted from 0, each once, such as [0, 2]")
    return given


def one_or_more(given: Any) -> Any:
    return given if isinstance(given, list) else [given]


def or_empty(given: Any) -> Any:
    return {} if given is None else given


def wrong_choices(given: Mapping[str, Any]) -> str:
    listed = given["choices"]
    if given.keys() & {"low", "high", "log", "step"}:
        return "it has either choices or low and high"
    if not isinstance(listed, list) or len(listed) < 2:
        return "choices must list at least two values"
    # 1, true and 1.0 are equal, and a search that holds them against each other would try one of them.
    for one in listed:
        equal = [json.dumps(other) for other in listed if other == one]
        if len(equal) > 1:
            return "choices must list a value once" + (f"; {joined(equal)} are equal" if len(set(equal)) > 1 else "")
    return ""


def wrong_bounds(given: Mapping[str, Any]) -> str:
    numbers = {key: given[key] for key in ("low", "high", "step") if key in given}
    if not {"low", "high"} <= numbers.keys():
        return "it must have low and high, or choices"
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return f"{key} must be a number"
    if given["low"] >= given["high"]:
        return "low must be below high"
    if given.get("log") is True and given["low"] <= 0:
        return "low must be above 0 where log is true"
    if given.get("log") is True and "step" in given:
        return "it has either log or step"
    return "step must be above 0" if given.get("step", 1) <= 0 else ""


Mapped = Annotated[dict[str, Any], BeforeValidator(or_empty)]
Names = Annotated[list[Any], BeforeValidator(one_or_more)]
