"""The table on a terminal: each row with its difference as a number and as a bar, under its base; then what limits a
claim, in a line each.

Pure: a table in, styled lines out, none wider than asked. Files and pipes get Markdown (tables/formats/markdown.py).
Columns go by priority: name, mean, difference and verdict always; the bar where there is room for it, for which long
verdicts take a second line and long names are cut; then interval, p, further seeds and metrics as far as the bar keeps
its cells. Where there is no bar the interval stands below its difference. On the narrowest screens spreads and then
means go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ablate.analysis.bases import MEAN
from ablate.analysis.results import Results
from ablate.records import Row
from ablate.tables import forest, views
from ablate.tables.forest import decided
from ablate.tables.grid import further, no_chance
from ablate.tables.stages import apart, of_rows
from ablate.tables.table import TableData, TableOptions, ViewData, arranged
from ablate.terminal import columns
from ablate.terminal.bars import (
    COLOURS,
    UNICODE,
    Glyphs,
    Scale,
    bar,
    directions,
    fitted,
    labels,
    mark_of,
    ruler,
)
from ablate.terminal.columns import GAP, filled, sentences, wrapped
from ablate.text import MINUS, Note, decimals, fixed, one_line, one_of, percent

LEAST_BAR, MOST_BAR = 18, 46
"""Cells of the bar. Further columns come only while it keeps ROOMY of them."""

ROOMY = 22
SHORT_NAME, SHORT_VERDICT = 16, 17
"""Cells to which names and verdicts shrink so that there is a bar; a verdict's mark and words never go."""


def lines(
    data: TableData, width: int, *, done: int, digits: int | None = None, glyphs: Glyphs = UNICODE, notes: bool = False
) -> list[Text]:
    """The table in lines of at most `width` cells. done: runs behind it. notes: every sentence, instead of short lines
    of those that limit a claim."""
    drawing = _Drawing(data, glyphs, digits, width)
    body = [*drawing.head(done), *drawing.table()]
    below = sentences(data.notes, glyphs, width) if notes else _short(data, glyphs, width, bars=drawing.cells > 0)
    return [fitted(line, width, glyphs) for line in (*body, Text(), *below)]


def show(
    results: Results,
    view: str = "variants",
    sort: str | None = None,
    options: TableOptions = TableOptions(),  # noqa: B008
    *,
    ascii_: bool = False,
    notes: bool = False,
) -> None:
    """A view of the study on standard output, as wide as the terminal is: the table with bars, the others in columns,
    as the table is where its columns were chosen."""
    data = arranged(views.view(results, view), sort)
    done = len({cell.run for cell in results.cells if cell.state == "done"})

    def drawn(width: int, glyphs: Glyphs) -> list[Text]:
        if isinstance(data, ViewData) or data.matrix or options.columns:
            return columns.lines(data, width, glyphs, options, notes=notes)
        return lines(data, width, done=done, digits=options.digits, glyphs=glyphs, notes=notes)

    columns.put(drawn, ascii_=ascii_)


# ---------------------------------------------------------------------------------------------------------------- notes


def _short(data: TableData, glyphs: Glyphs, width: int, *, bars: bool) -> list[Text]:
    """What limits a claim, then the best mean, then what bars show and where the rest is. bars: whether there are."""
    said = [
        line for note in data.notes for line in (note.line.split("\n") if isinstance(note, Note) else [f"! {note}"])
    ]
    below = [Text(line) for text in said if text for line in wrapped(glyphs.spelled(text), width)]
    margin = data.minimum_effect
    within = f"{glyphs.margin} within ±{margin:g}, the smallest effect that matters" if margin and bars else ""
    both = bars and any(row.interval_here for row in data.rows)
    lines = f"{glyphs.thick} other seeds on these examples, {glyphs.thin} other examples too" if both else ""
    tests = " and ".join(dict.fromkeys(row.test for row in data.rows if row.test and row.p_adjusted is not None))
    how = f"p: {tests}, Holm over {families}" if tests and (families := _families(data.rows)) else ""
    rest = sum(isinstance(note, Note) and not note.line for note in data.notes)
    more = f"{rest} more note{'s' * (rest != 1)}: ablate table --notes" if rest else "in full: ablate table --notes"
    return [*below, *(Text(line, style="dim") for line in filled([lines, within, how, more], glyphs, width - 2))]


def _families(rows: Iterable[Row]) -> str:
    """How many comparisons are corrected together: controls, what is beyond them, and means over bases apart from the
    others."""
    tested = (row for row in rows if row.compared_with is not None and row.design != "tuned")
    kinds = {(row.variant, row.compared_with): (row.kind, row.design == MEAN) for row in tested}
    return one_of(str(size) for size in sorted(set(Counter(kinds.values()).values())))


