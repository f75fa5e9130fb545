"""What changed between two things that were asked: why a result that exists is not one of the runs asked for now.

Pure: two descriptions of a run, as the database keeps them, go in; lines for a person come out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from ablate.records import Json

_WORDS = {"seed": "the seed", "threads": "resources.threads", "data": "the data"}


def differences(before: Mapping[str, Json], now: Mapping[str, Json]) -> list[str]:
    """`model.width was 16, is 32`; `train.py was edited`; `the data changed`. Empty where both ask for the same."""
    lines: list[str] = []
    for name in sorted({*before, *now}):
        then, here = before.get(name), now.get(name)
        if then == here:
            continue
        if name == "config":
            lines += _changed("", then or {}, here or {})
        elif name == "code":
            lines += _code(then or {}, here or {})
        elif name == "data":
            lines.append("the data changed")
        elif name == "tricks":
            lines.append(f"the tricks were {_tricks(then)}, are {_tricks(here)}")
        else:
            lines.append(f"{_WORDS.get(name, name)} was {_shown(then)}, is {_shown(here)}")
    return lines


def _changed(path: str, before: Json, now: Json) -> Iterator[str]:
    """Leaves that differ, by dotted key."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted({*before, *now}):
            inner = f"{path}.{key}" if path else str(key)
            yield from _changed(inner, before.get(key), now.get(key))
    elif before != now:
        yield f"{path} was {_shown(before)}, is {_shown(now)}"


def _code(before: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    for part in sorted({*before, *now}):
        then, here = before.get(part), now.get(part)
        if then == here:
            continue
        if isinstance(then, int) and isinstance(here, int):
            yield f"ablate's {part.replace(':', ' ')} is version {here}, was {then}"
        elif part == "task" and isinstance(then, list) and isinstance(here, list):
            files = dict(then)
            edited = [name for name, sha in here if files.get(name) != sha] or sorted(files)
            yield f"{', '.join(dict.fromkeys(edited))} was edited"
        else:
            yield f"the code of {part.replace(':', ' ')} was edited"


def _tricks(uses: Iterable[Json] | None) -> str:
    return ", ".join(f"{name} {_shown(params)}" if params else name for name, params in uses or ()) or "none"


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
