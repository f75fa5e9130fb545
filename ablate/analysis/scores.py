"""Scores of several settings on one scale: interquartile mean, performance profile, probability of improvement. Pure.

From Agarwal, Schwarzer, Castro, Courville and Bellemare 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice", NeurIPS 34, as their rliable computes them: intervals are percentiles of a bootstrap that draws
seeds with replacement within each setting. Of unequal numbers of seeds every score weighs the same.

`each` are the scores of a variant: of every setting an array (..., seeds). A statistic has the axes before the last
one, which are resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array
from ablate.errors import FigureError
from ablate.text import did_you_mean, one_of

RESAMPLES = 10_000
"""Of a bootstrap: an end of its interval is then known to about 3 % of a standard error."""

SEED = 20211206
"""Of the bootstrap: equal results give equal tables. A variant's interval depends on no other variant."""

COVERS = {3: "83 to 89", 5: "89 to 93", 10: "93 to 95"}
"""From so many seeds a setting on, in how many % of studies a 95 % interval of an interquartile mean holds the value
(tests/benchmarks/settings.py)."""

AT_ONCE = 4_000_000
"""Scores that are drawn at a time: 32 MB."""

Each = Sequence[Array]


@dataclass(frozen=True)
class Scores:
    """values: of each variant, what others are compared with first, the scores of its counted seeds in each setting, 0
    at the limit that is worse and 1 at the one that is better. planned: scores of a variant, if none were missing."""

    settings: tuple[str, ...]
    values: Mapping[str, tuple[Array, ...]]
    planned: int

    @property
    def first(self) -> str:
        """What the others are compared with."""
        return next(iter(self.values))

    def find(self, variant: str) -> str:
        """A variant by its name. FigureError with the nearest one."""
        if variant in self.values:
            return variant
        raise FigureError(
            f"there is no variant {variant!r} with a score in every setting; there is {one_of(self.values)}."
            f"{did_you_mean(variant, list(self.values))}"
        )

    @property
    def by_iqm(self) -> list[str]:
        """The variants, the best interquartile mean first."""
        return sorted(self.values, key=lambda name: -float(iqm(self.values[name])))

    @property
    def seeds(self) -> int:
        """The fewest in a setting."""
        return min(len(one) for each in self.values.values() for one in each)


# ----------------------------------------------------------------------------------------------------------- statistics


def iqm(each: Each) -> Array:
    """The mean of the middle half of all scores: a quarter, rounded down, is cut off at either end."""
    scores = np.sort(np.concatenate(each, axis=-1), axis=-1)
    cut = scores.shape[-1] // 4
    return np.asarray(scores[..., cut : scores.shape[-1] - cut].mean(axis=-1))


def mean(each: Each) -> Array:
    return np.asarray(np.concatenate(each, axis=-1).mean(axis=-1))


def median(each: Each) -> Array:
    """Of the settings' means."""
    return np.asarray(np.median([one.mean(axis=-1) for one in each], axis=0))


def optimality_gap(each: Each) -> Array:
    """By how much scores fall short of 1 on average; what is beyond it makes up for nothing."""
    return np.asarray(1 - np.minimum(np.concatenate(each, axis=-1), 1.0).mean(axis=-1))


AGGREGATES: Mapping[str, Callable[[Each], Array]] = {
    "iqm": iqm, "median": median, "mean": mean, "optimality_gap": optimality_gap,
}  # fmt: skip


def improvement(each: Each, others: Each) -> Array:
    """The probability that a score is better than one of `others` in the same setting, equal ones counting half, on
    average over settings: Mann and Whitney's U over its largest value."""
    by_setting = []
    for ours, theirs in zip(each, others, strict=True):
        one, other = ours[..., :, None], theirs[..., None, :]
        by_setting.append(((one > other) + 0.5 * (one == other)).mean(axis=(-2, -1)))
    return np.asarray(np.mean(by_setting, axis=0))


def profile(each: Each, tau: Array) -> Array:
    """(..., len(tau)): the share of all scores above each of tau (the paper's run-score distribution)."""
    scores = np.concatenate(each, axis=-1)
    return np.stack([(scores > at).mean(axis=-1) for at in tau], axis=-1)


# ------------------------------------------------------------------------------------------------------------ bootstrap


def taken(each: Each, rng: np.random.Generator, count: int) -> list[Array]:
    """`count` resamples: in each setting as many seeds as it has, drawn with replacement."""
    return [one[rng.integers(len(one), size=(count, len(one)))] for one in each]


def interval(
    statistic: Callable[..., Array], *sides: Each, alpha: float = ALPHA, resamples: int = RESAMPLES
) -> tuple[Array, Array] | None:
    """The ends of a statistic's 1 - alpha percentile interval over seeds, each of its sides drawn by itself; None where
    a setting has fewer than MINIMUM_N seeds."""
    sizes = list(zip(*([len(one) for one in each] for each in sides), strict=True))
    if min(map(min, sizes)) < MINIMUM_N:
        return None
    streams = [np.random.default_rng([SEED, side]) for side in range(len(sides))]
    size = max(AT_ONCE // sum(map(math.prod, sizes)), 1)
    values = []
    for begun in range(0, resamples, size):
        count = min(size, resamples - begun)
        values.append(statistic(*(taken(each, rng, count) for each, rng in zip(sides, streams, strict=True))))
    low, high = np.percentile(np.concatenate(values), [100 * alpha / 2, 100 * (1 - alpha / 2)], axis=0)
    return low, high
