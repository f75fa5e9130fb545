"""The table on a terminal: each row with its difference as a number and as a bar, under its base; then what limits a
claim, in a line each.

Pure: a table in, styled lines out, none wider than asked. Files and pipes get Markdown (tables/formats/markdown.py).
Columns go by priority: name, mean, difference and verdict always; the bar where there is room for it; then interval, p,
further seeds and metrics as far as the bar keeps its cells.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from ablate.analysis.bases import MEAN
from ablate.analysis.results import Results
from ablate.records import Row
from ablate.tables import forest
from ablate.tables.forest import decided
from ablate.tables.grid import further, no_chance
from ablate.tables.stages import apart, of_rows
from ablate.tables.table import TableData, arranged
from ablate.tables.views import table_data
from ablate.terminal.bars import (
    COLOURS,
    UNICODE,
    Glyphs,
    Scale,
    bar,
    directions,
    glyphs_for,
    labels,
    mark_of,
    ruler,
)
from ablate.text import MINUS, Note, chance, decimals, fixed, one_line, one_of, percent

LEAST_BAR, MOST_BAR = 18, 46
"""Cells of the bar. Further columns come only while it keeps ROOMY of them."""

ROOMY = 22
GAP = "  "


def lines(
    data: TableData, width: int, *, done: int, digits: int | None = None, glyphs: Glyphs = UNICODE, notes: bool = False
) -> list[Text]:
    """The table in lines of at most `width` cells. done: runs behind it. notes: every sentence, instead of short lines
    of those that limit a claim."""
    drawing = _Drawing(data, glyphs, digits, width)
    body = [*drawing.head(done), *drawing.table()]
    below = _sentences(data.notes, glyphs, width) if notes else _short(data, glyphs, width, bars=drawing.cells > 0)
    return [*body, Text(), *below]


def show(
    results: Results, *, sort: str | None = None, digits: int | None = None, ascii_: bool = False, notes: bool = False
) -> None:
    """The study's table on standard output, as wide as the terminal is."""
    console = Console(highlight=False, soft_wrap=True)
    data = arranged(table_data(results), sort)
    done = len({cell.run for cell in results.cells if cell.state == "done"})
    glyphs = glyphs_for(sys.stdout.encoding, ascii_=ascii_)
    assert isinstance(data, TableData)
    for line in lines(data, console.width, done=done, digits=digits, glyphs=glyphs, notes=notes):
        console.print(line)


# ---------------------------------------------------------------------------------------------------------------- notes


def _sentences(notes: Iterable[str], glyphs: Glyphs, width: int) -> list[Text]:
    return [Text(line) for note in notes for line in _wrapped(glyphs.spelled(f"- {one_line(note)}"), width)]


def _short(data: TableData, glyphs: Glyphs, width: int, *, bars: bool) -> list[Text]:
    """What limits a claim, then the best mean, then what bars show and where the rest is. bars: whether there are."""
    said = [
        line for note in data.notes for line in (note.line.split("\n") if isinstance(note, Note) else [f"! {note}"])
    ]
    below = [Text(line) for text in said if text for line in _wrapped(glyphs.spelled(text), width)]
    margin = data.minimum_effect
    within = f"{glyphs.margin} within ±{margin:g}, the smallest effect that matters" if margin and bars else ""
    both = bars and any(row.interval_here for row in data.rows)
    lines = f"{glyphs.thick} other seeds on these examples, {glyphs.thin} other examples too" if both else ""
    tests = " and ".join(dict.fromkeys(row.test for row in data.rows if row.test))
    how = f"p: {tests}, Holm over {families}" if tests and (families := _families(data.rows)) else ""
    rest = sum(isinstance(note, Note) and not note.line for note in data.notes)
    more = f"{rest} more note{'s' * (rest != 1)}: ablate table --notes" if rest else "in full: ablate table --notes"
    return [*below, *(Text(line, style="dim") for line in _filled([lines, within, how, more], glyphs, width - 2))]


def _families(rows: Iterable[Row]) -> str:
    """How many comparisons are corrected together: controls, what is beyond them, and means over bases apart from the
    others."""
    tested = (row for row in rows if row.test and row.design != "tuned")
    kinds = {(row.variant, row.compared_with): (row.kind, row.design == MEAN) for row in tested}
    return one_of(str(size) for size in sorted(set(Counter(kinds.values()).values())))


