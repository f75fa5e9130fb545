"""What a figure shows: panels of lines, points, intervals and rules, in words that know neither a page nor a paper.

inline.py draws a scene inside a report's page, screen.py with plotly, paper.py with matplotlib: all show the same
numbers, and each escapes names in one place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any, Literal

import numpy as np

Colour = Literal["ink", "grey", "blue", "orange", "green", "vermillion", "purple", "sky"]
"""Okabe and Ito's, which colour-blind people tell apart; without their yellow, which white paper swallows."""

Marker = Literal[
    "", "circle", "square", "diamond", "up", "down", "cross", "plus", "hollow", "hollow_square", "left", "right", "bar",
    "star",
]  # fmt: skip
Dash = Literal["", "solid", "dashed", "dotted", "dashdot"]

LINES: tuple[tuple[Colour, Dash, Marker], ...] = (
    ("blue", "solid", "circle"), ("vermillion", "dashed", "square"), ("green", "dashdot", "diamond"),
    ("purple", "dotted", "up"), ("orange", "solid", "down"), ("sky", "dashed", "hollow"),
    ("ink", "dashdot", "hollow_square"), ("grey", "dotted", "plus"),
)  # fmt: skip
"""Eight lines that differ without their colours too, by dash and marker."""


@dataclass(frozen=True)
class Axis:
    """low, high: the range; None: from the data. ticks: places and their names; none: the drawing chooses.

    reverse: the first value at the top, as rows of a table stand. grid: faint lines at the ticks.
    """

    label: str = ""
    low: float | None = None
    high: float | None = None
    ticks: tuple[tuple[float, str], ...] = ()
    log: bool = False
    reverse: bool = False
    grid: bool = False
    whole: bool = False
    """Ticks at whole numbers only: epochs, trials."""
    bold: tuple[float, ...] = ()
    """Of `ticks` the places whose names are bold on paper."""


def ceiling(low: float) -> float:
    """Where an axis of percent ends that begins at `low` and reaches 100: higher by what a line and its markers take,
    and below the next tick."""
    return 100 + 0.04 * (100 - low)


@dataclass(frozen=True)
class Series:
    """Points, a line through them, or both. None in y breaks the line.

    low, high: an interval at each point, None where there is none; `along` says on which axis. band: intervals of y as
    an area instead of bars. label: for the legend, empty for none. hover: a line of text per point, for the screen.
    every, first: a marker at every k-th point only, from that one. size: of a marker, in points. faint: behind the
    others. name: of a line, where a page reads its values off.
    """

    x: tuple[float, ...]
    y: tuple[float | None, ...]
    label: str = ""
    colour: Colour = "blue"
    dash: Dash = ""
    marker: Marker = ""
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    along: Literal["x", "y"] = "y"
    band: bool = False
    hover: tuple[str, ...] = ()
    every: int = 1
    first: int = 0
    size: float = 5.0
    width: float = 1.4
    faint: bool = False
    name: str = ""

    def stretches(self) -> Iterator[tuple[list[float], list[float], list[float]]]:
        """Runs of points that have an interval: x, low, high of each."""
        bounds = zip(self.x, self.low, self.high, strict=True)
        for drawable, part in groupby(bounds, lambda point: None not in point):
            if drawable:
                x, low, high = zip(*part, strict=True)
                yield list(x), list(low), list(high)

    def thinned(self, columns: int) -> Series:
        """A line as so many columns of pixels show it: of each column the lowest and the highest point, and those of
        its band, so that no extreme is lost (MinMax in Jugel et al., 2014, "M4"). Markers stand about where they stood.

        What has no more points than that, or does not go from left to right, stays as it is.
        """
        x = np.array(self.x)
        if not (self.dash or self.band) or len(x) <= 2 * columns or (np.diff(x) < 0).any():
            return self
        column = np.minimum((columns * (x - x[0]) / (x[-1] - x[0] or 1.0)).astype(int), columns - 1)
        kept = {0, len(x) - 1}
        for values, sign in ((self.y, 1), (self.y, -1), (self.low, 1), (self.high, -1)):
            if values:
                height = sign * np.array([np.nan if v is None else v for v in values])
                order = np.lexsort((height, column))  # in each column the lowest first, what is not known last
                starts = np.flatnonzero(np.diff(column[order], prepend=-1))
                kept.update(order[starts].tolist())
                unknown = np.flatnonzero(np.isnan(height))  # one in each column breaks the line there
                kept.update(unknown[np.flatnonzero(np.diff(column[unknown], prepend=-1))].tolist())
        places = sorted(kept)
        every = max(round(self.every * len(places) / len(x)), 1)
        shorter: dict[str, Any] = {
            name: tuple(of[i] for i in places)
            for name in ("x", "y", "low", "high", "hover")
            if (of := getattr(self, name))
        }
        first = min(round(self.first * len(places) / len(x)), every - 1)
        return replace(self, **shorter, every=every, first=first)


