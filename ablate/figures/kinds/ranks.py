"""Which variants average ranks over settings tell apart: a critical-difference diagram (a study of several settings).

From Demšar 2006, Statistical comparisons of classifiers over multiple data sets, JMLR 7:1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ablate.analysis.across import alike
from ablate.figures.figure import Figure, Source
from ablate.figures.scene import Axis, Label, Mark, Panel, Rule, Scene, Series
from ablate.tables.overall import found_in_words, friedman_in_words
from ablate.text import in_words, many

_BAR = 0.34
"""From one thick bar to the next, in rows."""


@dataclass(frozen=True)
class Ranked:
    """variants, ranks: the best mean rank first. groups: first and last place of variants that are not told apart.
    apart: variants that differ from the first of the table, by Holm."""

    study: str
    metric: str
    variants: tuple[str, ...]
    ranks: tuple[float, ...]
    groups: tuple[tuple[int, int], ...]
    critical: float
    settings: int
    against: str
    apart: tuple[str, ...]
    friedman: str
    p: float
    found: str


@dataclass(frozen=True)
class RanksFigure(Figure):
    """Each variant's mean rank, 1 the best; thick bars join those that are not told apart."""

    over_settings: ClassVar[bool] = True

    def info(self, source: Source) -> Ranked:
        found = source.ranking()
        ranks = tuple(float(found.found.mean[i]) for i in found.order)
        called = _called(source)
        named = [called.get(name, name) for name in found.variants]
        return Ranked(
            source.study, source.metric, tuple(named[i] for i in found.order), ranks,
            tuple(alike(ranks, found.critical)), found.critical, len(found.settings), named[0],
            tuple(named[i] for i in found.order if found.p_adjusted[i] < 0.05), friedman_in_words(found),
            found.found.p, found_in_words(found),
        )  # fmt: skip

    def scene(self, info: Ranked) -> Scene:
        named = [f"{name} {rank:.2f}" for name, rank in zip(info.variants, info.ranks, strict=True)]
        return Scene(
            title=f"{info.study}: average ranks",
            caption=_caption(info),
            alt=f"Critical-difference diagram of {many(len(info.variants), 'variant')} over {info.settings} settings, "
            f"the best first: {in_words(named, 12)}.",
            panels=(_panel(info),),
        )


def _called(source: Source) -> dict[str, str]:
    """Of each variant what a sentence calls it: `full without batch norm`."""
    over = source.over.rows if source.over is not None else ()
    cells = [(setting, row) for together in over for setting, row in together.cells.items()]
    return {
        row.variant.removeprefix(f"{setting}/"): row.spoken.removeprefix(f"{setting}/")
        for setting, row in reversed(cells)
    }


def _panel(info: Ranked) -> Panel:
    """A line from each name to its mean rank, and up to the axis; below that the bars, above it the difference."""
    count = len(info.variants)
    low, high = 0.8, max(count + 0.2, 1 + info.critical)
    first = _BAR * (len(info.groups) + 1)
    marks: list[Mark] = [Rule("y", 0.0)]
    for i, (name, rank) in enumerate(zip(info.variants, info.ranks, strict=True)):
        hover = f"{name}: mean rank {rank:.2f}"
        marks.append(Series((low, rank, rank), (first + i, first + i, 0.0), colour="grey", dash="solid", width=0.9))
        marks.append(Series((rank,), (0.0,), colour="blue", marker="circle", size=4.5, hover=(hover,)))
    for k, (begin, end) in enumerate(info.groups):
        ends = (info.ranks[begin] - 0.04, info.ranks[end] + 0.04)
        marks.append(Series(ends, (_BAR * (k + 1),) * 2, colour="ink", dash="solid", width=2.8))
    above = -0.9
    marks.append(Series((1.0, 1 + info.critical), (above, above), colour="ink", dash="solid", marker="bar", width=1.0))
    marks.append(Label(1 + info.critical / 2, above, f"critical difference {info.critical:.2f}", "above"))
    return Panel(
        x=Axis("mean rank, 1 is best", low, high, whole=True),
        y=Axis(low=-2.0, high=first + count - 0.4, reverse=True,
               ticks=tuple((first + i, name) for i, name in enumerate(info.variants))),
        marks=tuple(marks),
        height=0.9 + 0.17 * count + 0.06 * len(info.groups),
    )  # fmt: skip


def _caption(info: Ranked) -> str:
    sentences = [
        f"Mean ranks of {info.metric} over {info.settings} settings, ties sharing theirs; {info.friedman}. Thick bars "
        f"join variants whose mean ranks differ by less than the critical difference of {info.critical:.2f} (Nemenyi, "
        "95 %; Demšar 2006)."
    ]
    if info.p >= 0.05:
        sentences.append("By Friedman's test nothing tells these variants apart, so none of the differences counts.")
    found = f"{in_words(info.apart)} by p < 0.05" if info.apart else "none"
    sentences.append(f"Against {info.against} alone, by Holm: {found}.")
    sentences.append(info.found)
    return " ".join(sentences)