def _filled(parts: Iterable[str], glyphs: Glyphs, width: int) -> list[str]:
    """Parts in as few lines as they fit, two cells from the left."""
    made: list[str] = []
    between = glyphs.spelled(" · ")
    for part in map(glyphs.spelled, filter(None, parts)):
        if made and cell_len(made[-1] + between + part) <= width:
            made[-1] += between + part
        else:
            made.append(part)
    return [f"  {line}" for line in made]


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, which are not characters: a Chinese one takes two."""
    made, start = [""], True
    for word in text.split(" "):
        if not start and cell_len(f"{made[-1]} {word}") > width:
            made.append("  " + word)
        else:
            made[-1] += word if start else f" {word}"
        start = False
    return made


# -------------------------------------------------------------------------------------------------------------- columns


@dataclass(frozen=True)
class _Column:
    """cells: of each row, by its place in the table; empty where it has nothing to say."""

    title: str
    cells: tuple[Text, ...]
    right: bool = True

    @cached_property
    def width(self) -> int:
        return max([cell_len(self.title), *(cell.cell_len for cell in self.cells)])

    @property
    def empty(self) -> bool:
        return not any(cell.plain for cell in self.cells)

    def padded(self, cell: Text) -> Text:
        space = " " * (self.width - cell.cell_len)
        return Text(space).append_text(cell) if self.right else cell.copy().append(space)


class _Drawing:
    def __init__(self, data: TableData, glyphs: Glyphs, digits: int | None, width: int) -> None:
        self.data, self.glyphs, self.rows, self.width = data, glyphs, data.rows, width
        spread = decimals((row.std for row in data.rows), (row.mean for row in data.rows))
        self.digits = spread if digits is None else digits
        self.n = forest.shared_n(data.rows)
        self.groups = forest.groups(data.rows)
        self.names = [self._name(row, 3 * width // 10) for row in data.rows]
        heads = [cell_len(group.title) for group in self.groups if group.base is None]
        self.first = max([*(text.cell_len for text in self.names), *heads], default=0)
        self.columns, self.cells = self._fitting(width - self.first)

    def _number(self, value: float | None, *, sign: bool = False) -> str:
        spelled = self.glyphs.spelled
        return spelled("–") if value is None else fixed(value, self.digits, sign=sign, minus=spelled(MINUS))

    def head(self, done: int) -> list[Text]:
        """`batchnorm · dev accuracy (%), higher is better · n = 10 · 70 runs done`."""
        metric = f"{self._titled(self.data.metric)}, {self.data.better} is better"
        n = f"n = {self.n}" if self.n is not None else ""
        parts = [metric, n, f"{done} run{'s' * (done != 1)} done"]
        line = _styled(one_line(self.data.study), "bold")
        line.append(self.glyphs.spelled("".join(f" · {part}" for part in parts if part)))
        line.truncate(self.width)
        return [line, Text()]

    def _titled(self, metric: str) -> str:
        unit = f" ({self.data.units[metric]})" if self.data.units.get(metric) else ""
        return one_line(metric).replace("_", " ") + unit

    # ------------------------------------------------------------------------------------------------------ its columns

    def _name(self, row: Row, most: int) -> Text:
        """Indented under its base; cut at the end, so that its marks stay."""
        marks, label = self.glyphs.spelled(forest.marks(row, self.n)), forest.name(row)
        text = " " * forest.indented(row) + self.glyphs.spelled(label[:1]) + label[1:]
        room = max(most - cell_len(marks), 4)
        text = text if cell_len(text) <= room else set_cell_size(text, room - 1).rstrip() + "…"
        return _styled(text + marks, "bold" if row.compared_with is None or decided(row) else "")

    def _means(self) -> _Column:
        """Means aligned at the point, standard deviations after them."""
        means = [self._number(row.mean) for row in self.rows]
        spreads = [self._number(row.std) if row.std is not None else "" for row in self.rows]
        wide, sd, sign = max(map(len, means), default=0), max(map(len, spreads), default=0), self.glyphs.spelled(" ± ")
        after = [(sign + text.rjust(sd) if text else "").ljust(len(sign) + sd) if sd else "" for text in spreads]
        cells = tuple(Text(mean.rjust(wide) + spread) for mean, spread in zip(means, after, strict=True))
        title = self.glyphs.spelled("mean ± sd") if sd else "mean"
        return _Column(title, cells)

    def _delta(self, row: Row) -> Text:
        text = "" if row.compared_with is None else self._number(row.delta, sign=True)
        return _styled(text, "bold" if decided(row) else "")

    def _interval(self, row: Row) -> Text:
        low, high, why = row.delta_ci_low, row.delta_ci_high, ""
        if low is None and row.pairs == 2:
            low, high, why = row.delta_low, row.delta_high, " (n = 2)"
        if low is None or high is None:
            return Text()
        text = f"{self._number(low, sign=True)} to {self._number(high, sign=True)}{why}"
        return _styled(text, "" if decided(row) else "dim")

    def _chance(self, row: Row) -> Text:
        text = no_chance(row) if row.p_adjusted is None else chance(row.p_adjusted)
        return _styled(text, "" if decided(row) else "dim")

    def _verdict(self, row: Row) -> Text:
        if not row.verdict:
            return Text()
        text = _styled(mark_of(row, self.glyphs), COLOURS.get(row.verdict, "dim"))
        return text.append(f" {row.judged}", style="bold" if decided(row) else "dim")

    def _also(self, name: str) -> _Column:
        values = [row.also[name] for row in self.rows]
        places = decimals((value.std for value in values), (value.mean for value in values))
        return self._column(self._titled(name), lambda row: Text(further(row.also[name], row.n, places), style="dim"))

    def _column(self, title: str, cell: Callable[[Row], Text], *, right: bool = True) -> _Column:
        return _Column(self.glyphs.spelled(title), tuple(map(cell, self.rows)), right)

    def _fitting(self, room: int) -> tuple[list[_Column | None], int]:
        """The columns that fit beside the name, None for the bar, and the bar's cells; no bar where nothing differs."""
        sure = " or ".join(dict.fromkeys(percent(row.confidence) for row in self.rows))
        verdict = self._column("verdict", self._verdict, right=False)
        always = [self._means(), self._column("Δ", self._delta)]
        before = [self._column(f"{sure} interval", self._interval)]
        after = [self._column("p Holm", self._chance)]
        last = [self._column("seeds", lambda row: _styled(forest.more_seeds(row), "dim"))]
        last += [self._also(name) for name in self.data.also]
        least = ROOMY + len(GAP) if any(row.delta is not None for row in self.rows) else 0
        left = room - sum(len(GAP) + column.width for column in (*always, verdict))
        kept = []
        for column in (*before, *after, *last):
            needs = len(GAP) + column.width
            if not column.empty and left - needs >= least:
                kept.append(column)
                left -= needs
        cells = min(left - len(GAP), MOST_BAR) if least else 0
        bar: list[_Column | None] = [None] if cells >= LEAST_BAR else []
        chosen = [[column for column in part if column in kept] for part in (before, after, last)]
        return [*always, *chosen[0], *bar, *chosen[1], verdict, *chosen[2]], cells if bar else 0

    # ------------------------------------------------------------------------------------------------------- together

    def table(self) -> list[Text]:
        """Header, ruler and rows."""
        scale = Scale(forest.range_of(self.rows, self.data.minimum_effect), self.cells) if self.cells else None
        made = self._header(scale)
        place = {id(row): i for i, row in enumerate(self.rows)}
        for i, group in enumerate(self.groups):
            made += [Text()] * (i > 0)
            made += [Text(group.title, style="bold")] if group.base is None else []
            above = ""
            for row, stage in zip(group.every, of_rows(group.every, self.data.stages), strict=True):
                made += [Text()] * apart(above, stage)
                made.append(self._line(place[id(row)], scale))
                above = stage
        return made

    def _header(self, scale: Scale | None) -> list[Text]:
        """The directions, the titles with the bar's ticks, and the ruler."""
        glyphs = self.glyphs
        titles, rule, before = " " * self.first, glyphs.rule * self.first, 0
        for column in self.columns:
            titles, rule = titles + GAP, rule + glyphs.rule * len(GAP)
            if column is None and scale is not None:
                before = cell_len(titles)
                titles += labels(scale, glyphs)
                rule += ruler(scale, self.data.minimum_effect, glyphs)
            elif column is not None:
                titles += column.padded(Text(column.title)).plain
                rule += glyphs.rule * column.width
        made = [Text(titles.rstrip()), Text(rule, style="dim")]
        if scale is None:
            return made
        sides = directions(scale, self.data.better == "higher", glyphs)
        return [Text(" " * before + sides, style="dim"), *made]

    def _line(self, i: int, scale: Scale | None) -> Text:
        row, text = self.rows[i], self.names[i].copy()
        text.append(" " * (self.first - text.cell_len))
        for column in self.columns:
            text.append(GAP)
            if column is not None:
                text.append_text(column.padded(column.cells[i]))
            elif scale is not None:
                text.append_text(bar(row, scale, self.glyphs) if row.delta is not None else Text(" " * scale.cells))
        text.rstrip()
        return text


def _styled(text: str, style: str) -> Text:
    """Text of a style that what is appended does not inherit."""
    return Text().append(text, style)