@dataclass(frozen=True)
class Rule:
    """A straight line across the panel at a value of one axis."""

    axis: Literal["x", "y"]
    at: float
    dash: Dash = "solid"
    label: str = ""


@dataclass(frozen=True)
class Stretch:
    """A shaded stretch of one axis."""

    axis: Literal["x", "y"]
    low: float
    high: float
    label: str = ""


@dataclass(frozen=True)
class Label:
    """Text beside a point."""

    x: float
    y: float
    text: str
    side: Literal["left", "right", "above", "below", "centre"] = "right"
    room: float = 0.0
    """Of the x axis, that the text may take before its middle is left out; 0: as much as it needs."""
    weight: Literal["", "bold", "dim"] = ""
    wide: bool = False
    """Drawn only on paper of two columns."""


@dataclass(frozen=True)
class Picture:
    """Pixels (a PNG in base64) in a rectangle of the panel. x, y: its upper left corner; width, height: in the units of
    the axes, neither of which is reversed. shades: of an even grid how dark each cell is, from -1 (vermillion) to 1
    (blue), by row from the top; for a page, whose colours are its own."""

    x: float
    y: float
    width: float
    height: float
    png: str
    shades: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Column:
    """Text at the right of a panel, by place on its y axis. title: at its upper end. narrow: one column of a paper has
    room for it, too. bold: the places where it is."""

    title: str
    cells: tuple[tuple[float, str], ...]
    narrow: bool = False
    bold: tuple[float, ...] = ()


Mark = Series | Rule | Stretch | Label | Picture
Named = Series | Rule | Stretch
"""Marks that may stand in the legend."""


@dataclass(frozen=True)
class Panel:
    """One pair of axes. height: in inches on paper.

    side: at its right on paper; hover tells the same on screen. bare: no axes, and their units equally long.
    of: the variant that it is about, which a page joins with its row. note: short, behind the title and never cut.
    group: the heading that it and the panels behind it stand under.
    """

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    title: str = ""
    height: float = 2.2
    side: tuple[Column, ...] = ()
    bare: bool = False
    of: str = ""
    note: str = ""
    group: str = ""
    colour: Colour = "ink"
    """Of the sign that the title begins with, where it begins with one."""
    names: tuple[tuple[float, float, str], ...] = ()
    """Of marks, those first that must not be lost, for a drawing that places them itself: the labels among `marks` are
    placed for one column of a paper."""

    def thinned(self, columns: int) -> Panel:
        """The same with no more points of a line than so many columns of pixels show."""
        return replace(self, marks=tuple(m.thinned(columns) if isinstance(m, Series) else m for m in self.marks))


@dataclass(frozen=True)
class Scene:
    """A figure, ready to be drawn. title: its name in words. caption: what a paper prints below it, with n, what the
    intervals mean, and the seeds. alt: what it shows, for those who do not see it. across: panels side by side where
    there is room; across_narrow: in one column of a paper. said: what the axes of all panels show."""

    title: str
    caption: str
    alt: str
    panels: tuple[Panel, ...]
    across: int = 1
    across_narrow: int = 1
    said: str = ""

    @property
    def legend(self) -> tuple[Named, ...]:
        """The marks that the legend names, each label once: what was measured, then what it is held against."""
        marks = (mark for panel in self.panels for mark in panel.marks if isinstance(mark, Named) and mark.label)
        once = {mark.label: mark for mark in marks}
        return tuple(sorted(once.values(), key=lambda mark: not isinstance(mark, Series)))

    def rows(self, across: int) -> list[tuple[Panel, ...]]:
        """The panels as they stand, each group in lines of its own. Where a panel's y axis is that of its left
        neighbour, it is not named again."""
        rows = []
        groups: list[list[Panel]] = []
        for panel in self.panels:
            if not groups or panel.group != groups[-1][0].group:
                groups.append([])
            groups[-1].append(panel)
        for row in (tuple(of[i : i + across]) for of in groups for i in range(0, len(of), across)):
            same = (left.y == right.y and right.y.high is not None for left, right in pairwise(row))
            bare = (
                replace(p, y=replace(p.y, label="")) if as_left else p for p, as_left in zip(row[1:], same, strict=True)
            )
            rows.append((row[0], *bare))
        return rows
