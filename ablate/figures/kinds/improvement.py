"""How probably a run of each variant is better than one of the reference (a study of several settings).

From Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, NeurIPS 34.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ablate.analysis import scores
from ablate.errors import FigureError
from ablate.figures.figure import Figure, Source
from ablate.figures.scene import Axis, Column, Panel, Rule, Scene, Series
from ablate.text import in_words


@dataclass(frozen=True)
class Better:
    """probability: that a run is better than one of the reference in the same setting, equal ones counting half."""

    variant: str
    probability: float
    low: float | None
    high: float | None

    @property
    def said(self) -> str:
        ends = f" ({self.low:.2f} to {self.high:.2f})" if self.low is not None and self.high is not None else ""
        return f"{self.probability:.2f}{ends}"


@dataclass(frozen=True)
class Improvement:
    study: str
    metric: str
    reference: str
    rows: tuple[Better, ...]
    settings: int
    seeds: int


@dataclass(frozen=True)
class ImprovementFigure(Figure):
    """Probability of improvement over what the others are compared with, on average over settings."""

    over_settings: ClassVar[bool] = True

    def info(self, source: Source) -> Improvement:
        found = source.scores()
        reference = found.values[found.first]
        rows = []
        for name, each in found.values.items():
            if name != found.first:
                ends = scores.interval(scores.improvement, each, reference)
                low, high = (None, None) if ends is None else (float(end) for end in ends)
                rows.append(Better(name, float(scores.improvement(each, reference)), low, high))
        if not rows:
            raise FigureError("a probability of improvement needs two variants that are done in every setting.")
        rows.sort(key=lambda row: -row.probability)
        return Improvement(source.study, source.metric, found.first, tuple(rows), len(found.settings), found.seeds)

    def scene(self, info: Improvement) -> Scene:
        places = tuple(map(float, range(len(info.rows))))
        points = Series(
            tuple(row.probability for row in info.rows), places, colour="blue", marker="circle",
            low=tuple(row.low for row in info.rows), high=tuple(row.high for row in info.rows), along="x",
            hover=tuple(f"{row.variant}: {row.said}" for row in info.rows),
        )  # fmt: skip
        named = [f"{row.variant} {row.probability:.2f}" for row in info.rows]
        return Scene(
            title=f"{info.study}: probability of improvement",
            caption=_caption(info),
            alt=f"Probability that a run is better than one of {info.reference}: {in_words(named, 12)}.",
            panels=(
                Panel(
                    Axis(f"P(better than {info.reference})", 0.0, 1.0),
                    Axis(low=-0.6, high=len(info.rows) - 0.4, reverse=True,
                         ticks=tuple((at, row.variant) for at, row in zip(places, info.rows, strict=True))),
                    (Rule("x", 0.5), points),
                    height=0.45 + 0.19 * len(info.rows),
                    side=(Column("", tuple((at, row.said) for at, row in zip(places, info.rows, strict=True))),),
                ),
            ),
        )  # fmt: skip


def _caption(info: Improvement) -> str:
    sentences = [
        f"Probability that a run has a better {info.metric} than one of {info.reference} in the same setting, equal "
        f"ones counting half, on average over {info.settings} settings (Agarwal et al. 2021). It says how often, not "
        "by how much."
    ]
    if info.rows[0].low is not None:
        sentences.append(
            f"Bars: 95 %, percentiles of {scores.RESAMPLES:,} resamples of seeds within each setting, of either side "
            f"by itself (n = {info.seeds} or more in each)."
        )
    return " ".join(sentences)
