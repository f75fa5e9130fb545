"""What each trick did: every row's difference from its comparison, with its 95 % interval and verdict (a forest plot).

From Lewis and Clarke 2001, Forest plots: trying to see the wood and the trees. Rows stand under their base, as in the
table. A row whose interval dwarfs the others is cut at the edge, with an arrow: its numbers stand beside it, and the
other rows stay readable.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

from annotated_types import Ge

from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source
from ablate.figures.intervals import DRAWN, SEVERAL, SMALL, around_zero, arrows, directions, numbers
from ablate.figures.scene import Axis, Colour, Column, Label, Mark, Panel, Scene, Series
from ablate.records import Better, Row
from ablate.tables import forest
from ablate.text import decimals, in_words, number, percent, seeds_in_words, typeset

_WILD = 4.0
"""An interval is cut where it is longer than this many times the median one and reaches beyond all other rows."""

_PITCH = 0.142
"""Inches from row to row."""
_GAP = 0.45
"""Rows between one base's rows and the next base."""


@dataclass(frozen=True)
class EffectRow:
    """A row of the table as the figure shows it. label: where it stands alone; name: under its base. ran: `10`, or
    `9/10` where runs failed. here: the interval over seeds alone, where the other one is about other examples, too.
    group: what it stands under, empty where all rows have one base; mean: of that base. seeds: each one's difference.
    """

    label: str
    compared_with: str
    delta: float
    low: float | None
    high: float | None
    p_adjusted: float | None
    verdict: str
    pairs: int
    ran: str
    failed: int
    collapsed: tuple[int, ...]
    here: tuple[float, float] | None = None
    name: str = ""
    group: str = ""
    mean: str = ""
    seeds: tuple[float, ...] = ()
    decided: bool = False


@dataclass(frozen=True)
class Effects:
    """missing: rows without any shared seed, which have no difference to show. left_out: rows beyond the limit."""

    study: str
    metric: str
    better: Better
    minimum_effect: float | None
    seeds: tuple[int, ...]
    rows: tuple[EffectRow, ...]
    digits: int = 2
    missing: tuple[str, ...] = ()
    left_out: int = 0
    covers: str = "95 %"


@dataclass(frozen=True)
class EffectsFigure(Figure):
    """variants: only these rows; none: all. limit: the most rows. Beyond it those stay that were decided, then those
    with the largest differences."""

    variants: tuple[str, ...] = ()
    limit: Annotated[int, Ge(1)] = 60

    def info(self, source: Source) -> Effects:
        chosen = {source.find(variant) for variant in self.variants} or set(source.variants)
        every = [row for row in source.rows if row.variant in chosen]
        every += [row for row in source.further if not self.variants]
        compared = [row for row in every if row.compared_with is not None]
        if not compared:
            raise FigureError("effects need rows that are compared with another; there is none here.")
        measured = [row for row in compared if row.delta is not None]
        if not measured:
            raise FigureError("effects need a result of a row and of its comparison; there is none yet: `ablate run`.")
        kept = _most_telling(measured, self.limit)
        return Effects(
            study=source.study,
            metric=source.titled(source.metric),
            better=source.better,
            minimum_effect=source.minimum_effect,
            seeds=source.seeds,
            rows=tuple(_grouped(kept, source)),
            digits=decimals(
                [
                    row.delta_ci_high - row.delta
                    for row in kept
                    if row.delta_ci_high is not None and row.delta is not None
                ]
            ),
            missing=tuple(source.named(row) for row in compared if row.delta is None),
            left_out=len(measured) - len(kept),
            covers=percent(kept[0].confidence),
        )

    def scene(self, info: Effects) -> Scene:
        low, high = _range(info)
        covers = info.covers.replace(" ", "\N{NO-BREAK SPACE}")
        interval = f", {covers} interval" if any(row.low is not None for row in info.rows) else ""
        decided = [row for row in info.rows if row.verdict in ("helps", "hurts")]
        effects = [f"{row.label} {typeset(row.delta, info.digits, sign=True)} ({row.verdict})" for row in decided]
        return Scene(
            title=f"{info.study}: effects on {info.metric}",
            caption=_caption(info),
            alt=f"Forest plot of {len(info.rows)} differences in {info.metric}. "
            + (f"Decided: {in_words(effects)}." if effects else "None is decided."),
            panels=(_panel(info, Axis(f"Δ {info.metric}{interval}", low, high)),),
        )


def _most_telling(rows: Sequence[Row], limit: int) -> list[Row]:
    """At most `limit` rows, in the plan's order."""
    rank = sorted(rows, key=lambda row: (row.verdict not in ("helps", "hurts"), -abs(row.delta or 0.0)))
    chosen = {id(row) for row in rank[:limit]}
    return [row for row in rows if id(row) in chosen]


