"""What a number of seeds can show: power, the seeds that an effect needs, the smallest effect that seeds make visible.

Pure. From: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences; the noncentral t distribution.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from scipy import special

from ablate.analysis import across
from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array
from ablate.analysis.components import Components, both

POWER = 0.80
"""The power at which seeds are counted (Cohen's convention)."""

MOST_SEEDS = 1000
"""A row that would need more seeds than this in all has no answer: nobody will run them."""


SURE = 0.80
"""One-sided confidence of a standard deviation's upper limit (Browne 1995, Statistics in Medicine 14:1933)."""


def power(effect: Array, n: Array, df: Array, alpha: Array | float = ALPHA) -> Array:
    """The power of a two-sided t test of a true `effect`, in standard deviations of one difference, over n of them."""
    critical = special.stdtrit(df, 1 - alpha / 2)
    ncp = np.abs(effect) * np.sqrt(n)
    below, above = special.nctdtr(df, ncp, critical), special.nctdtr(df, ncp, -critical)
    # nctdtr has no value (NaN) for a lower tail far below any number that matters.
    missed = np.where(np.isfinite(ncp), np.nan_to_num(below) - np.nan_to_num(above), np.nan)
    return np.asarray(1 - missed)


def seeds_needed(effect: Array, df_per_seed: Array | float = 1.0, alpha: Array | float = ALPHA) -> Array:
    """The smallest n (two at least) whose power is POWER, for an effect in standard deviations of one difference.

    df_per_seed: the degrees of freedom are this times (n - 1): 1 for pairs, between 1 and 2 for Welch at equal n.
    NaN for an effect of zero, inf where n exceeds MOST_SEEDS.
    """
    effect = np.abs(effect)
    with np.errstate(divide="ignore", invalid="ignore"):
        normal = ((special.ndtri(1 - alpha / 2) + special.ndtri(POWER)) / effect) ** 2
    usable = np.isfinite(effect) & (effect > 0) & (normal <= MOST_SEEDS)
    # The t test needs no fewer than the normal approximation and, found by search over effects of 0.09 to 1000,
    # at most 3 more at alpha = 0.05 and 10 more at 0.05 / 1000; the bracket is 16.
    low = np.where(usable, np.maximum(np.floor(normal), 2.0), 2.0)
    high = low + 16
    enough = np.where(usable, effect, 1.0)
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        reached = power(enough, middle, df_per_seed * (middle - 1), alpha) >= POWER
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    needed = np.where(usable & (high <= MOST_SEEDS), high, np.inf)
    return np.where(np.isfinite(effect) & (effect > 0), needed, np.nan)


def seeds_beyond(
    effect: float, std: Array, df_per_seed: Array, parts: Components, alpha: Array | float = ALPHA
) -> Array:
    """The smallest n whose power, about other seeds and other examples, is POWER for a true `effect`.

    std: of one difference over seeds; parts: what examples add, whatever n is. The power of the least powerful of the
    three tests (judge.by_both). inf where these examples alone leave too much, NaN where nothing is known.
    """
    low, high = np.full(std.shape, 2.0), np.full(std.shape, MOST_SEEDS + 1.0)
    beyond = parts.v_beyond
    noise = np.nan_to_num(parts.v_noise) * parts.seeds
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        v, df = std**2 / middle, df_per_seed * (middle - 1)
        there = replace(parts, v_examples=beyond + noise / middle, v_noise=noise / middle)
        enough = _power_beyond(effect, v, df, there, alpha) >= POWER
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return np.where(np.isfinite(std + beyond), np.where(high <= MOST_SEEDS, high, np.inf), np.nan)


def _power_beyond(effect: float, v_seeds: Array, df_seeds: Array, parts: Components, alpha: Array | float) -> Array:
    """At most the power of the test of both sources: that of the least powerful of its three."""
    sources = ((v_seeds, df_seeds), (parts.v_examples, parts.units - 1), both(v_seeds, df_seeds, parts))
    one = np.ones_like(v_seeds)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.min([power(effect / np.sqrt(v), one, df, alpha) for v, df in sources], axis=0))


def visible_effect(n: int, alpha: float = ALPHA) -> float:
    """The smallest effect, in standard deviations of a difference, that n pairs show with a power of POWER."""
    if n < MINIMUM_N:
        return math.inf
    low, high = 0.0, 1.0
    pairs, df = np.array(float(n)), np.array(n - 1.0)
    while power(np.array(high), pairs, df, alpha) < POWER:
        low, high = high, 2 * high
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        if power(np.array(middle), pairs, df, alpha) < POWER:
            low = middle
        else:
            high = middle
    return high


