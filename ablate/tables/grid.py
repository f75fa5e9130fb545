"""A table as plain text in columns, laid out once for the formats that people read; each format escapes it.

Which columns, what each says, what is bold, which rows stand together. It knows no format's syntax and computes no
statistic; the rows' order is table.py's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ablate.analysis.tuned import MARK
from ablate.records import AlsoValue, Better, Row
from ablate.tables.stages import apart as between
from ablate.tables.stages import of_rows
from ablate.tables.table import (
    Chance,
    Measure,
    Switch,
    TableData,
    TableOptions,
    ViewData,
    column_names,
    named,
    view_columns,
)
from ablate.text import chance, decimals, fixed, one_line, percent


@dataclass(frozen=True)
class Entry:
    """What stands in one place. number: it holds numbers, so that a hyphen is a minus sign."""

    text: str
    number: bool = False
    bold: bool = False


@dataclass(frozen=True)
class Block:
    """Rows of a group that stand together. title: of levels of one trick, what the rows share; names: what is left of
    their own names below it. apart: set apart from the rows above."""

    size: int
    title: str = ""
    names: tuple[str, ...] = ()
    apart: bool = False


@dataclass(frozen=True)
class Group:
    """The rows of one design. title: empty where the table has one group only. blocks: the rows, partitioned."""

    title: str
    rows: tuple[tuple[Entry, ...], ...]
    blocks: tuple[Block, ...] = ()

    @property
    def parts(self) -> list[tuple[Block, tuple[tuple[Entry, ...], ...]]]:
        """The rows by block."""
        parts, start = [], 0
        for block in self.blocks or (Block(len(self.rows)),):
            parts.append((block, self.rows[start : start + block.size]))
            start += block.size
        return parts


@dataclass(frozen=True)
class Over:
    """A title over several columns next to each other."""

    title: str
    start: int
    size: int


@dataclass(frozen=True)
class Grid:
    """A table as plain text: the first column names the row, numbers are to be aligned right.

    ticks: columns to be centred. spans: titles over the header's.
    """

    header: tuple[str, ...]
    numeric: tuple[bool, ...]
    groups: tuple[Group, ...]
    ticks: tuple[bool, ...] = ()
    spans: tuple[Over, ...] = ()


@dataclass(frozen=True)
class _Column:
    title: str
    cell: Callable[[Row], Entry]
    number: bool = False
    tick: bool = False
    kind: str = ""


def grid(data: TableData | ViewData, options: TableOptions) -> Grid:
    """`data` laid out for people. † marks failed runs, ‡ rows that differ from their comparison by several tricks,
    ¶ rows that adaptive seeds stopped early, ° rows that the correction alone leaves open. Bold is only what survives
    correction, and not where the sides differ in failures.
    """
    if isinstance(data, ViewData):
        return _view_grid(data, options)
    grouped = [(design, tuple(rows)) for design, rows in groupby(data.rows, lambda row: row.design)]
    against = [_compared_with(rows) for _, rows in grouped]
    chained = len(grouped) == 1 and _chained(grouped[0][1])
    several = not chained and any(len(names) > 1 for names in against)
    called = _called(data.rows)
    lone = called[against[0][0]] if len(grouped) == 1 and len(against[0]) == 1 else None
    every = _columns(data, options, "the row above" if chained else lone, called)
    names = options.columns or tuple(_default(data, several))
    chosen = [named(name, every, "--columns") for name in names]
    groups = []
    for (design, rows), others in zip(grouped, against, strict=True):
        title = "" if len(grouped) == 1 else design if several or not others else f"{design} (Δ vs {called[others[0]]})"
        cells = tuple(tuple(column.cell(row) for column in chosen) for row in rows)
        groups.append(Group(one_line(title), cells, _blocks(rows, names[0] == "variant", data.stages)))
    return Grid(
        tuple(column.title for column in chosen),
        tuple(column.number for column in chosen),
        tuple(groups),
        tuple(column.tick for column in chosen),
        _spans([column.kind for column in chosen]),
    )


def _columns(
    data: TableData, options: TableOptions, alone: str | None, called: Mapping[str, str]
) -> dict[str, _Column]:
    """Every column that the table can show, by name, in the order in which it shows them."""
    single = len(data.rows) > 1 and all(row.n <= 1 for row in data.rows)
    spread = decimals((row.std for row in data.rows), (row.mean for row in data.rows))
    digits = spread if options.digits is None else options.digits
    delta = f"Δ vs {one_line(alone)}" if alone is not None else "Δ"
    sure = " or ".join(dict.fromkeys(percent(row.confidence) for row in data.rows)) or percent(0.95)
    delta += " (n=1)" if single else f" ({sure} CI)"
    metric = f"{_titled(data, data.metric, data.better)} {'(n=1)' if single else '(mean ± std)'}"
    names = column_names(data)

    def mean(row: Row) -> Entry:
        return Entry(_mean(row, digits, single), number=True, bold=data.best.get(data.metric) == row.variant)

    return {
        "variant": _Column("variant", _name),
        "vs": _Column("vs", lambda row: Entry(one_line(called[row.compared_with] if row.compared_with else ""))),
        **{names[f"trick:{switch.name}"]: _ticks(switch) for switch in data.switches},
        "n": _Column("n", _n, number=True),
        names[f"metric:{data.metric}"]: _Column(metric, mean, number=True),
        "delta": _Column(delta, lambda row: _delta(row, digits, single), number=True),
        "p": _Column("p (Holm)", lambda row: Entry(_p(row), number=True), number=True),
        "verdict": _Column("verdict", _verdict),
        **{names[f"also:{name}"]: _also(data, name) for name in data.also},
    }


def _default(data: TableData, several: bool) -> list[str]:
    """The columns that are shown unless others are asked for."""
    names = column_names(data)
    tricks = [names[f"trick:{switch.name}"] for switch in data.switches] if data.matrix else []
    judged = [] if data.matrix else ["p", "verdict"]
    also = [names[f"also:{name}"] for name in data.also]
    return ["variant", *["vs"] * several, *tricks, "n", names[f"metric:{data.metric}"], "delta", *judged, *also]


def _ticks(switch: Switch) -> _Column:
    kind = "" if switch.category == "other" else switch.category
    return _Column(one_line(switch.title), lambda row: Entry(one_line(switch.shown(row.tricks))), tick=True, kind=kind)


def _also(data: TableData, name: str) -> _Column:
    values = [row.also[name] for row in data.rows]
    places = decimals((value.std for value in values), (value.mean for value in values))

    def cell(row: Row) -> Entry:
        return Entry(further(row.also[name], row.n, places), number=True, bold=data.best.get(name) == row.variant)

    return _Column(_titled(data, name, data.also[name]), cell, number=True)


def _spans(kinds: Sequence[str]) -> tuple[Over, ...]:
    """Titles over neighbouring columns of one kind; none where each column would have its own."""
    spans, start = [], 0
    for kind, same in groupby(kinds):
        size = len(list(same))
        spans += [Over(kind, start, size)] if kind else []
        start += size
    return tuple(spans) if any(span.size > 1 for span in spans) else ()


def _blocks(rows: Sequence[Row], named_first: bool, stage_of: Mapping[str, str]) -> tuple[Block, ...]:
    """What the others are compared with, the rows, then base and placebo set apart, and stages of parts from each
    other; levels of one trick together.

    named_first: the first column names the variant, so that what levels share can be said once.
    """
    kinds = [_place(row) for row in rows]
    runs = [kind for kind, _ in groupby(kinds)]
    whole = len(runs) == len(set(runs))  # sorted by a column, the kinds of row are mixed and nothing is set apart
    places = list(zip(kinds, of_rows(rows, stage_of), strict=True))
    blocks: list[Block] = []
    before = None
    for (place, stem), same in groupby(zip(places, map(_stem, rows), rows, strict=True), lambda item: item[:2]):
        labels = [row.label for _, _, row in same]
        apart = whole and before is not None and (before[0] != place[0] or between(before[1], place[1]))
        if stem and named_first and len(labels) > 1:
            blocks.append(
                Block(len(labels), one_line(stem), tuple(one_line(label[len(stem) + 2 :]) for label in labels), apart)
            )
        elif blocks and not apart and not blocks[-1].title:
            blocks[-1] = replace(blocks[-1], size=blocks[-1].size + len(labels))
        else:
            blocks.append(Block(len(labels), apart=apart))
        before = place
    return tuple(blocks)


def _place(row: Row) -> int:
    """0: compared with nothing; 2: base or placebo, which are no trick of their own; 1: the others."""
    return 0 if row.compared_with is None else 2 if row.placebo or not row.tricks else 1


def _stem(row: Row) -> str:
    """What the rows of one trick's levels have in common: `+ optimizer` of `+ optimizer: adamw`."""
    return row.label.partition(": ")[0] if len(row.differs) == 1 and ": " in row.label else ""


