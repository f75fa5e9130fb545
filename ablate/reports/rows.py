"""The ablation table of a report's page: each row with its interval as a bar, under its base.

A table is a table: caption, scopes, a body per base; a bar is an image whose label says the row in words. Bars are SVG
in percentages of their cell, so that they are as wide as the screen is. Markup only; the style is page.css.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from ablate.figures.inline import anchor
from ablate.records import Row
from ablate.reports.document import Table
from ablate.reports.widths import Columns, columns
from ablate.tables import forest
from ablate.tables.forest import Group, Range, decided
from ablate.tables.grid import no_chance
from ablate.tables.table import TableData
from ablate.text import Note, chance, decimals, number, percent, typeset

Text = Callable[[str], str]

_MARKS = {
    "helps": '<circle r="5"/>', "hurts": '<rect x="-4.5" y="-4.5" width="9" height="9"/>',
    "equivalent": '<path d="M0-6 6 0 0 6-6 0Z"/>', "inert": '<path class="hollow" d="M0-6 6 0 0 6-6 0Z"/>',
    "unstable": '<path d="M0-6 6 5H-6Z"/>',
}  # fmt: skip
UNBROKEN = 12
"""Rows of a base that stay on one page of print."""

_COLUMN = 'role="columnheader" scope="col"'
"""Roles are said, for rows that are cards on a phone are no table to every screen reader."""

MOST_SEEDS = 10
"""Seeds whose differences a bar's words tell, too."""

_OPEN = '<circle class="hollow" r="4.3"/>'
"""By verdict a shape of its own: colour says it too, but nothing alone."""


def table(block: Table, text: Text, drawn: Collection[str] = ()) -> tuple[str, Columns]:
    """The table element, notes aside, and how wide its columns are. drawn: variants with a curve on the page, which
    their rows are joined with."""
    assert isinstance(block.data, TableData), "a view has no bars"
    return _Page(block.data, block.bases, text, drawn).table()


def sign(verdict: str) -> str:
    """A verdict's mark, as it stands in a row."""
    shape = _MARKS.get(verdict, _OPEN)
    return f'<svg class="g {verdict or "open"}" viewBox="-7 -7 14 14" aria-hidden="true">{shape}</svg>'


def limits(notes: Sequence[str], text: Text) -> str:
    """What limits a claim, a line each with its mark; how the table was made is a click away."""
    lines = [line for note in notes for line in in_lines(note)]
    marked = [f'<span class="lm">{text(line[:1])}</span><span>{text(_sentence(line))}</span>' for line in lines]
    items = "".join(f"<li>{item}</li>" for item in marked)
    listed = f'<ul class="limits">{items}</ul>\n' if items else ""
    every = "".join(f"<li>{text(note)}</li>" for note in notes)
    many = f"{len(notes)} note{'s' * (len(notes) != 1)}"
    how = f'<details class="how"><summary>How the table was made: {many}</summary><ul>{every}</ul></details>'
    return listed + (how if notes else "")


def in_lines(note: str) -> list[str]:
    """What stays of a note where only what limits a claim does, with its sign or a blank: its lines, and all of one
    that is not known to have any. The best mean stands in a report's opening."""
    lines = note.line.split("\n") if isinstance(note, Note) else [f"! {note}"]
    return [line for line in lines if line.strip() and not line.strip().startswith("best mean:")]


def _sentence(line: str) -> str:
    words = line[1:].strip()
    return words + "." * (not words.endswith("."))


