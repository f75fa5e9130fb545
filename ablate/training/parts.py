"""Which parts of a network a pattern names. Names only: it knows no torch, so that a plan may ask it.

`*` stands for any text inside one name, `**` for any number of names, also none: `layer*.1` is layer1.1 to layer4.1,
`**.bn1` every bn1. A pattern names modules; where no module fits, parameters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ablate.errors import AblateError
from ablate.text import did_you_mean, listed, many

Kinds = Mapping[str, Sequence[str]]
"""The parts of a network by path: the names of a module's class and of its bases, nearest first; none: a parameter."""


class SurgeryError(AblateError):
    """A part that cannot be taken away, or that does not exist: why, and what would do."""

    page = "parts"


class ReplacementError(SurgeryError):
    """A layer that cannot stand in a part's place."""


@dataclass(frozen=True)
class Found:
    """paths: in the network's order. notes: what of it a reader would not expect."""

    paths: tuple[str, ...]
    notes: tuple[str, ...] = ()


def find(patterns: Sequence[str], kinds: Kinds, kind: str | None = None) -> Found:
    """The parts that patterns name, of one class where `kind` says so. SurgeryError where a pattern names none."""
    matched: dict[str, None] = {}
    for pattern in patterns:
        matched |= dict.fromkeys(_of_pattern(pattern, kinds, kind))
    ordered = [path for path in kinds if path in matched]
    inner = [path for path in ordered if any(path.startswith(f"{outer}.") for outer in ordered)]
    paths = tuple(path for path in ordered if path not in inner)
    notes = []
    if inner:
        notes.append(f"{listed(inner, most=4)} {'is' if len(inner) == 1 else 'are'} inside of others and go with them.")
    if kind is None and any("*" in pattern for pattern in patterns):
        notes += _left(paths, kinds)
    return Found(paths, tuple(notes))


def _of_pattern(pattern: str, kinds: Kinds, kind: str | None) -> list[str]:
    fits = [path for path in kinds if matches(pattern, path)]
    modules = [path for path in fits if kinds[path]]
    wanted = [path for path in modules if kind is None or kind in kinds[path]]
    if kind is None and not modules:
        wanted = fits
    if wanted:
        return wanted
    if not fits:
        near = did_you_mean(pattern, kinds)
        raise SurgeryError(f"no part is called {pattern!r}.{near or f' At the top there is {_top(kinds)}.'}")
    classes = dict.fromkeys(names[0] for path, names in kinds.items() if names and path in fits)
    found = listed(classes, most=8) or "parameters only"
    raise SurgeryError(f"no part of {pattern!r} is a {kind}; there is {found}.{did_you_mean(str(kind), classes)}")


def _top(kinds: Kinds) -> str:
    return listed(path for path in kinds if "." not in path)


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern names a path."""
    names = [name if name == "**" else re.escape(name).replace(r"\*", "[^.]*") for name in pattern.split(".")]
    # Each name with the dot after it, so that `**` may also be nothing.
    text = "".join(r"(?:[^.]+\.)*" if name == "**" else rf"{name}\." for name in names)
    return re.fullmatch(text, f"{path}.") is not None


def _left(paths: Sequence[str], kinds: Kinds) -> list[str]:
    """Where a pattern takes some of a class and leaves some: how many, and which."""
    notes = []
    taken = set(paths)
    for name in dict.fromkeys(kinds[path][0] for path in paths if kinds[path]):
        every = [path for path, names in kinds.items() if names and names[0] == name]
        rest = [path for path in every if path not in taken and not any(path.startswith(f"{p}.") for p in paths)]
        if rest and len(taken & set(every)) > 1:
            took = f"takes {len(taken & set(every))} of {many(len(every), name)}"
            notes.append(f"{took}; left {'is' if len(rest) == 1 else 'are'} {listed(rest, most=4)}.")
    return notes