# -------------------------------------------------------------------------------------------------------------- columns


@dataclass(frozen=True)
class _Column:
    """cells: of each row, by its place in the table, of one line or more; empty where it has nothing to say."""

    title: str
    cells: tuple[Text, ...]
    right: bool = True

    @cached_property
    def width(self) -> int:
        return max(cell_len(self.title), _width(self.cells))

    @property
    def empty(self) -> bool:
        return not any(cell.plain for cell in self.cells)

    @property
    def head(self) -> str:
        space = " " * (self.width - cell_len(self.title))
        return space + self.title if self.right else self.title + space


class _Drawing:
    def __init__(self, data: TableData, glyphs: Glyphs, digits: int | None, width: int) -> None:
        self.data, self.glyphs, self.rows, self.width = data, glyphs, data.rows, width
        spread = decimals((row.std for row in data.rows), (row.mean for row in data.rows))
        self.digits = spread if digits is None else digits
        self.n = forest.shared_n(data.rows)
        self.groups = forest.groups(data.rows)
        self.headed = {id(row) for group in self.groups if group.base is None for row in group.rows}
        self.names, self.columns, self.cells = self._fitting()
        self.first = _width(self.names)

    def _number(self, value: float | None, *, sign: bool = False) -> str:
        spelled = self.glyphs.spelled
        return spelled("–") if value is None else fixed(value, self.digits, sign=sign, minus=spelled(MINUS))

    def head(self, done: int) -> list[Text]:
        """`batchnorm · dev accuracy (%), higher is better · n = 10 · 70 runs done`."""
        metric = f"{self._titled(self.data.metric)}, {self.data.better} is better"
        n = f"n = {self.n}" if self.n is not None else ""
        parts = [one_line(self.data.study), metric, n, f"{done} run{'s' * (done != 1)} done"]
        lines = [Text(line.removeprefix("  ")) for line in filled(parts, self.glyphs, self.width)]
        lines[0].stylize("bold", 0, len(parts[0]))
        return [*lines, Text()]

    def _titled(self, metric: str) -> str:
        unit = f" ({self.data.units[metric]})" if self.data.units.get(metric) else ""
        return one_line(metric).replace("_", " ") + unit

    # ------------------------------------------------------------------------------------------------------ its columns

    def _name(self, row: Row, most: int) -> Text:
        """Indented under its base or heading; cut at the end, so that its marks stay; its bases in a second line."""
        bases, cut = "", self.glyphs.spelled("…")
        marks, label = self.glyphs.spelled(forest.marks(row, self.n)), forest.name(row)
        if row.design == MEAN and cell_len(label) + 1 > most:
            label, _, bases = label.partition(", in ")
        indent = forest.indented(row) or id(row) in self.headed
        text = " " * indent + self.glyphs.spelled(label[:1]) + label[1:]
        room = max(most - cell_len(marks), 6)
        text = text if cell_len(text) <= room else set_cell_size(text, room - len(cut)).rstrip() + cut
        below = f"\n{' ' * indent}  in {bases}" if bases else ""
        return _styled(text + marks + below, "bold" if row.compared_with is None or decided(row) else "")

    def _means(self, *, spread: bool = True) -> _Column:
        """Means aligned at the point, standard deviations after them."""
        means = [self._number(row.mean) for row in self.rows]
        spreads = [self._number(row.std) if spread and row.std is not None else "" for row in self.rows]
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
        text = no_chance(row) if row.p_adjusted is None else forest.shown_chance(row.p_adjusted)
        return _styled(text, "" if decided(row) else "dim")

    def _verdict(self, row: Row, most: int) -> Text:
        """The verdict's mark and its words, in lines of `most` cells."""
        if not row.verdict:
            return Text()
        text = _styled(mark_of(row, self.glyphs), COLOURS.get(row.verdict, "dim"))
        words = "\n".join(wrapped(row.judged, most))
        return text.append(f" {words}", style="bold" if decided(row) else "dim")

    def _also(self, name: str) -> _Column:
        values = [row.also[name] for row in self.rows]
        places = decimals((value.std for value in values), (value.mean for value in values))
        return self._column(self._titled(name), lambda row: Text(further(row.also[name], row.n, places), style="dim"))

    def _column(self, title: str, cell: Callable[[Row], Text], *, right: bool = True) -> _Column:
        return _Column(self.glyphs.spelled(title), tuple(map(cell, self.rows)), right)

    def _fitting(self) -> tuple[list[Text], list[_Column | None], int]:
        """The names, the columns that fit beside them, None for the bar, and the bar's cells; no bar where nothing
        differs. What leaves room for a bar comes first, then what leaves the most as it is."""
        differ = any(row.delta is not None for row in self.rows)
        name, delta = max(3 * self.width // 10, 12), self._column("Δ", self._delta)
        full = [self._means(), delta]
        bar = (LEAST_BAR + len(GAP)) * differ
        for verdict in (self.width, SHORT_VERDICT):
            names, left, always = self._always(name, full, verdict)
            if left < bar and name + left - bar >= SHORT_NAME and verdict == SHORT_VERDICT:
                names, left, always = self._always(_width(names) + left - bar, full, verdict)
            if left >= bar:
                return names, *self._further(left, always, bar=differ)
        sparing = ([self._means(spread=False), delta], SHORT_VERDICT), ([delta], SHORT_VERDICT), ([delta], 10)
        for first, verdict in ((full, self.width), (full, SHORT_VERDICT), *sparing):
            names, left, always = self._always(name, first, verdict)
            if left >= 0:
                break
        return names, [*always], 0

    def _always(self, name: int, first: list[_Column], verdict: int) -> tuple[list[Text], int, list[_Column]]:
        """Names of at most so many cells, the room that is left beside them and what stands there in any case."""
        names = [self._name(row, name) for row in self.rows]
        always = [*first, self._column("verdict", lambda row: self._verdict(row, verdict - 2), right=False)]
        return names, self.width - _width(names) - sum(len(GAP) + column.width for column in always), always

    def _further(self, left: int, always: list[_Column], *, bar: bool) -> tuple[list[_Column | None], int]:
        """The columns with those for which there is room, and the bar's cells."""
        *first, verdict = always
        sure = " or ".join(dict.fromkeys(percent(row.confidence) for row in self.rows))
        before = [self._column(f"{sure} interval", self._interval)]
        tested = any(row.p_adjusted is not None for row in self.rows)
        after = [self._column("p Holm", self._chance)] if tested else []
        last = [self._column("seeds", lambda row: _styled(forest.more_seeds(row), "dim"))]
        last += [self._also(name) for name in self.data.also]
        kept = []
        for column in (*before, *after, *last):
            needs = len(GAP) + column.width
            if not column.empty and left - needs >= (ROOMY + len(GAP)) * bar:
                kept.append(column)
                left -= needs
        chosen = [[column for column in part if column in kept] for part in (before, after, last)]
        bars: list[_Column | None] = [None] * bar
        return [*first, *chosen[0], *bars, *chosen[1], verdict, *chosen[2]], min(left - len(GAP), MOST_BAR) * bar

    # ------------------------------------------------------------------------------------------------------- together

    def table(self) -> list[Text]:
        """Header, ruler and rows."""
        scale = Scale(forest.range_of(self.rows, self.data.minimum_effect), self.cells) if self.cells else None
        made = self._header(scale)
        place = {id(row): i for i, row in enumerate(self.rows)}
        for i, group in enumerate(self.groups):
            made += [Text()] * (i > 0)
            made += [Text(line, "bold") for line in wrapped(group.title, self.width)] if group.base is None else []
            above = ""
            for row, stage in zip(group.every, of_rows(group.every, self.data.stages), strict=True):
                made += [Text()] * apart(above, stage)
                made += self._lines(place[id(row)], scale)
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
                titles += column.head
                rule += glyphs.rule * column.width
        made = [Text(titles.rstrip()), Text(rule, style="dim")]
        if scale is None:
            return made
        sides = directions(scale, self.data.better, glyphs)
        return [Text(" " * before + sides, style="dim"), *made]

    def _lines(self, i: int, scale: Scale | None) -> list[Text]:
        """A row, in as many lines as its cells; where there is no bar its interval ends below its difference."""
        row, name = self.rows[i], self.names[i].split("\n")
        bars = Text() if scale is None or self.rows[i].delta is None else bar(row, scale, self.glyphs)
        parts = [[bars] if column is None else column.cells[i].split("\n") for column in self.columns]
        below = Text() if scale is not None else self._interval(row)
        lines = []
        for at in range(max(len(name), *map(len, parts), 1 + bool(below))):
            text, edge = name[at].copy() if at < len(name) else Text(), self.first
            for column, of in zip(self.columns, parts, strict=True):
                wide = self.cells if column is None else column.width
                edge += len(GAP) + wide
                cell = of[at] if at < len(of) else Text()
                cell = below if at == 1 and column is not None and column.title == self.glyphs.spelled("Δ") else cell
                start = edge - (cell.cell_len if column is not None and column.right else wide)
                if cell:
                    text.append(" " * (start - text.cell_len if start > text.cell_len else len(GAP))).append_text(cell)
            lines.append(text)
        return lines


def _width(cells: Iterable[Text]) -> int:
    """Of the widest line."""
    return max((line.cell_len for cell in cells for line in cell.split("\n")), default=0)


def _styled(text: str, style: str) -> Text:
    """Text of a style that what is appended does not inherit."""
    return Text().append(text, style)