def _grouped(kept: Sequence[Row], source: Source) -> Iterator[EffectRow]:
    """Rows under their bases, in the table's order; of one base alone without a heading."""
    chosen = {id(row) for row in kept}
    groups = forest.groups([*source.rows, *source.further])
    several = sum(any(id(row) in chosen for row in group.rows) for group in groups) > 1
    digits = decimals((row.std for row in source.rows), (row.mean for row in source.rows))
    for group in groups:
        title = group.title if group.base is None else forest.name(group.base)
        for row in group.rows:
            if id(row) in chosen:
                mean = "" if group.base is None else _mean(group.base, digits)
                seeds = source.differences.get((row.variant, row.compared_with or ""), ())
                yield _effect(row, source.named(row), title * several, mean, seeds)


def _mean(base: Row, digits: int) -> str:
    if base.mean is None:
        return ""
    return typeset(base.mean, digits) + (f" ± {typeset(base.std, digits)}" if base.std is not None else "")


def _effect(row: Row, label: str, group: str, mean: str, seeds: Sequence[float]) -> EffectRow:
    assert row.delta is not None
    assert row.compared_with is not None
    marks = " ‡" * row.several + " ▲" * bool(row.collapsed)
    return EffectRow(
        label=label + marks, compared_with=row.compared_with, delta=row.delta,
        low=row.delta_ci_low, high=row.delta_ci_high, p_adjusted=row.p_adjusted,
        verdict=row.verdict if row.verdict and (row.pairs >= 3 or row.p_adjusted is not None) else SMALL,
        pairs=row.pairs, ran=str(row.n) if row.n == row.planned else f"{row.n}/{row.planned}",
        failed=row.failed, collapsed=row.collapsed, here=row.interval_here,
        name=forest.name(row) + marks, group=group, mean=mean, seeds=tuple(seeds), decided=forest.decided(row),
    )  # fmt: skip


def _range(info: Effects) -> tuple[float, float]:
    """What the axis shows: zero, every difference, and every interval that is not wild."""
    halves = [row.high - row.low for row in info.rows if row.low is not None and row.high is not None]
    limit = _WILD * statistics.median(halves) if halves else 0.0
    ends = [0.0, *(row.delta for row in info.rows)]
    tame = [row for row in info.rows if row.low is not None and row.high is not None and row.high - row.low <= limit]
    ends += [bound for row in tame for bound in (row.low, row.high) if bound is not None]
    if info.minimum_effect:
        ends += [-info.minimum_effect, info.minimum_effect]
    low, high = min(ends), max(ends)
    for row in info.rows:  # what reaches only a little further is shown whole
        for bound in (row.low, row.high):
            if bound is not None and low - 0.5 * (high - low) <= bound <= high + 0.5 * (high - low):
                ends.append(bound)
    low, high = min(ends), max(ends)
    pad = 0.06 * (high - low) or 1.0
    return low - pad, high + pad


Placed = Sequence[tuple[float, EffectRow]]
"""Rows and where they stand, from the top down."""


def _places(rows: Sequence[EffectRow]) -> tuple[list[tuple[float, EffectRow]], list[tuple[float, str, str]], float]:
    """Of every row where it stands; of every heading where, what it says, and its base's mean; and the last place."""
    at = 0.0
    placed: list[tuple[float, EffectRow]] = []
    headings: list[tuple[float, str, str]] = []
    for group, of in groupby(rows, lambda row: row.group):
        under = list(of)
        if group:
            at += _GAP * bool(headings)
            headings.append((at, group, under[0].mean))
            at += 1
        for row in under:
            placed.append((at, row))
            at += 1
    return placed, headings, at - 1


def _panel(info: Effects, axis: Axis) -> Panel:
    assert axis.low is not None
    assert axis.high is not None
    rows, headings, last = _places(info.rows)
    marks = around_zero(info.minimum_effect)
    for verdict, (colour, _) in DRAWN.items():
        of = [(at, row) for at, row in rows if row.verdict == verdict]
        if of:
            marks += _thick(colour, of, axis.low, axis.high)
            marks.append(_points(verdict, of, info.digits, axis.low, axis.high))
            marks += arrows(colour, of, axis.low, axis.high)
    marks += _seeds(rows, axis.low, axis.high)
    marks += directions(info.better, -1.0, axis.low, axis.high)
    marks += [Label(axis.low, at, mean, weight="dim", wide=True) for at, _, mean in headings if mean]
    usual = _usual(info.rows)
    ticks = [(at, title) for at, title, _ in headings]
    for at, row in rows:
        name = ("\N{EN SPACE}" if headings else "") + row.name
        ticks.append((at, name if row.ran == usual else f"{name} (n={row.ran}{'†' if row.failed else ''})"))
    bold = (*(at for at, *_ in headings), *(at for at, row in rows if row.decided))
    return Panel(
        x=axis,
        y=Axis(low=-1.5, high=last + 0.6, ticks=tuple(ticks), reverse=True, bold=bold),
        marks=tuple(marks),
        height=0.4 + _PITCH * (last + 2),
        side=_columns(rows, info),
    )


def _usual(rows: Sequence[EffectRow]) -> str:
    """The n that two rows in three have, which the caption says; the others say theirs. Empty where there is none."""
    counts = Counter(row.ran for row in rows if row.pairs and not row.failed)
    ran, of = max(counts.items(), key=lambda item: item[1], default=("", 0))
    return ran if 3 * of >= 2 * len(rows) else ""


