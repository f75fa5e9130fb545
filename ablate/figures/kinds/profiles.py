"""How scores over settings and seeds are distributed: a performance profile for each variant (several settings).

From Agarwal et al. 2021, Deep reinforcement learning at the edge of the statistical precipice, NeurIPS 34.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from ablate.analysis import scores
from ablate.analysis.comparisons import Array
from ablate.figures.figure import Figure, Source
from ablate.figures.scene import LINES, Axis, Mark, Panel, Rule, Scene, Series
from ablate.text import in_words

_POINTS = 101
"""At which scores a profile is drawn."""

_RESAMPLES = 2000
"""As rliable draws for profiles: the band is of each point by itself, and looked at."""


@dataclass(frozen=True)
class Profile:
    """share: of runs whose score is above each of the figure's; low, high: its interval; empty: fewer than 3 seeds."""

    variant: str
    iqm: float
    share: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Profiles:
    study: str
    metric: str
    tau: tuple[float, ...]
    profiles: tuple[Profile, ...]
    settings: int
    seeds: int
    left_out: int = 0


@dataclass(frozen=True)
class ProfilesFigure(Figure):
    """variants: which; none: all, or where they are more than eight what the others are compared with and the best."""

    over_settings: ClassVar[bool] = True
    variants: tuple[str, ...] = ()

    def info(self, source: Source) -> Profiles:
        found = source.scores()
        first = [found.first, *(name for name in found.by_iqm if name != found.first)]
        asked = [found.find(name) for name in self.variants] or first[: len(LINES)]
        chosen = [name for name in found.by_iqm if name in asked]
        every = np.concatenate([one for name in chosen for one in found.values[name]])
        tau = np.linspace(min(0.0, every.min()), max(1.0, every.max()), _POINTS)
        return Profiles(
            source.study, source.metric, tuple(tau.tolist()), tuple(_profile(name, found, tau) for name in chosen),
            len(found.settings), found.seeds, 0 if self.variants else len(found.values) - len(chosen),
        )  # fmt: skip

    def scene(self, info: Profiles) -> Scene:
        marks: list[Mark] = [Rule("y", 0.5, "dotted")]
        for i, one in enumerate(info.profiles):
            colour, dash, marker = LINES[i % len(LINES)]
            marks.append(
                Series(
                    info.tau, one.share, one.variant, colour, dash, marker, one.low, one.high, band=True, size=4.0,
                    width=1.2, every=20, first=(3 * i) % 20,
                    hover=tuple(
                        f"{one.variant}: {100 * share:.0f} % of scores above {tau:.3g}"
                        for tau, share in zip(info.tau, one.share, strict=True)
                    ),
                )
            )  # fmt: skip
        named = [f"{one.variant} {one.iqm:.3f}" for one in info.profiles]
        return Scene(
            title=f"{info.study}: performance profiles",
            caption=_caption(info),
            alt=f"Performance profiles over {info.settings} settings. Interquartile means: {in_words(named, 8)}.",
            panels=(
                Panel(
                    Axis(f"score \N{GREEK SMALL LETTER TAU} ({info.metric} on one scale)"),
                    Axis("share of runs above \N{GREEK SMALL LETTER TAU}", 0.0, 1.0, grid=True),
                    tuple(marks),
                ),
            ),
        )


def _profile(name: str, found: scores.Scores, tau: Array) -> Profile:
    each = found.values[name]
    ends = scores.interval(partial(scores.profile, tau=tau), each, resamples=_RESAMPLES)
    low, high = ((), ()) if ends is None else (tuple(end.tolist()) for end in ends)
    return Profile(name, float(scores.iqm(each)), tuple(scores.profile(each, tau).tolist()), low, high)


def _caption(info: Profiles) -> str:
    sentences = [
        f"Share of a variant's runs, over {info.settings} settings and their seeds, whose {info.metric} on one scale "
        "(0 and 1 at each setting's limits) is above \N{GREEK SMALL LETTER TAU}; where a line crosses one half is the "
        "median, the area below it the mean (Agarwal et al. 2021)."
    ]
    if info.profiles[0].low:
        sentences.append(
            f"Bands: 95 %, each point by itself, percentiles of {_RESAMPLES:,} resamples of seeds within each setting "
            f"(n = {info.seeds} or more in each)."
        )
    if info.left_out:
        every = len(info.profiles) + info.left_out
        sentences.append(f"{len(info.profiles)} of {every} variants are shown: the reference and the best.")
    return " ".join(sentences)
