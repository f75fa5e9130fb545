"""What two tricks do together: the metric with and without the first, once with and once without the second.

Parallel lines: no interaction. For factorials and fractions (Montgomery, Design and Analysis of Experiments, ch. 5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source
from ablate.figures.scene import Axis, Mark, Panel, Scene, Series, ceiling
from ablate.records import Interaction
from ablate.text import decimals, in_words, seeds_in_words, typeset


@dataclass(frozen=True)
class Interactions:
    """pairs: the strongest evidence first. low, high: of the metric, for all panels alike."""

    study: str
    metric: str
    better: str
    seeds: tuple[int, ...]
    pairs: tuple[Interaction, ...]
    low: float
    high: float
    digits: int
    left_out: int = 0


@dataclass(frozen=True)
class InteractionsFigure(Figure):
    """limit: the most pairs of tricks, those with the strongest evidence."""

    limit: Annotated[int, Ge(1)] = 6

    def info(self, source: Source) -> Interactions:
        if source.interactions is None:
            raise FigureError(source.no_interactions or "interactions need a factorial.", page="how-the-table-is-made")
        whole = [pair for pair in source.interactions if len(pair.quarters) == 4]
        if not whole:
            raise FigureError(
                "no pair of tricks was run in all of its four combinations.", page="how-the-table-is-made"
            )
        pairs = tuple(whole[: self.limit])
        ends = [end for pair in pairs for q in pair.quarters for end in (q.mean, q.low, q.high) if end is not None]
        percent = source.units.get(source.metric) == "%"
        pad = 0.06 * (max(ends) - min(ends)) or 1.0
        halves = [pair.ci_high - pair.estimate for pair in pairs if pair.ci_high is not None]
        return Interactions(
            study=source.study, metric=source.titled(source.metric), better=source.better, seeds=source.seeds,
            pairs=pairs, low=min(ends) - pad, high=min(max(ends) + pad, ceiling(min(ends)) if percent else math.inf),
            digits=decimals(halves),
            left_out=len(source.interactions) - len(pairs),
        )  # fmt: skip

    def scene(self, info: Interactions) -> Scene:
        interactions = [
            f"{' × '.join(pair.tricks)} {typeset(pair.estimate, info.digits, sign=True)}" for pair in info.pairs
        ]
        return Scene(
            title=f"{info.study}: interactions on {info.metric}",
            caption=_caption(info),
            alt=f"Interaction plots of pairs of tricks on {info.metric}. Interactions: {in_words(interactions)}.",
            panels=tuple(_panel(pair, info) for pair in info.pairs),
            across=3,
            across_narrow=2,
        )


def _panel(pair: Interaction, info: Interactions) -> Panel:
    first, second = pair.tricks
    marks: list[Mark] = []
    for on in (True, False):
        of = sorted((q for q in pair.quarters if q.second is on), key=lambda q: q.first)
        nudge = 0.02 if on else -0.02  # so that two intervals at one place are both seen
        state = "with" if on else "without"
        marks.append(
            Series(
                x=tuple(float(q.first) + nudge for q in of), y=tuple(q.mean for q in of),
                low=tuple(q.low for q in of), high=tuple(q.high for q in of),
                label=f"{state} {second if len(info.pairs) == 1 else 'the second trick'}",
                colour="blue" if on else "vermillion",
                dash="solid" if on else "dashed", marker="circle" if on else "hollow_square",
                hover=tuple(
                    f"{'with' if q.first else 'without'} {first}, {state} {second}: {typeset(q.mean, info.digits)}"
                    for q in of
                ),
            )
        )  # fmt: skip
    return Panel(
        x=Axis(low=-0.35, high=1.35, label=first, ticks=((0.0, "without"), (1.0, "with"))),
        y=Axis(info.metric, info.low, info.high, grid=True),
        marks=tuple(marks),
        title=f"{first} × {second}",
        height=1.55,
    )


def _caption(info: Interactions) -> str:
    sentences = [
        f"{info.metric} ({info.better} is better) with and without each trick; solid: with the second trick, dashed: "
        "without it; averaged over the settings of all other tricks, bars: 95 % t interval over "
        f"{seeds_in_words(info.seeds)} (n = {len(info.seeds)} at most). Parallel lines: no interaction."
    ]
    listed = []
    for pair in info.pairs:
        text = f"{' × '.join(pair.tricks)} {typeset(pair.estimate, info.digits, sign=True)}"
        if pair.ci_low is not None and pair.ci_high is not None:
            low, high = (typeset(end, info.digits, sign=True) for end in (pair.ci_low, pair.ci_high))
            text += f" ({low} to {high})"
        if pair.p_adjusted is not None:
            text += f", p = {pair.p_adjusted:.2g}"
        if pair.aliases:
            text += f" (not told apart from {in_words(pair.aliases)})"
        listed.append(text)
    sentences.append(
        "Interaction (half the difference of the differences, 95 % interval, p by Benjamini and Hochberg over all "
        f"interactions): {'; '.join(listed)}."
    )
    if info.left_out:
        sentences.append(f"{info.left_out} further interactions are in `--view interactions`.")
    return " ".join(sentences)