def _view_grid(data: ViewData, options: TableOptions) -> Grid:
    columns = view_columns(data)
    chosen = [named(name, columns, "--columns") for name in options.columns or columns]
    measures = [shown for row in data.rows for shown in row if isinstance(shown, Measure)]
    spreads = (m.high - m.low if m.low is not None and m.high is not None else m.se for m in measures)
    digits = decimals(spreads, (m.value for m in measures)) if options.digits is None else options.digits
    rows = tuple(tuple(_view_cell(row[i], digits) for i in chosen) for row in data.rows)
    return Grid(
        tuple(one_line(data.header[i]) for i in chosen),
        tuple(data.numeric[i] for i in chosen),
        (Group("", rows),) if rows else (),
        spans=() if options.columns else tuple(Over(one_line(title), start, size) for title, start, size in data.spans),
    )


def _view_cell(shown: str | Measure | Chance, digits: int) -> Entry:
    if isinstance(shown, str):
        return Entry(one_line(shown))
    if isinstance(shown, Chance):
        return Entry(shown.why if shown.p is None else chance(shown.p), number=True)
    if shown.value is None:
        return Entry("–", number=True)
    text = fixed(shown.value, digits, sign=True)
    if shown.low is not None and shown.high is not None:
        text += f" ({fixed(shown.low, digits, sign=True)} to {fixed(shown.high, digits, sign=True)})"
    elif shown.se is not None:
        text += f" ± {fixed(shown.se, digits)}"
    return Entry(text + f" {shown.mark}" * bool(shown.mark), number=True, bold=shown.bold)