class _Page:
    def __init__(self, data: TableData, bases: Mapping[str, str], text: Text, drawn: Collection[str]) -> None:
        self.data, self.text, self.rows, self.drawn, self.bases = data, text, data.rows, drawn, bases
        self.named: set[str] = set()
        self.cells: list[list[str]] = []
        self.digits = decimals((row.std for row in data.rows), (row.mean for row in data.rows))
        self.n = forest.shared_n(data.rows)
        self.also = {
            name: decimals((r.also[name].std for r in data.rows), (r.also[name].mean for r in data.rows))
            for name in data.also
        }
        self.range = forest.range_of(data.rows, data.minimum_effect)
        self.compared = any(row.delta is not None for row in data.rows)
        self.tested = any(row.p_adjusted is not None for row in data.rows)

    def table(self) -> tuple[str, Columns]:
        margin = self.data.minimum_effect or 0.0
        ends = {"z": 0.0, "b0": -margin, "b1": margin}
        bodies = "\n".join(self._body(group, i) for i, group in enumerate(forest.groups(self.rows)))
        heads = self._heads()
        wide = columns(self.cells, [(title, below) for _, title, below in heads], self.compared)
        style = ";".join(f"--{name}:{_percent(self.range, value)}" for name, value in ends.items())
        style += f";--n:{wide.name}em"
        grey = f" Grey: within ±{number(margin)}, the smallest effect that matters." if margin else ""
        thick = " Thick bars: other seeds on these examples alone, thin ones: other examples too."
        both = thick * any(row.interval_here for row in self.rows)
        metric = forest.titled(self.data.metric, self.data.units.get(self.data.metric))
        ticks = "; small ticks: each seed" * any(len(seeds) > 1 for seeds in self.data.differences.values())
        against = f"each row against the bold one above it, over shared seeds{ticks}."
        told = f"Ablation by {metric}{f': {against}{both}{grey}' if self.compared else '.'}"
        titles = "".join(
            self._title(*head) if head[0] != "bars" else f'<th {_COLUMN} class="bars">{self._axis()}</th>'
            for head in heads
        )
        kind = "forest" + " untested" * (not self.tested)
        return (
            f'<table role="table" class="{kind}" style="{style}">\n<caption>{self.text(told)}</caption>\n'
            f'<thead role="rowgroup"><tr role="row">{titles}</tr></thead>\n{bodies}\n</table>'
        ), wide

    def _heads(self) -> list[tuple[str, str, str]]:
        """Of each column its kind, its title and the smaller line below."""
        metric = forest.titled(self.data.metric, self.data.units.get(self.data.metric))
        sure = " or ".join(dict.fromkeys(percent(row.confidence) for row in self.rows))
        n = f", n = {self.n}" if self.n is not None else ""
        more = "+k: seeds to see it" if any(forest.more_seeds(row) for row in self.rows) else ""
        said = f"mean ± sd{n}" if any(row.std is not None for row in self.rows) else n[2:]
        heads = [("n", "variant", ""), ("mean", f"{metric}\u00a0{_arrow(self.data.better)}", said)]
        if self.compared:
            bounded = any(row.delta_ci_low is not None or row.pairs == 2 for row in self.rows)
            heads += [("delta", "Δ", f"{sure} interval" * bounded), ("bars", "", "")]
            heads += [("p", "p", "Holm" * self.tested), ("v", "verdict", more)]
        for i, (name, better) in enumerate(self.data.also.items()):
            title = forest.titled(name, self.data.units.get(name))
            heads.append((f"also a{i}", f"{title}\u00a0{_arrow(better)}", ""))
        return heads

    def _title(self, kind: str, title: str, below: str) -> str:
        small = f"<small>{self.text(below)}</small>" if below else ""
        return f'<th {_COLUMN} class="{kind}"><button type="button">{self.text(title)}<i></i></button>{small}</th>'

    def _axis(self) -> str:
        """The directions and the numbers over the bars."""
        left, right = forest.sides(self.data.better)
        zero = self.range.share(0.0)
        parts = [f'<text x="{100 * zero:.4g}%" dx="-7" y="11" text-anchor="end">{left}</text>'] * (zero > 0.25)
        parts += [f'<text x="{100 * zero:.4g}%" dx="7" y="11">{right}</text>'] * (zero < 0.75)
        for tick in self.range.ticks(6):
            parts.append(f'<text x="{_percent(self.range, tick)}" y="29" text-anchor="middle">{number(tick)}</text>')
        return f'<svg class="axis" aria-hidden="true">{"".join(parts)}</svg>'

    # ------------------------------------------------------------------------------------------------------------ rows

    def _body(self, group: Group[Row], at: int) -> str:
        lines = []
        if group.base is None:
            span = 2 + 4 * self.compared + len(self.also)
            role = 'role="rowheader" scope="rowgroup"'
            title = f'<th {role} colspan="{span}" class="n">{self.text(group.title)}</th>'
            lines.append(f'<tr role="row" class="gh">{title}</tr>')
        lines += [self._row(row, f"{at}-{i}") for i, row in enumerate(group.every)]
        body = f'<tbody role="rowgroup"{" class=short" * (len(lines) <= UNBROKEN)}>'
        return f"{body}\n" + "\n".join(lines) + "\n</tbody>"

    def _row(self, row: Row, at: str) -> str:
        base = row.compared_with is None
        kind = "base" if base else "dec" if decided(row) else ""
        deep = " deep" if forest.indented(row) else ""
        called = self.text(forest.name(row))
        if row.variant in self.drawn:
            called = f'<a href="#curve-{anchor(row.variant)}">{called}</a>'
        name = f'{called}<span class="flag">{self.text(forest.marks(row, self.n))}</span>'
        spread = f' <span class="sd">± {self._number(row.std)}</span>' if row.std is not None else ""
        cells = [
            f'<th role="rowheader" scope="row" class="n{deep}">{name}</th>',
            f'<td role="cell" class="mean" data-v="{_value(row.mean)}">{self._number(row.mean)}{spread}</td>',
        ]
        if self.compared:
            cells += self._compared(row)
        for i, (metric, places) in enumerate(self.also.items()):
            of = row.also[metric]
            there = "–" if of.mean is None else typeset(of.mean, places)
            sd = f' <span class="sd">± {typeset(of.std, places)}</span>' if of.std else ""
            cells.append(f'<td role="cell" class="also a{i}" data-v="{_value(of.mean)}">{there}{sd}</td>')
        self.cells.append(cells)
        joined = f' data-of="{self.text(row.variant)}"' if row.variant in self.drawn else ""
        if joined and row.variant not in self.named:
            self.named.add(row.variant)
            joined += f' id="row-{anchor(row.variant)}"'
        return f'<tr role="row" class="{kind}" data-row="{at}"{joined}>{"".join(cells)}</tr>'

    def _compared(self, row: Row) -> list[str]:
        if row.compared_with is None:
            said = f'<span class="is">{self.text(self.bases.get(row.variant, ""))}</span>'
            return [
                '<td role="cell" class="delta"></td>',
                f'<td role="cell" class="bars">{said}</td>',
                '<td role="cell" class="p"></td>',
                '<td role="cell" class="v"></td>',
            ]
        low, high, n = row.delta_ci_low, row.delta_ci_high, ""
        if low is None and row.pairs == 2:
            low, high, n = row.delta_low, row.delta_high, " (n = 2)"
        interval = ""
        if low is not None and high is not None:
            interval = f'<span class="ci">{self._number(low, True)} to {self._number(high, True)}{n}</span>'
        delta = f'<span class="d">{self._number(row.delta, True)}</span>{interval}'
        p = no_chance(row) if row.p_adjusted is None else _chance(row.p_adjusted)
        more = f'<span class="more">{forest.more_seeds(row)}</span>'
        verdict = f'{sign(row.verdict)}<span class="w">{self.text(row.judged)}</span>{more}' if row.verdict else ""
        return [
            f'<td role="cell" class="delta" data-v="{_value(row.delta)}">{delta}</td>',
            f'<td role="cell" class="bars">{self._bar(row)}</td>',
            f'<td role="cell" class="p" data-v="{_value(row.p_adjusted)}">{p}</td>',
            f'<td role="cell" class="v">{verdict}</td>',
        ]

    def _number(self, value: float | None, sign: bool = False) -> str:
        return "–" if value is None else typeset(value, self.digits, sign=sign)

    def _bar(self, row: Row) -> str:
        if row.delta is None:
            return ""
        parts = []
        if row.delta_ci_low is not None and row.delta_ci_high is not None:
            parts += _interval(self.range, row.delta_ci_low, row.delta_ci_high)
        parts += [_line(self.range, "h", *row.interval_here)] if row.interval_here else []
        shares = [self.range.share(of) for of in self.data.differences.get((row.variant, row.compared_with or ""), ())]
        ticks = "".join(f"M{1000 * share:.0f} 78V97" for share in shares if 0 <= share <= 1)
        if ticks and len(shares) > 1:  # one stands where its mean does
            parts.append(f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none"><path class="t" d="{ticks}"/></svg>')
        if 0 <= self.range.share(row.delta) <= 1:
            parts.append(f'<svg class="m" x="{_percent(self.range, row.delta)}" y="50%">{_mark(row)}</svg>')
        label = self.text(self._in_words(row))
        return f'<svg class="bar {row.verdict or "open"}" role="img" aria-label="{label}">{"".join(parts)}</svg>'

    def _in_words(self, row: Row) -> str:
        text = f"{row.spoken}: {self._number(row.delta, True)}"
        if row.delta_ci_low is not None and row.delta_ci_high is not None:
            text += f" ({self._number(row.delta_ci_low, True)} to {self._number(row.delta_ci_high, True)})"
        text += f" against {row.compared_with}, n = {row.n}, {row.judged or 'not judged yet'}"
        seeds = self.data.differences.get((row.variant, row.compared_with or ""), ())
        by_seed = ", ".join(self._number(difference, True) for difference in seeds)
        return f"{text}. By seed: {by_seed}" if 1 < len(seeds) <= MOST_SEEDS else text


def _value(number: float | None) -> str:
    """By which a cell is sorted."""
    return "" if number is None else f"{number:.6g}"


def _interval(range_: Range, low: float, high: float) -> list[str]:
    """A line with caps; an end that is outside becomes an open arrow."""
    parts = [_line(range_, "i", low, high)]
    for value, arrow in ((low, "M5-4 0 0 5 4"), (high, "M-5-4 0 0-5 4")):
        cap = "M0-3.5V3.5" if 0 <= range_.share(value) <= 1 else arrow
        parts.append(f'<svg x="{_held(range_, value)}" y="50%"><path class="cap" d="{cap}"/></svg>')
    return parts


def _line(range_: Range, kind: str, low: float, high: float) -> str:
    first, last = _held(range_, low), _held(range_, high)
    return f'<line class="{kind}" x1="{first}" x2="{last}" y1="50%" y2="50%"/>'


def _held(range_: Range, value: float) -> str:
    """Where a value stands, or the end beyond which it is."""
    return f"{100 * min(max(range_.share(value), 0.0), 1.0):.4g}%"


def _mark(row: Row) -> str:
    return _MARKS.get(row.verdict or "", _OPEN)


def _percent(range_: Range, value: float) -> str:
    return f"{100 * range_.share(value):.4g}%"


def _chance(p: float) -> str:
    """Three decimals below 0.1, else two."""
    return f"{p:.2f}" if p >= 0.1 else chance(p).replace("<", "&lt;")


def _arrow(better: str) -> str:
    return "↑" if better == "higher" else "↓"
