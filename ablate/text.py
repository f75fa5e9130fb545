"""How lists and counts read in a sentence. Words only."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 12
"""Names that a sentence lists before it counts the rest."""


def joined(names: Iterable[object]) -> str:
    """`a, b and c`."""
    every = [str(name) for name in names]
    return " and ".join([", ".join(every[:-1]), every[-1]]) if len(every) > 1 else "".join(every)


def listed(names: Iterable[object], between: str = ", ", most: int = MOST) -> str:
    """`a, b, c and 9 more`."""
    every = [str(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return between.join(every[:most]) + more


def many(count: int, what: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