def _compared_with(rows: Sequence[Row]) -> list[str]:
    """The names that these rows are compared with, in order."""
    return list(dict.fromkeys(row.compared_with for row in rows if row.compared_with is not None))


def _called(rows: Sequence[Row]) -> dict[str, str]:
    """What each comparison is called: by its own row, where it has one that stands by itself."""
    names = {row.compared_with: row.compared_with for row in rows if row.compared_with is not None}
    own = {
        row.variant: (row.label or row.variant).removesuffix(f" {MARK}") for row in rows if row.compared_with is None
    }
    return names | own


def _chained(rows: Sequence[Row]) -> bool:
    """Whether each row is compared with the one above it."""
    compared = [row.compared_with for row in rows]
    return len(rows) > 2 and compared == [None, *(row.variant for row in rows[:-1])]


def _titled(data: TableData, name: str, better: Better) -> str:
    unit = f" ({data.units[name]})" if data.units.get(name) else ""
    return f"{one_line(name)}{unit} {'↑' if better == 'higher' else '↓'}"


def _name(row: Row) -> Entry:
    return Entry(one_line(row.label or row.variant) + " ‡" * row.several)


def _n(row: Row) -> Entry:
    done = str(row.n) if row.n == row.planned else f"{row.n}/{row.planned}"
    return Entry(done + "†" * bool(row.failed) + "¶" * row.stopped_early, number=True)


def _mean(row: Row, digits: int, single: bool) -> str:
    """single: the header says that every n is 1."""
    if row.mean is None:
        return "–"
    if row.n == 1:
        return fixed(row.mean, digits) + ("" if single else " (n=1)")
    if row.n == 2 and row.low is not None and row.high is not None:
        return f"{fixed(row.low, digits)} to {fixed(row.high, digits)} (n=2)"
    return (
        f"{fixed(row.mean, digits)} ± {fixed(row.std, digits)}" if row.std else f"{fixed(row.mean, digits)} (identical)"
    )


def _delta(row: Row, digits: int, single: bool) -> Entry:
    return Entry(_difference(row, digits, single), number=True, bold=_established(row))


def _established(row: Row) -> bool:
    return row.verdict in ("helps", "hurts") and not row.lopsided


def _difference(row: Row, digits: int, single: bool) -> str:
    if row.delta is None:
        return "–" if row.compared_with is not None else ""
    text = fixed(row.delta, digits, sign=True)
    if row.verdict == "equivalent" and row.equivalence_ci_low is not None and row.equivalence_ci_high is not None:
        low, high = (fixed(bound, digits, sign=True) for bound in (row.equivalence_ci_low, row.equivalence_ci_high))
        return f"{text} ({percent(2 * row.confidence - 1)}: {low} to {high})"
    if row.delta_ci_low is not None and row.delta_ci_high is not None:
        low, high = (fixed(bound, digits, sign=True) for bound in (row.delta_ci_low, row.delta_ci_high))
        return f"{text} ({low} to {high})"
    if row.pairs == 2 and row.delta_low is not None and row.delta_high is not None:
        return f"{fixed(row.delta_low, digits, sign=True)} to {fixed(row.delta_high, digits, sign=True)} (n=2)"
    return f"{text} (n=1)" if row.pairs == 1 and not single else text


def _p(row: Row) -> str:
    return no_chance(row) if row.p_adjusted is None else chance(row.p_adjusted)


def no_chance(row: Row) -> str:
    """What stands in the place of p where there is none, and why."""
    if row.delta is None:
        return ""
    if row.look == 0:
        return "–"
    if row.identical:
        return "identical"
    return "no spread" if row.no_spread else "n<3"


def _verdict(row: Row) -> Entry:
    text = row.judged + " °" * row.corrected_away
    if row.verdict == "inconclusive" and row.more_seeds is not None:
        text += f" (+{row.more_seeds} seed{'s' if row.more_seeds > 1 else ''})"
    return Entry(text, bold=_established(row))


def further(value: AlsoValue, n: int, digits: int) -> str:
    """A further metric: mean and spread; of two values their range."""
    if value.mean is None:
        return "–"
    if not value.std:
        return fixed(value.mean, digits)
    if n == 2:
        half = value.std / math.sqrt(2)  # of two values: half their distance
        return f"{fixed(value.mean - half, digits)} to {fixed(value.mean + half, digits)} (n=2)"
    return f"{fixed(value.mean, digits)} ± {fixed(value.std, digits)}"
