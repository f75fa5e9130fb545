"""How a report of two pages is set, and what it gives up to fit: what matters least of what is left comes first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

PAGES = 2


@dataclass(frozen=True)
class Layout:
    """How a report is set. text, table, minor: sizes of print in points. rows: the most that a table shows. curves: the
    height of learning curves, in percent.

    brief: sections in their short form; without: sections left out; also: whether further metrics have columns; own:
    whether what the authors wrote stands in it, never left out but to measure it.
    """

    text: float = 9.0
    table: float = 8.2
    minor: float = 8.0
    margin_mm: float = 15.0
    rows: int = 40
    curves: int = 64
    brief: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    also: bool = True
    own: bool = True


STEPS: tuple[Mapping[str, Any], ...] = (
    {"without": {"pareto"}},
    {"without": {"seeds"}},
    {"brief": {"papers"}},
    {"brief": {"methods"}},
    {"curves": 50},
    {"text": 8.5, "table": 7.6, "minor": 7.5},
    {"without": {"confusion"}},
    {"text": 8.0, "table": 7.2, "minor": 7.2, "margin_mm": 13.0},
    {"brief": {"failures"}},
    {"without": {"methods"}},
    {"without": {"learning_curves"}},
    {"also": False, "rows": 30},
    {"without": {"variants"}, "rows": 20},
    {"without": {"effects"}, "rows": 15},
    {"without": {"papers"}, "rows": 10},
)
"""What is given up, one after the other. What limits a claim is in none."""


def layout_of(steps: Collection[int]) -> Layout:
    """The layout in which these steps are taken. The study file and comparisons in words are for a screen."""
    layout = Layout(brief=frozenset({"question", "support", "variants"}), without=frozenset({"study"}))
    for step in sorted(steps):
        change = dict(STEPS[step])
        brief = layout.brief | change.pop("brief", set())
        without = layout.without | change.pop("without", set())
        layout = replace(layout, brief=brief, without=without, **change)
    return layout


def fitting(length: Callable[[Layout], float]) -> Layout | None:
    """The layout that fits and gives up least: steps are taken until it fits, then those that were not needed undone.

    None where even the tightest is too long.
    """
    taken: set[int] = set()
    while length(layout_of(taken)) > PAGES:
        if len(taken) == len(STEPS):
            return None
        taken.add(len(taken))
    for step in sorted(taken, reverse=True)[1:]:
        if length(layout_of(taken - {step})) <= PAGES:
            taken.remove(step)
    return layout_of(taken)