def upper_std(std: Array, df: Array) -> Array:
    """The upper limit of a standard deviation that df degrees of freedom estimate: few seeds underestimate it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(std * np.sqrt(df / special.chdtri(df, SURE)))


# -------------------------------------------------------------------------------------------------------- over settings

STUDIES = 4000
"""Simulated for what a mean over settings can find: its own degrees of freedom are drawn with its spreads, so that no
noncentral t has its power (3 settings x 3 seeds: 1.7 standard deviations instead of 2.3)."""

MOST_DRAWS = 4_000_000
"""Of many rows and settings fewer studies are simulated, 200 at least."""


@dataclass(frozen=True)
class Further:
    """What examples add to rows' means over settings, arrays (rows,): V_x, what a cell's noise adds over one seed, and
    the degrees of freedom of V_e; 0, 0 and inf where nothing is known."""

    v: Array
    noise: Array
    df: Array


def visible_mean(std: Array, n: int | Array, alpha: float, further: Further | None = None) -> Array:
    """The smallest effect of each row that its mean over settings shows with a power of POWER; inf below MINIMUM_N.

    std: (rows, settings) of one difference. n: pairs in each setting, one number or one a row. The test is across.mean.
    """
    rows, settings = std.shape
    pairs = np.broadcast_to(np.asarray(n, dtype=float), rows)
    enough = np.maximum(pairs, MINIMUM_N)
    rng = np.random.default_rng([rows, settings])
    studies = int(np.clip(MOST_DRAWS // std.size, 200, STUDIES))
    df = np.broadcast_to((enough - 1)[:, None], (studies, rows, settings))
    v, nu = across.error_over_seeds(std**2 * rng.chisquare(df) / df, df)
    v, true = v / enough, (std**2).sum(axis=1) / settings**2 / enough
    beyond = np.zeros(rows) if further is None else further.v
    chance = rng.normal(size=(studies, rows)) * np.sqrt(true + beyond)
    reach = special.stdtrit(nu, 1 - alpha / 2) * np.sqrt(v)
    if further is not None:
        noise = further.noise / enough
        both = special.stdtrit((v + beyond) ** 2 / (v**2 / nu + beyond**2 / further.df), 1 - alpha / 2)
        reach = np.maximum(reach, both * np.sqrt(v + beyond))
        reach = np.maximum(reach, special.stdtrit(further.df, 1 - alpha / 2) * np.sqrt(beyond + noise))
    # A study finds an effect that is larger than what its interval reaches, less its own luck.
    return np.where(pairs >= MINIMUM_N, np.quantile(reach - chance, POWER, axis=0), np.inf)


def mean_seeds(effect: float, std: Array, alpha: float, further: Further | None = None) -> Array:
    """The smallest n, MINIMUM_N at least, with which each row's mean over settings shows `effect`; inf beyond
    MOST_SEEDS."""
    low, high = np.full(len(std), float(MINIMUM_N)), np.full(len(std), MOST_SEEDS + 1.0)
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        enough = visible_mean(std, middle, alpha, further) <= effect
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return np.where(high <= MOST_SEEDS, high, np.inf)


# ------------------------------------------------------------------------------------------------------ before spending


@dataclass(frozen=True)
class Visible:
    """What a comparison can show. std: of one difference; pairs: that it comes from, 0 where it is the others' median.

    alone: the smallest effect visible in a single test; corrected: where Holm is at its strictest (0.05 / family).
    seeds, seeds_corrected: how many the `minimum_effect` needs; None where the study has none, or beyond MOST_SEEDS.
    floor: what stays invisible on these examples whatever the number of seeds; None where nothing is known of examples.
    """

    variant: str
    compared_with: str
    std: float
    pairs: int
    alone: float
    corrected: float
    seeds: int | None
    seeds_corrected: int | None
    floor: float | None = None


def visible(
    spreads: Sequence[tuple[str, str, float | None, int]],
    seeds: int,
    minimum_effect: float | None,
    alpha: float = ALPHA,
) -> list[Visible]:
    """Of each comparison (variant, compared_with, std of a difference or None, pairs) what `seeds` seeds can show.

    alpha: of a single test. A comparison without a spread of its own takes the median of the others'; [] where none has
    one.
    """
    measured = [std for _, _, std, _ in spreads if std]
    if not measured:
        return []
    strict = alpha / len(spreads)
    alone, corrected = visible_effect(seeds, alpha), visible_effect(seeds, strict)
    effects = []
    for variant, reference, own, pairs in spreads:
        std = own or median(measured)
        needed = [
            _whole(seeds_needed(np.array([minimum_effect / std]), alpha=at)[0]) if minimum_effect else None
            for at in (alpha, strict)
        ]
        effects.append(
            Visible(variant, reference, std, pairs if own else 0, alone * std, corrected * std, needed[0], needed[1])
        )
    return effects


def visible_beyond(
    row: Visible, parts: Components, seeds: int, minimum_effect: float | None, family: int, alpha: float = ALPHA
) -> Visible:
    """The same about other examples, too. parts: of this one comparison; family: of how many it is one."""
    std, one = np.array([row.std]), np.ones(1)
    noise = np.nan_to_num(parts.v_noise) * parts.seeds
    there = replace(parts, v_examples=parts.v_beyond + noise / seeds, v_noise=noise / seeds)
    found, needed = [], []
    for level, over_seeds in ((alpha, row.alone), (alpha / family, row.corrected)):
        low, high = over_seeds, over_seeds
        while high < math.inf and _power_beyond(high, std**2 / seeds, one * (seeds - 1), there, level)[0] < POWER:
            low, high = high, 2 * high
        while high < math.inf and high - low > 1e-6 * high:
            middle = (low + high) / 2
            enough = _power_beyond(middle, std**2 / seeds, one * (seeds - 1), there, level)[0] >= POWER
            low, high = (low, middle) if enough else (middle, high)
        found.append(high)
        needed.append(_whole(seeds_beyond(minimum_effect, std, one, parts, level)[0]) if minimum_effect else None)
    floor = floor_of(float(parts.v_beyond[0]), alpha)
    return replace(
        row, alone=found[0], corrected=found[1], seeds=needed[0], seeds_corrected=needed[1], floor=floor
    )  # fmt: skip


def floor_of(v_beyond: float, alpha: float = ALPHA) -> float:
    """What no number of seeds shows: at 0.05 and a power of 80 % 1.96 + 0.84 standard errors over examples alone."""
    return float((special.ndtri(1 - alpha / 2) + special.ndtri(POWER)) * np.sqrt(v_beyond))


def visible_over(
    named: Sequence[tuple[str, int]],
    std: Array,
    seeds: int,
    minimum_effect: float | None,
    alpha: float = ALPHA,
    further: Further | None = None,
) -> list[Visible]:
    """Of each row's mean over settings what `seeds` seeds in each can show. named: each row, and its pairs; std:
    (rows, settings) of one difference, all known."""
    levels = (alpha, alpha / len(named))
    alone, corrected = (visible_mean(std, seeds, level, further) for level in levels)
    needed = [
        [_whole(n) for n in mean_seeds(minimum_effect, std, level, further)] if minimum_effect else [None] * len(named)
        for level in levels
    ]
    one_seed = np.sqrt((std**2).sum(axis=1)) / std.shape[1]
    return [
        Visible(
            row, "", float(one_seed[r]), pairs, float(alone[r]), float(corrected[r]), needed[0][r], needed[1][r],
            None if further is None else floor_of(float(further.v[r]), alpha),
        )
        for r, (row, pairs) in enumerate(named)
    ]  # fmt: skip


def _whole(n: float) -> int | None:
    """A number of seeds that a verdict can come from; None where nobody will run as many."""
    return max(int(n), MINIMUM_N) if np.isfinite(n) else None


@dataclass(frozen=True)
class Proposal:
    """What a design costs. seeds: that fit the budget; hours are those of that many, or of one where none fits."""

    design: str
    variants: int
    seeds: int
    seconds: float

    @property
    def enough(self) -> bool:
        """Whether its rows get an interval and a p."""
        return self.seeds >= MINIMUM_N


def proposals(
    designs: Mapping[str, Sequence[str]], seconds: Mapping[str, float], workers: int, budget_s: float
) -> list[Proposal]:
    """What fits. designs: the variants of each, the study's own first. seconds: measured per run, by variant.

    A variant without a measurement takes the median of the others. Runs that are done already are counted again.
    """
    fits = []
    for name, variants in designs.items():
        times = _times(variants, seconds)
        ends = itertools.islice(_ends(times, workers), MOST_SEEDS)
        fitting = list(itertools.takewhile(lambda end: end <= budget_s * (1 + 1e-9), ends))
        seeds = len(fitting)
        fits.append(Proposal(name, len(variants), seeds, fitting[-1] if fitting else next(_ends(times, workers))))
    return fits


def least_s(designs: Mapping[str, Sequence[str]], seconds: Mapping[str, float], workers: int) -> float:
    """The time in which some design gets the seeds that an interval needs."""
    ends = (_ends(_times(variants, seconds), workers) for variants in designs.values())
    return min(next(itertools.islice(end, MINIMUM_N - 1, None)) for end in ends)


def _times(variants: Sequence[str], seconds: Mapping[str, float]) -> list[float]:
    usual = median(seconds.values())
    return [seconds.get(variant, usual) for variant in variants]


def _ends(times: Sequence[float], workers: int) -> Iterator[float]:
    """When the first seed of every variant is done, when the second, ...: each run goes to the worker free first.

    Workers know no variants: while one variant's last run goes on, the others have begun the next seed.
    """
    free = [0.0] * workers
    end = 0.0
    while True:
        for time in times:
            done = heapq.heappop(free) + time
            heapq.heappush(free, done)
            end = max(end, done)
        yield end


def proposed(found: Sequence[Proposal]) -> Proposal | None:
    """The one to take: the study's own design if it gets three seeds, else the one that then gets most variants."""
    enough = [proposal for proposal in found if proposal.enough]
    if found and found[0].enough:
        return found[0]
    return max(enough, key=lambda proposal: (proposal.variants, proposal.seeds), default=None)
