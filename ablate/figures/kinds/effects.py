"""What each trick did: every row's difference from its comparison, with its 95 % interval and verdict (a forest plot).

From Lewis and Clarke 2001, Forest plots: trying to see the wood and the trees. A row whose interval dwarfs the others
is cut at the edge, with an arrow: its numbers stand beside it, and the other rows stay readable.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

from annotated_types import Ge

from ablate.errors import FigureError
from ablate.figures.figure import Axis, Colour, Figure, Mark, Panel, Scene, Series, Source
from ablate.figures.intervals import DRAWN, SEVERAL, SMALL, around_zero, arrows, numbers
from ablate.records import Better, Row
from ablate.text import decimals, in_words, number, percent, seeds_in_words, typeset

_WILD = 4.0
"""An interval is cut where it is longer than this many times the median one and reaches beyond all other rows."""


@dataclass(frozen=True)
class EffectRow:
    """A row of the table as the figure shows it. ran: `10`, or `9/10` where runs failed. here: the interval over seeds
    alone, where the other one is about other examples, too."""

    label: str
    design: str
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
        compared = [row for row in source.rows if row.compared_with is not None and row.variant in chosen]
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
            rows=tuple(_effect(row, source.named(row)) for row in kept),
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
        groups = [list(rows) for _, rows in groupby(info.rows, lambda row: row.design)]
        low, high = _range(info)
        interval = f", {info.covers} CI" if any(row.low is not None for row in info.rows) else ""
        versus = _against(info.rows) if len(groups) == 1 else ""
        label = f"Δ {info.metric}{versus}{interval}"
        panels = [
            _panel(
                rows,
                info,
                Axis(label if rows is groups[-1] else "", low, high),
                "" if len(groups) == 1 else f"{rows[0].design}{_against(rows)}",
            )
            for rows in groups
        ]
        decided = [row for row in info.rows if row.verdict in ("helps", "hurts")]
        effects = [f"{row.label} {typeset(row.delta, info.digits, sign=True)} ({row.verdict})" for row in decided]
        return Scene(
            title=f"{info.study}: effects on {info.metric}",
            caption=_caption(info),
            alt=f"Forest plot of {len(info.rows)} differences in {info.metric}. "
            + (f"Decided: {in_words(effects)}." if effects else "None is decided."),
            panels=tuple(panels),
        )


def _against(rows: Sequence[EffectRow]) -> str:
    """` vs full`, where all rows are compared with that."""
    named = {row.compared_with for row in rows}
    if len(named) == 1:
        return f" vs {named.pop()}"
    return " vs step before" if rows[0].design == "cumulative" else ""


def _most_telling(rows: Sequence[Row], limit: int) -> list[Row]:
    """At most `limit` rows, in the plan's order."""
    rank = sorted(rows, key=lambda row: (row.verdict not in ("helps", "hurts"), -abs(row.delta or 0.0)))
    chosen = {id(row) for row in rank[:limit]}
    return [row for row in rows if id(row) in chosen]


def _effect(row: Row, label: str) -> EffectRow:
    assert row.delta is not None
    assert row.compared_with is not None
    return EffectRow(
        label=label + " ‡" * row.several,
        design=row.design, compared_with=row.compared_with, delta=row.delta,
        low=row.delta_ci_low, high=row.delta_ci_high, p_adjusted=row.p_adjusted,
        verdict=row.verdict if row.verdict and (row.pairs >= 3 or row.p_adjusted is not None) else SMALL,
        pairs=row.pairs, ran=str(row.n) if row.n == row.planned else f"{row.n}/{row.planned}",
        failed=row.failed, collapsed=row.collapsed, here=row.interval_here,
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


def _panel(rows: Sequence[EffectRow], info: Effects, axis: Axis, title: str) -> Panel:
    assert axis.low is not None
    assert axis.high is not None
    marks = around_zero(info.minimum_effect)
    for verdict, (colour, _) in DRAWN.items():
        of = [(i, row) for i, row in enumerate(rows) if row.verdict == verdict]
        if of:
            marks += _thick(colour, of, axis.low, axis.high)
            marks.append(_points(verdict, of, info.digits, axis.low, axis.high))
            marks += arrows(colour, of, axis.low, axis.high)
    planned = {row.ran for row in rows}
    one_n = len(planned) == 1 and all(row.pairs for row in rows) and not any(row.failed for row in rows)
    ticks = [
        (float(i), row.label if one_n else f"{row.label} (n={row.ran}{'†' if row.failed else ''})")
        for i, row in enumerate(rows)
    ]
    return Panel(
        x=axis,
        y=Axis(low=-0.6, high=len(rows) - 0.4, ticks=tuple(ticks), reverse=True),
        marks=tuple(marks),
        title=title,
        height=0.45 + 0.19 * len(rows),
        side=tuple((float(i), numbers(row, info.digits)) for i, row in enumerate(rows)),
    )


def _points(verdict: str, rows: Sequence[tuple[int, EffectRow]], digits: int, low: float, high: float) -> Series:
    colour, marker = DRAWN[verdict]
    return Series(
        x=tuple(row.delta for _, row in rows),
        y=tuple(float(i) for i, _ in rows),
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


def _thick(colour: Colour, rows: Sequence[tuple[int, EffectRow]], low: float, high: float) -> list[Mark]:
    """The intervals over seeds alone, as one broken line: none of it where nothing is said of other examples."""
    parts = [(i, max(row.here[0], low), min(row.here[1], high)) for i, row in rows if row.here is not None]
    x = tuple(end for _, left, right in parts for end in (left, right, right))
    y = tuple(place for i, *_ in parts for place in (float(i), float(i), None))
    return [Series(x, y, colour=colour, dash="solid", width=2.6)] if parts else []


def _of_what(info: Effects) -> str:
    """What a difference is the mean of."""
    paired = sorted({row.pairs for row in info.rows if row.pairs})
    if not paired:
        return "the difference of the two means, which share no seed (n beside the names),"
    shared = f"n = {paired[0]}" if len(paired) == 1 else f"n = {paired[0]} to {paired[-1]}"
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
    if info.minimum_effect:
        sentences.append(f"Shaded: within the minimum effect of ±{number(info.minimum_effect)}.")
    if any(bound is not None and not low <= bound <= high for row in info.rows for bound in (row.low, row.high)):
        sentences.append("Arrows: the interval goes on beyond the axis.")
    if any(row.label.endswith("‡") for row in info.rows):
        sentences.append(SEVERAL)
    failed = [f"{row.label} ({row.failed})" for row in info.rows if row.failed]
    if failed:
        sentences.append(f"†: failed runs are left out of the means: {in_words(failed)}.")
    collapsed = [f"{row.label} ({seeds_in_words(row.collapsed)})" for row in info.rows if row.collapsed]
    if collapsed:
        sentences.append(f"Collapsed, so mean and interval say little: {in_words(collapsed)}.")
    if info.missing:
        sentences.append(f"Without a result: {in_words(info.missing)}.")
    if info.left_out:
        sentences.append(
            f"The {len(info.rows)} most telling of {len(info.rows) + info.left_out} rows; the table has all."
        )
    return " ".join(sentences)
