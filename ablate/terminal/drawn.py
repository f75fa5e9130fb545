"""The table on a terminal: each row with its difference as a number and as a bar, under its base; then what limits a
claim, in a line each.

Pure: a table in, styled lines out, none wider than asked. Files and pipes get Markdown (tables/formats/markdown.py).
Columns go by priority: name, mean, difference, bar and verdict always; then interval, p, further seeds and metrics as
far as the bar keeps its cells.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from ablate.analysis.results import Results
from ablate.records import Row
from ablate.tables.grid import chance, further, no_chance
from ablate.tables.table import TableData, arranged
from ablate.tables.views import table_data
from ablate.terminal.bars import (
    ASCII,
    COLOURS,
    UNICODE,
    Glyphs,
    Scale,
    bar,
    directions,
    labels,
    mark_of,
    ruler,
    scale_of,
)
from ablate.text import MINUS, Note, decimals, fixed, one_line, percent

LEAST_BAR, MOST_BAR = 18, 46
"""Cells of the bar. Further columns come only while it keeps ROOMY of them."""

ROOMY = 22
GAP = "  "


def lines(
    data: TableData, width: int, *, done: int, digits: int | None = None, glyphs: Glyphs = UNICODE, notes: bool = False
) -> list[Text]:
    """The table in lines of at most `width` cells. done: runs behind it. notes: every sentence, instead of short lines
    of those that limit a claim."""
    drawing = _Drawing(data, glyphs, digits)
    body = [*drawing.head(done, width), *drawing.table(width)]
    below = _sentences(data.notes, glyphs, width) if notes else _short(data, glyphs, width)
    return [*body, Text(), *below]


def show(
    results: Results, *, sort: str | None = None, digits: int | None = None, ascii_: bool = False, notes: bool = False
) -> None:
    """The study's table on standard output, as wide as the terminal is."""
    console = Console(highlight=False, soft_wrap=True)
    data = arranged(table_data(results), sort)
    done = len({cell.run for cell in results.cells if cell.state == "done"})
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    glyphs = UNICODE if utf8 and not ascii_ else ASCII
    assert isinstance(data, TableData)
    for line in lines(data, console.width, done=done, digits=digits, glyphs=glyphs, notes=notes):
        console.print(line)


# ---------------------------------------------------------------------------------------------------------------- notes


def _sentences(notes: Iterable[str], glyphs: Glyphs, width: int) -> list[Text]:
    return [Text(line) for note in notes for line in _wrapped(glyphs.spelled(f"- {one_line(note)}"), width)]


def _short(data: TableData, glyphs: Glyphs, width: int) -> list[Text]:
    """What limits a claim, then the best mean, then where the rest is."""
    said = [
        line for note in data.notes for line in (note.line.split("\n") if isinstance(note, Note) else [f"! {note}"])
    ]
    below = [Text(line) for text in said if text for line in _wrapped(glyphs.spelled(text), width)]
    margin = data.minimum_effect
    within = f"{glyphs.margin} within ±{margin:g}, the smallest effect that matters" if margin else ""
    tests = " and ".join(dict.fromkeys(row.test for row in data.rows if row.test))
    family = len({(row.variant, row.compared_with) for row in data.rows if row.test and row.design != "tuned"})
    how = f"p: {tests}, Holm over {family}" if tests and family else ""
    rest = sum(isinstance(note, Note) and not note.line for note in data.notes)
    more = f"{rest} more note{'s' * (rest != 1)}: ablate table --notes" if rest else "in full: ablate table --notes"
    return [*below, *(Text(line, style="dim") for line in _filled([within, how, more], glyphs, width - 2))]


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
    title: str
    cell: Callable[[Row], Text]
    right: bool = True

    def width(self, rows: Iterable[Row]) -> int:
        return max([cell_len(self.title), *(self.cell(row).cell_len for row in rows)])


@dataclass(frozen=True)
class _Group:
    """Rows under their base. base: None where a title says what they are held against, or where there is none."""

    title: str
    base: Row | None
    rows: tuple[Row, ...]


def groups(rows: Sequence[Row]) -> list[_Group]:
    """Rows by design and by what they are compared with; a base that stands above already is only named."""
    made: list[_Group] = []
    shown: set[str] = set()
    kinds = dict.fromkeys((row.design, row.compared_with or row.variant) for row in rows)
    for design, against in kinds:
        of = [row for row in rows if row.design == design]
        base = next((row for row in of if row.variant == against and row.compared_with is None), None)
        under = tuple(row for row in of if row.compared_with == against)
        if base is not None and against not in shown:
            made.append(_Group(against, base, under))
        elif under and not (made and _chained(under, made[-1])):
            made.append(_Group(f"{design} against {against}", None, under))
        elif under:
            made[-1] = _Group(made[-1].title, made[-1].base, (*made[-1].rows, *under))
        shown.add(against)
    return made


