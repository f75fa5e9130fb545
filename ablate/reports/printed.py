"""The ablation table of a printed report, in Typst: each row with its interval as a bar, under its base.

As on the page (rows.py): one range for all bars, seeds as ticks, what each base is in its own row. Every name stands in
a string literal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ablate.records import Row
from ablate.reports.document import Table
from ablate.tables import forest
from ablate.tables.forest import Group, decided
from ablate.tables.grid import no_chance
from ablate.tables.table import TableData
from ablate.text import decimals, number, one_line, percent, typeset

Text = Callable[[str], str]
"""A text as a literal."""

MOST_NAME = 26
"""Characters of a row's name on one line; longer ones have two."""

MOST_TITLE = 10
"""Characters of a further metric's name on one line of its column's title."""


def table(block: Table, text: Text, size_pt: float, *, also: bool = True) -> str:
    """The table, in code. also: whether further metrics have columns."""
    assert isinstance(block.data, TableData), "a view has no bars"
    return _Printed(block.data, block.bases, text, also=also).table(size_pt)


class _Printed:
    def __init__(self, data: TableData, bases: Mapping[str, str], text: Text, *, also: bool) -> None:
        self.data, self.bases, self.text = data, bases, text
        self.digits = decimals((row.std for row in data.rows), (row.mean for row in data.rows))
        self.n = forest.shared_n(data.rows)
        self.range = forest.range_of(data.rows, data.minimum_effect)
        self.compared = any(row.delta is not None for row in data.rows)
        self.bounded = any(row.delta_ci_low is not None or row.pairs == 2 for row in data.rows if row.delta is not None)
        self.tested = any(row.p_adjusted is not None for row in data.rows)
        self.also = {
            name: decimals((r.also[name].std for r in data.rows), (r.also[name].mean for r in data.rows))
            for name in (data.also if also else ())
        }

    def table(self, size_pt: float) -> str:
        groups = forest.groups(self.data.rows)
        columns = [
            self._names(),
            "auto",
            *(self._kept(["auto", "auto", "1fr", "auto", "auto"])),
            *["auto"] * len(self.also),
        ]
        align = [
            "left",
            "right",
            *(self._kept(["right", "right", "left", "right", "left"])),
            *["right"] * len(self.also),
        ]
        lines = [
            f"#text(size: {size_pt}pt, table(",
            f"  columns: ({', '.join(columns)},), align: ({', '.join(f'{one} + horizon' for one in align)},),",
            "  stroke: none, inset: (x: 0.36em, y: 0.06em), table.hline(stroke: 0.9pt),",
            f"  table.header({', '.join(self._head())}), table.hline(stroke: 0.5pt),",
        ]
        for i, group in enumerate(groups):
            lines += ["  table.hline(stroke: 0.4pt + luma(80%)),"] * (i > 0)
            lines += [f"  {', '.join(cells)}," for cells in self._group(group)]
        return "\n".join([*lines, "  table.hline(stroke: 0.9pt),", "))"])

    def _kept(self, cells: Sequence[str]) -> list[str]:
        """Of the cells of a comparison those that some row has something in: with one seed no interval and no p."""
        if not self.compared:
            return []
        there = (True, self.bounded, True, self.tested, True)
        return [cell for cell, kept in zip(cells, there, strict=True) if kept]

    def _names(self) -> str:
        """How wide the column of names is."""
        alone = [row for row in self.data.rows if row.mean is not None or row.delta is None]
        longest = max((len(forest.name(row) + forest.marks(row, self.n)) for row in alone), default=0)
        return "auto" if longest <= MOST_NAME else f"{0.53 * MOST_NAME:.1f}em"

    # ---------------------------------------------------------------------------------------------------------- header

    def _head(self) -> Iterator[str]:
        metric = forest.titled(self.data.metric, self.data.units.get(self.data.metric))
        n = f", n = {self.n}" if self.n is not None else ""
        yield "[]"
        yield self._title(metric, "mean ± sd" + n if any(row.std is not None for row in self.data.rows) else n[2:])
        sure = " or ".join(dict.fromkeys(percent(row.confidence) for row in self.data.rows))
        more = any(forest.more_seeds(row) for row in self.data.rows)
        yield from self._kept(
            [
                self._title("Δ"), self._title(f"{sure} interval"), self._axis(), self._title("p", "Holm"),
                self._title("verdict", "+k seeds" if more else ""),
            ]
        )  # fmt: skip
        for name in self.also:
            unit = self.data.units.get(name)
            first, below = one_line(name).replace("_", " "), f"({unit})" if unit else ""
            if len(first) > MOST_TITLE and " " in first:
                first, _, rest = first.rpartition(" ")
                below = f"{rest} {below}".rstrip()
            yield f"{{{self.text(first)}; linebreak(); {self.text(below)}}}" if below else self._title(first)

    def _title(self, first: str, below: str = "") -> str:
        return f"{{{self.text(first)}; linebreak(); {self._dim(below)}}}"

    def _dim(self, text: str) -> str:
        return f"dim({self.text(text)})"

    def _axis(self) -> str:
        left, right = forest.sides(self.data.better)
        zero = self.range.share(0.0)
        before = f"box(width: 40pt, align(right, {self._dim(left)}))"
        named = [f"place(top + left, dx: {self._x(0.0)} - 44pt, dy: 0.2em, {before})"] * (zero > 0.2)
        named += [f"at({self._x(0.0)}, y: 0.2em, dx: 4pt, {self._dim(right)})"] * (zero < 0.8)
        # How wide the column is, only the setting knows: it takes the first scale that has room.
        scales = [
            ", ".join(f"({self._x(tick)}, {self._dim(number(tick))})" for tick in self.range.ticks(most)) + ","
            for most in (8, 6, 4, 2.5, 1.5)
        ]
        ticks = f"place(bottom + left, scale_of(({', '.join(f'({scale})' for scale in scales)},)))"
        return f"block(width: 100%, height: 2.5em, {{{'; '.join([*named, ticks])}}})"

    def _x(self, value: float) -> str:
        """Where a value stands, or the end beyond which it is."""
        return f"{100 * min(max(self.range.share(value), 0.0), 1.0):.4g}%"

    # ------------------------------------------------------------------------------------------------------------ rows

    def _group(self, group: Group[Row]) -> Iterator[list[str]]:
        if group.base is None:
            span = 2 + len(self._kept([""] * 5)) + len(self.also)
            title = f"box(height: 1.5em, align(horizon, strong({self.text(group.title)})))"
            yield [f"table.cell(colspan: {span}, {title})"]
        for row in group.every:
            yield self._row(row)

    def _row(self, row: Row) -> list[str]:
        base = row.compared_with is None
        called = f"{forest.name(row)}{forest.marks(row, self.n)}"
        bold = base or decided(row)
        shown = f"strong({self.text(called)})" if bold else self.text(called)
        spread = f"± {typeset(row.std, self.digits)}" if row.std is not None else ""
        around = "0.2em" if len(called) > MOST_NAME else "0em"
        left = "1em" if forest.indented(row) else "0em"
        name = f"pad(y: {around}, left: {left}, par(justify: false, leading: 0.42em, {shown}))"
        cells = [name, f"{{{self.text(self._number(row.mean))}; [ ]; {self._dim(spread)}}}"]
        if row.mean is None and row.delta is not None:  # a mean of differences has none: its long name has the room
            cells = [f"table.cell(colspan: 2, align: left + horizon, {name})"]
        if self.compared:
            cells += self._kept(self._based(row) if base else self._against(row))
        for metric, places in self.also.items():
            mean = row.also[metric].mean
            cells.append(self._dim("–" if mean is None else typeset(mean, places)))
        return cells

    def _based(self, row: Row) -> list[str]:
        # From the differences on, for the cells there are empty: among the bars it would read as the name of one.
        said = f"place(left + horizon, box(width: 30em, {self._dim(self.bases.get(row.variant, ''))}))"
        return [f"table.cell(align: left + horizon, box(width: 0pt, height: 1.5em, {said}))", "[]", "[]", "[]", "[]"]

    def _against(self, row: Row) -> list[str]:
        low, high, few = row.delta_ci_low, row.delta_ci_high, ""
        if low is None and row.pairs == 2:
            low, high, few = row.delta_low, row.delta_high, " (n = 2)"
        interval = (
            "" if low is None or high is None else f"{self._number(low, True)} to {self._number(high, True)}{few}"
        )
        delta, p = self.text(self._number(row.delta, True)), no_chance(row)
        if row.p_adjusted is not None:
            p = forest.shown_chance(row.p_adjusted)
        more = f"; h(0.4em); {self._dim(forest.more_seeds(row))}" if forest.more_seeds(row) else ""
        word = f"strong({self.text(row.judged)})" if decided(row) else self._dim(row.judged)
        verdict = f"{{sign({self.text(row.verdict)}, 0.62em); h(0.4em); {word}{more}}}" if row.verdict else "[]"
        if decided(row):
            return [f"strong({delta})", self.text(interval), self._bar(row), self.text(p), verdict]
        return [delta, self._dim(interval), self._bar(row), self._dim(p), verdict]

    def _number(self, value: float | None, sign: bool = False) -> str:
        return "–" if value is None else typeset(value, self.digits, sign=sign)

    def _bar(self, row: Row) -> str:
        margin = self.data.minimum_effect or 0.0
        behind = [
            f"place(rect(width: {self._x(margin)} - {self._x(-margin)}, height: 100%, fill: rgb(\"#eceef1\")), "
            f"dx: {self._x(-margin)})"
        ] * bool(margin)  # fmt: skip
        behind.append(
            f"place(line(start: ({self._x(0.0)}, 0%), end: ({self._x(0.0)}, 100%), stroke: 0.5pt + luma(45%)))"
        )
        drawn = [] if row.delta is None else [self._interval(row)]
        return f"box(width: 100%, height: 1.35em, {{{'; '.join([*behind, *(f'place({one})' for one in drawn)])}}})"

    def _interval(self, row: Row) -> str:
        low, high, delta = row.delta_ci_low, row.delta_ci_high, row.delta or 0.0
        inside = [0 <= self.range.share(end) <= 1 for end in (low or 0.0, high or 0.0)]
        ends = ("none", "none") if low is None or high is None else (self._x(low), self._x(high))
        thick = "1.4pt" if decided(row) else "0.9pt"
        seeds = self.data.differences.get((row.variant, row.compared_with or ""), ())
        ticks = "".join(f"{self._x(one)}, " for one in seeds if len(seeds) > 1 and 0 <= self.range.share(one) <= 1)
        mark = self._x(delta) if 0 <= self.range.share(delta) <= 1 else "none"
        here = f"({self._x(row.interval_here[0])}, {self._x(row.interval_here[1])})" if row.interval_here else "none"
        arrows = ", ".join("false" if one else "true" for one in inside)
        return (
            f"bar({self.text(row.verdict or '')}, {ends[0]}, {ends[1]}, {thick}, ({ticks}), {mark}, {here}, ({arrows}))"
        )