def _columns(rows: Placed, info: Effects) -> tuple[Column, ...]:
    """The difference; with room its interval and p, too."""
    bold = tuple(at for at, row in rows if row.decided)
    deltas = tuple((at, typeset(row.delta, info.digits, sign=True)) for at, row in rows)
    intervals = tuple((at, numbers(row, info.digits).partition(" ")[2].strip("()")) for at, row in rows)
    p = tuple((at, forest.shown_chance(row.p_adjusted)) for at, row in rows if row.p_adjusted is not None)
    columns = [Column("Δ", deltas, narrow=True, bold=bold), Column(f"{info.covers} interval", intervals, bold=())]
    return (*columns, Column("p (Holm)", p)) if p else tuple(columns)


def _seeds(rows: Placed, low: float, high: float) -> Iterator[Series]:
    """Each seed's difference, below its row's interval."""
    points = [(one, at + 0.34) for at, row in rows for one in row.seeds if low <= one <= high and len(row.seeds) > 1]
    if points:
        x, y = zip(*points, strict=True)
        yield Series(x, y, label="one seed", colour="grey", marker="bar", size=3.0)


def _points(verdict: str, rows: Placed, digits: int, low: float, high: float) -> Series:
    colour, marker = DRAWN[verdict]
    return Series(
        x=tuple(row.delta for _, row in rows),
        y=tuple(at for at, _ in rows),
        low=tuple(None if row.low is None else max(row.low, low) for _, row in rows),
        high=tuple(None if row.high is None else min(row.high, high) for _, row in rows),
        along="x",
        label=verdict,
        colour=colour,
        marker=marker,
        hover=tuple(
            f"{row.label} vs {row.compared_with}: {numbers(row, digits)}"
            + (f", p (Holm) {row.p_adjusted:.3g}" if row.p_adjusted is not None else "")
            + f", n={row.ran}, {row.verdict}"
            for _, row in rows
        ),
    )


def _thick(colour: Colour, rows: Placed, low: float, high: float) -> list[Mark]:
    """The intervals over seeds alone, as one broken line: none of it where nothing is said of other examples."""
    parts = [(at, max(row.here[0], low), min(row.here[1], high)) for at, row in rows if row.here is not None]
    x = tuple(end for _, left, right in parts for end in (left, right, right))
    y = tuple(place for at, *_ in parts for place in (at, at, None))
    return [Series(x, y, colour=colour, dash="solid", width=2.6)] if parts else []


def _of_what(info: Effects) -> str:
    """What a difference is the mean of."""
    paired = sorted({row.pairs for row in info.rows if row.pairs})
    if not paired:
        return "the difference of the two means, which share no seed (n beside the names),"
    usual = _usual(info.rows)
    unlike = "" if len({row.ran for row in info.rows}) == 1 else " where no other n stands beside the name"
    span = f"n = {paired[0]}" if len(paired) == 1 else f"n = {paired[0]} to {paired[-1]}"
    shared = f"n = {usual}{unlike}" if usual else span
    text = f"mean over the seeds that both share ({shared} of {seeds_in_words(info.seeds)})"
    alone = [row.label for row in info.rows if not row.pairs]
    return f"{text}, of {in_words(alone)}, which shares none, the difference of the two means," if alone else text


def _caption(info: Effects) -> str:
    low, high = _range(info)
    if any(row.low is not None for row in info.rows):
        interval = (
            f"with its own {info.covers} t interval. Verdicts speak of the trick that differs, after Holm's correction."
        )
    elif all(row.verdict == SMALL for row in info.rows):
        interval = "without any interval or verdict, for which it takes three."
    else:
        interval = "without an interval, because no difference varies between the seeds."
    sentences = [
        f"Differences in {info.metric} ({info.better} is better), each row minus its comparison: {_of_what(info)} "
        f"{interval}"
    ]
    if any(row.here is not None for row in info.rows):
        sentences.append("Thin bars speak of other seeds and other examples, thick ones of other seeds on these alone.")
    if any(len(row.seeds) > 1 for row in info.rows):
        sentences.append("Small ticks: each seed's difference.")
    if info.minimum_effect:
        sentences.append(f"Shaded: within the minimum effect of ±{number(info.minimum_effect)}.")
    if any(bound is not None and not low <= bound <= high for row in info.rows for bound in (row.low, row.high)):
        sentences.append("Arrows: the interval goes on beyond the axis.")
    if any("‡" in row.label for row in info.rows):
        sentences.append(SEVERAL)
    failed = [f"{row.label} ({row.failed})" for row in info.rows if row.failed]
    if failed:
        sentences.append(f"†: failed runs are left out of the means: {in_words(failed)}.")
    collapsed = [f"{row.label} ({seeds_in_words(row.collapsed)})" for row in info.rows if row.collapsed]
    if collapsed:
        sentences.append(f"▲ collapsed, so mean and interval say little: {in_words(collapsed)}.")
    if info.missing:
        sentences.append(f"Without a result: {in_words(info.missing)}.")
    if info.left_out:
        sentences.append(
            f"The {len(info.rows)} most telling of {len(info.rows) + info.left_out} rows; the table has all."
        )
    return " ".join(sentences)