def _chained(rows: Sequence[Row], before: _Group) -> bool:
    """Whether each step of a design is compared with the step above."""
    last = before.rows[-1] if before.rows else before.base
    return (
        last is not None and len(rows) == 1 and rows[0].compared_with == last.variant and rows[0].design == last.design
    )


class _Drawing:
    def __init__(self, data: TableData, glyphs: Glyphs, digits: int | None) -> None:
        self.data, self.glyphs, self.rows = data, glyphs, data.rows
        spread = decimals((row.std for row in data.rows), (row.mean for row in data.rows))
        self.digits = spread if digits is None else digits
        self.groups = groups(data.rows)
        self.pm = glyphs.spelled(" ± ")
        counts = {row.n for row in data.rows if not row.failed and row.n == row.planned}
        self.n = counts.pop() if len(counts) == 1 else None
        self.mean_width = max((len(self._number(row.mean)) for row in data.rows), default=0)
        self.std_width = max((len(self._number(row.std)) for row in data.rows if row.std is not None), default=0)

    def _number(self, value: float | None, *, sign: bool = False) -> str:
        return (
            self.glyphs.spelled("–")
            if value is None
            else fixed(value, self.digits, sign=sign, minus=self.glyphs.spelled(MINUS))
        )

    # ------------------------------------------------------------------------------------------------------- its head

    def head(self, done: int, width: int) -> list[Text]:
        """`batchnorm · dev accuracy (%), higher is better · n = 10 · 70 runs done`."""
        unit = f" ({self.data.units[self.data.metric]})" if self.data.units.get(self.data.metric) else ""
        metric = f"{_words(self.data.metric)}{unit}, {self.data.better} is better"
        n = f"n = {self.n}" if self.n is not None else ""
        parts = [metric, n, f"{done} run{'s' * (done != 1)} done"]
        line = _styled(one_line(self.data.study), "bold")
        line.append(self.glyphs.spelled("".join(f" · {part}" for part in parts if part)))
        line.truncate(width)
        return [line, Text()]

    # ------------------------------------------------------------------------------------------------------ its cells

    def _name(self, row: Row, most: int) -> Text:
        """Indented under its base; cut at the end, so that its marks stay."""
        label = one_line(row.label or row.variant)
        deep = row.compared_with is not None and label[:2] in ("- ", "+ ")
        label = self.glyphs.spelled(MINUS) + label[1:] if label.startswith("- ") else label
        marks = " ‡" * (len(row.differs) > 1) + " ▲" * bool(row.collapsed) + " §" * row.corrected_away
        marks += f" {row.n}/{row.planned}" * (row.n != row.planned) + "†" * bool(row.failed) + "¶" * row.stopped_early
        if row.n == row.planned and row.n != self.n and not row.failed:
            marks += f" (n = {row.n})"
        marks = self.glyphs.spelled(marks)
        text = " " * deep + label
        room = max(most - cell_len(marks), 4)
        text = text if cell_len(text) <= room else set_cell_size(text, room - 1).rstrip() + "…"
        return _styled(text + marks, "bold" if row.compared_with is None or _decided(row) else "")

    def _mean(self, row: Row) -> Text:
        text = Text(self._number(row.mean).rjust(self.mean_width))
        if self.std_width:
            spread = f"{self.pm}{self._number(row.std).rjust(self.std_width)}" if row.std is not None else ""
            text.append(spread.ljust(self.std_width + len(self.pm)))
        return text

    def _delta(self, row: Row) -> Text:
        if row.compared_with is None:
            return Text()
        return _styled(self._number(row.delta, sign=True), "bold" if _decided(row) else "")

    def _interval(self, row: Row) -> Text:
        low, high, why = row.delta_ci_low, row.delta_ci_high, ""
        if low is None and row.pairs == 2:
            low, high, why = row.delta_low, row.delta_high, " (n = 2)"
        if low is None or high is None:
            return Text()
        text = f"{self._number(low, sign=True)} to {self._number(high, sign=True)}{why}"
        return _styled(text, "" if _decided(row) else "dim")

    def _chance(self, row: Row) -> Text:
        if row.p_adjusted is None:
            return _styled(no_chance(row), "dim")
        return _styled(chance(row.p_adjusted), "" if _decided(row) else "dim")

    def _verdict(self, row: Row) -> Text:
        if not row.verdict:
            return Text()
        text = _styled(mark_of(row, self.glyphs), COLOURS.get(row.verdict, "dim"))
        return text.append(f" {row.judged}", style="bold" if _decided(row) else "dim")

    def _seeds(self, row: Row) -> Text:
        low, high = row.delta_ci_low, row.delta_ci_high
        worth = row.more_seeds is not None and row.more_seeds < 100 and low is not None and high is not None
        return _styled(f"+{row.more_seeds}" if worth and low <= 0 <= high else "", "dim")  # type: ignore[operator]

    def _also(self, name: str) -> _Column:
        values = [row.also[name] for row in self.rows]
        places = decimals((value.std for value in values), (value.mean for value in values))
        unit = f" ({self.data.units[name]})" if self.data.units.get(name) else ""
        return _Column(f"{_words(name)}{unit}", lambda row: Text(further(row.also[name], row.n, places), style="dim"))

    # ------------------------------------------------------------------------------------------------------- together

    def table(self, width: int) -> list[Text]:
        """Header, ruler and rows."""
        heads = [Text(group.title) for group in self.groups if group.base is None]
        names = [self._name(row, 3 * width // 10) for row in self.rows]
        first = max((text.cell_len for text in (*names, *heads)), default=0)
        columns, cells = self._fitting(width - first)
        margin = self.data.minimum_effect
        scale = scale_of([row for row in self.rows if row.compared_with is not None], margin, cells) if cells else None
        made = self._header(first, columns, scale, margin)
        for i, group in enumerate(self.groups):
            made += [Text()] * (i > 0)
            base = [group.base] if group.base is not None else []
            made += [Text(group.title, style="bold")] if group.base is None else []
            made += [self._line(row, first, columns, scale, width) for row in (*base, *group.rows)]
        return made

    def _fitting(self, room: int) -> tuple[list[_Column | None], int]:
        """The columns that fit beside the name, None for the bar, and the bar's cells; no bar where nothing differs."""
        sure = " or ".join(dict.fromkeys(percent(row.confidence) for row in self.rows))
        spelled = self.glyphs.spelled
        title = spelled("mean ± sd") if self.std_width else "mean"
        always = [
            _Column(title.center(self.mean_width + 5 if self.std_width else 4).rstrip(), self._mean),
            _Column(spelled("Δ"), self._delta),
        ]
        verdict = _Column("verdict", self._verdict, right=False)
        wanted = [
            ("interval", _Column(f"{sure} interval", self._interval)), ("p", _Column("p Holm", self._chance)),
            ("seeds", _Column("seeds", self._seeds)), *((f"also {name}", self._also(name)) for name in self.data.also),
        ]  # fmt: skip
        compared = any(row.delta is not None for row in self.rows)
        left = room - sum(len(GAP) + column.width(self.rows) for column in (*always, verdict))
        chosen: dict[str, _Column] = {}
        for name, column in wanted:
            empty = all(not column.cell(row).plain for row in self.rows)
            needs = len(GAP) + column.width(self.rows)
            if not empty and left - needs >= (ROOMY + len(GAP) if compared else 0):
                chosen[name] = column
                left -= needs
        cells = max(min(left - len(GAP), MOST_BAR), min(LEAST_BAR, left - len(GAP)), 0) if compared else 0
        also = [column for name, column in chosen.items() if name.startswith("also ")]
        kept = [chosen[name] for name in ("interval",) if name in chosen]
        after = [chosen[name] for name in ("p",) if name in chosen]
        seeds = [chosen[name] for name in ("seeds",) if name in chosen]
        bar: list[_Column | None] = [None] if cells >= 8 else []
        return [*always, *kept, *bar, *after, verdict, *seeds, *also], cells if bar else 0

    def _header(
        self, first: int, columns: Sequence[_Column | None], scale: Scale | None, margin: float | None
    ) -> list[Text]:
        """The directions, the titles with the bar's ticks, and the ruler."""
        glyphs = self.glyphs
        titles, rule, before = " " * first, glyphs.rule * first, 0
        for column in columns:
            titles, rule = titles + GAP, rule + glyphs.rule * len(GAP)
            if column is None and scale is not None:
                before = cell_len(titles)
                titles += labels(scale, glyphs)
                rule += ruler(scale, margin, glyphs)
            elif column is not None:
                wide = column.width(self.rows)
                titles += column.title.rjust(wide) if column.right else column.title.ljust(wide)
                rule += glyphs.rule * wide
        made = [Text(titles.rstrip()), Text(rule, style="dim")]
        if scale is None:
            return made
        sides = directions(scale, self.data.better == "higher", glyphs)
        return [Text(" " * before + sides, style="dim"), *made]

    def _line(self, row: Row, first: int, columns: Sequence[_Column | None], scale: Scale | None, width: int) -> Text:
        text = self._name(row, 3 * width // 10)
        text.append(" " * (first - text.cell_len))
        for column in columns:
            text.append(GAP)
            if column is not None:
                cell, wide = column.cell(row), column.width(self.rows)
                space = " " * (wide - cell.cell_len)
                text.append_text(Text(space).append_text(cell) if column.right else cell.append(space))
            elif scale is not None:
                text.append_text(bar(row, scale, self.glyphs) if row.delta is not None else Text(" " * scale.cells))
        text.rstrip()
        return text


def _styled(text: str, style: str) -> Text:
    """Text of a style that what is appended does not inherit."""
    return Text().append(text, style)


def _decided(row: Row) -> bool:
    return row.verdict in ("helps", "hurts") and not row.lopsided


def _words(metric: str) -> str:
    return one_line(metric).replace("_", " ")
