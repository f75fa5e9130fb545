"""What a number of seeds can show: power, the seeds that an effect needs, the smallest effect that seeds make visible.

Pure. From: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences; the noncentral t distribution.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ablate.blocks import Array
from ablate.comparisons import ALPHA

POWER = 0.80
"""The power at which seeds are counted (Cohen's convention)."""

MOST_SEEDS = 1000
"""A row that would need more seeds than this in all has no answer: nobody will run them."""


def power(effect: Array, n: Array, df: Array) -> Array:
    """The power of a two-sided t test of a true `effect`, in standard deviations of one difference, over n of them."""
    critical = special.stdtrit(df, 1 - ALPHA / 2)
    ncp = np.abs(effect) * np.sqrt(n)
    # nctdtr has no value (NaN) for a lower tail far below any number that matters.
    return np.asarray(1 - special.nctdtr(df, ncp, critical) + np.nan_to_num(special.nctdtr(df, ncp, -critical)))


def seeds_needed(effect: Array, df_per_seed: Array | float = 1.0) -> Array:
    """The smallest n (two at least) whose power is POWER, for an effect in standard deviations of one difference.

    df_per_seed: the degrees of freedom are this times (n - 1): 1 for pairs, between 1 and 2 for Welch at equal n.
    NaN for an effect of zero, inf where n exceeds MOST_SEEDS.
    """
    effect = np.abs(effect)
    with np.errstate(divide="ignore", invalid="ignore"):
        normal = ((special.ndtri(1 - ALPHA / 2) + special.ndtri(POWER)) / effect) ** 2
    usable = np.isfinite(effect) & (effect > 0) & (normal <= MOST_SEEDS)
    # The t test needs no fewer than the normal approximation and, found by search over effects of 0.05 to 1000,
    # at most 5 more; the bracket is 8.
    low = np.where(usable, np.maximum(np.floor(normal), 2.0), 2.0)
    high = low + 8
    enough = np.where(usable, effect, 1.0)
    while np.any(low < high):
        middle = np.floor((low + high) / 2)
        there = power(enough, middle, df_per_seed * (middle - 1)) >= POWER
        low, high = np.where(there, low, middle + 1), np.where(there, middle, high)
    needed = np.where(usable & (high <= MOST_SEEDS), high, np.inf)
    return np.where(np.isfinite(effect) & (effect > 0), needed, np.nan)
