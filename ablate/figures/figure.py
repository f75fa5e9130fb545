"""The contract of a figure: what it is made from (`Source`), and what it shows (`Scene`). `figures/` has them.

A figure turns a source into its `info`, plain numbers and names that tests look at, and the info into a scene: panels
of lines, points, intervals and rules, in words that know neither plotly nor matplotlib. interactive.py draws a scene as
HTML, paper.py as PDF, SVG and PNG: both show the same numbers, and each escapes names in one place. Nothing here reads
a store or computes a statistic (source.py).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.across import Ranking
from ablate.analysis.scores import Scores
from ablate.analysis.settings import Over
from ablate.analysis.tuned import TuningHistory
from ablate.errors import FigureError
from ablate.records import Better, Interaction, Row
from ablate.registry import Plugin
from ablate.text import did_you_mean, in_words

# ------------------------------------------------------------------------------------------------------------- sources


@dataclass(frozen=True)
class SeedCurve:
    """A metric of one run by step. failed: why the run failed, whose curve then ends early; empty where it is done."""

    seed: int
    steps: tuple[int, ...]
    values: tuple[float, ...]
    failed: str = ""


@dataclass(frozen=True)
class Curve:
    """A metric of one variant by step. n: counted runs at each step; mean over them.

    low, high: the 95 % t interval of the mean, where n is 2 the range; None where n is 1 or the values do not differ.
    """

    variant: str
    metric: str
    steps: tuple[int, ...]
    n: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    seeds: tuple[SeedCurve, ...] = ()


@dataclass(frozen=True)
class Confusion:
    """Which class a variant's runs took for which. examples: the fingerprint of what they were measured on; n: of each
    class how many. counts: by seed, true class, then class that was said."""

    examples: str
    classes: tuple[str, ...]
    n: tuple[int, ...]
    counts: Mapping[int, NDArray[np.float64]]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.counts)

    def shares(self, seeds: Sequence[int]) -> NDArray[np.float64]:
        """(true, said) percent of each true class, mean over these seeds; 0 for a class without examples."""
        mean = np.mean([self.counts[seed] for seed in seeds], axis=0)
        return np.asarray(100 * mean / np.maximum(np.array(self.n), 1)[:, None])


@dataclass(frozen=True)
class WrongImage:
    """An image that runs got wrong, as a PNG in base64. said: most often, of the times that it was got wrong."""

    png: str
    true: str
    said: str
    times: int


def _untold(variant: str, *_: object) -> Any:
    raise FigureError(f"no run of {variant} told which class it gives each example.")


def _one_setting() -> Any:
    raise FigureError("this figure is over the settings of `across:`, and the study has one setting.")


@dataclass(frozen=True)
class Source:
    """Everything of a study that a figure may show, as plain data.

    rows: the table's, in the plan's order; further: those of tuned variants on fresh seeds and of means over bases.
    differences: of a row and its comparison each shared seed's.

    values: metric -> variant -> value by seed (in the order of `seeds`), None
    where the run is not counted. units, directions: of metrics, where known. failed: variant -> seed -> reason.
    curves: metric -> variant -> curve, of the metrics that have any. interactions: of a factorial; where there is
    none, `no_interactions` says why. best: the variant that the table calls best. measures: of a variant that trains
    nothing, whose final weights it evaluates; what happened epoch by epoch is known of that one. confusion: of a
    variant. mistakes: of a variant the images that most of its seeds get wrong, at most so many; how many any seed got
    wrong; how many there are; and how many seeds looked. Both read when they are called, and raise FigureError. over:
    of a study in several settings its rows over them; then there are no other rows. spent: what each counted run took,
    as `values` has it, under the names of `table --view cost`; metered: whose electricity was read, where it was not
    that of all parts (`processors`). Both read when they are called. ranking, scores: of its variants
    over all settings; they raise FigureError, too.
    """

    study: str
    metric: str
    better: Better
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    values: Mapping[str, Mapping[str, tuple[float | None, ...]]]
    further: tuple[Row, ...] = ()
    minimum_effect: float | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, Better] = field(default_factory=dict)
    failed: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)
    interactions: tuple[Interaction, ...] | None = None
    no_interactions: str = ""
    tuning: TuningHistory | None = None
    best: str | None = None
    measures: Mapping[str, str] = field(default_factory=dict)
    confusion: Callable[[str], Confusion] = _untold
    mistakes: Callable[[str, int], tuple[tuple[WrongImage, ...], int, int, int]] = _untold
    over: Over | None = None
    differences: Mapping[tuple[str, str], Sequence[float]] = field(default_factory=dict)
    spent: Callable[[], Mapping[str, Mapping[str, tuple[float | None, ...]]]] = dict
    metered: Callable[[], str] = str
    ranking: Callable[[], Ranking] = _one_setting
    scores: Callable[[], Scores] = _one_setting

    @property
    def of_settings(self) -> bool:
        """Whether it is of several settings together."""
        return self.over is not None and not self.rows

    @property
    def variants(self) -> tuple[str, ...]:
        """Every variant once, in the plan's order."""
        return tuple(dict.fromkeys(row.variant for row in self.rows))

    def label(self, variant: str) -> str:
        """What the table calls a variant, where all its rows call it the same; else its name."""
        labels = {self.named(row) for row in self.rows if row.variant == variant and row.kind != "beyond"}
        return labels.pop() if len(labels) == 1 else variant

    def named(self, row: Row) -> str:
        """A row as it is called where it stands alone: `- batch norm`, and `B - batch norm` where rows stand under
        several bases, or beside its control."""
        label = row.label or row.variant
        one_base = len(self._bases) < 2 and row.kind != "beyond"
        alone = one_base or row.compared_with is None or label[:2] not in ("- ", "+ ")
        return label if alone else f"{row.compared_with} {label}"

    def spoken(self, variant: str) -> str:
        """A variant as a sentence calls it: `B without batch norm`."""
        return next((row.spoken for row in self.rows if row.variant == variant and row.kind != "beyond"), variant)

    @cached_property
    def _bases(self) -> frozenset[str]:
        """What rows are named by how they differ from."""
        named = (row for row in self.rows if (row.label or "")[:2] in ("- ", "+ ") and row.kind != "beyond")
        return frozenset(row.compared_with for row in named if row.compared_with is not None)

    def find(self, variant: str) -> str:
        """A variant by its name or by what the table calls it. FigureError with the nearest name."""
        if variant in self.variants:
            return variant
        for name in self.variants:
            if self.label(name) == variant:
                return name
        near = did_you_mean(variant, self.variants)
        raise FigureError(f"{self.study} has no variant {variant!r}; it has {in_words(self.variants, 12)}.{near}")

    def curves_of(self, metric: str | None) -> tuple[str, Mapping[str, Curve]]:
        """A metric by step, None: the study's own. FigureError where no run reports it by step."""
        name = metric or self.metric
        if name not in self.curves:
            reported = (
                f"by step there is {in_words(tuple(self.curves))}" if self.curves else "nothing is reported by step"
            )
            raise FigureError(
                f"no finished run of {self.study} reports {name!r} step by step; {reported}."
                f"{did_you_mean(name, self.curves)}"
            )
        return name, self.curves[name]

    def values_of(self, metric: str | None) -> tuple[str, Mapping[str, tuple[float | None, ...]]]:
        """A metric of every run, None: the study's own. FigureError where no run reports it."""
        if not self.values and any(row.mean is not None for row in self.rows):
            raise FigureError(f"of {self.study!r} only means are known, no single run: it was imported so.")
        name = metric or self.metric
        if not any(value is not None for values in self.values.get(name, {}).values() for value in values):
            reported = in_words(tuple(self.values), 12) or "nothing"
            near = did_you_mean(name, self.values)
            raise FigureError(f"no finished run of {self.study} has a value of {name!r}; there is {reported}.{near}")
        return name, self.values[name]

    def titled(self, metric: str) -> str:
        """`dev accuracy (%)`."""
        name = metric.replace("_", " ")
        return f"{name} ({self.units[metric]})" if self.units.get(metric) else name


# --------------------------------------------------------------------------------------------------------------- scenes

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


# -------------------------------------------------------------------------------------------------------------- figures


class Figure(Plugin):
    """One kind of figure. Its fields are its parameters, with defaults for all.

    over_settings: it shows all settings of a study together; any other shows one.
    """

    over_settings: ClassVar[bool] = False

    @abstractmethod
    def info(self, source: Source) -> Any:
        """What the figure shows, as a frozen dataclass of plain values. FigureError where these results do not allow
        the figure: why, and what would."""

    @abstractmethod
    def scene(self, info: Any) -> Scene:
        """The same, laid out. Equal infos give equal scenes."""
