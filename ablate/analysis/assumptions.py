"""What the tests take for granted: no seed collapsed, no row at chance, seeds that pair, equal spreads. Pure.

Nothing here enters a p or an interval; it decides which cautions stand under a table.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array
from ablate.records import Better

COLLAPSE = 10.0
"""A seed collapsed where it is worse than its row's median by more than this many robust standard deviations.

(Measured: of studies with 8 rows of normal noise, fewer than 1 in 1000 has such a seed with n = 5, 2 % with n = 3.)"""

LEAST_PAIRS = 5
"""Fewer pairs tell nothing of a correlation: with three, |r| exceeds 0.7 in half of all samples without any."""


def seed_correlation(row: Array, reference: Array) -> Array:
    """How rows and their comparisons go along over shared seeds (Pearson's r); NaN below LEAST_PAIRS pairs.

    Equal seeds as pairs narrow an interval by the share of the spread that they have in common.
    """
    shared = np.isfinite(row) & np.isfinite(reference)
    n = shared.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (
            np.where(shared, x - np.where(shared, x, 0.0).sum(axis=1, keepdims=True) / n[:, None], 0.0)
            for x in (row, reference)
        )
        r = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.where(n >= LEAST_PAIRS, r, np.nan)


def correlation_at_most(r: float, pairs: int) -> float:
    """The upper limit of a correlation, one-sided at 95 %, by Fisher's z. r: seen over so many pairs."""
    bounded = min(max(r, -0.9999), 0.9999)
    return float(np.tanh(np.arctanh(bounded) + special.ndtri(1 - ALPHA) / np.sqrt(pairs - 3)))


def pairs_pay_from(pairs: int) -> float:
    """The correlation above which so many pairs give a narrower t interval than two groups of as many runs."""
    apart, paired = special.stdtrit([2 * pairs - 2, pairs - 1], 1 - ALPHA / 2)
    return float(1 - (apart / paired) ** 2)


@functools.cache
def spread_ratio_limit(cells: int, n: int, blocks: bool, level: float = ALPHA) -> float:
    """The ratio of the largest to the smallest standard deviation that equal spreads exceed in a share of studies.

    Of `cells` rows of n normal values each, with the seeds taken out where they are blocks; 4,000 simulated studies.
    """
    rng = np.random.default_rng([cells, n])
    ratios = []
    for _ in range(8):  # in parts, so that 1,000 variants need no gigabyte
        values = rng.normal(size=(500, cells, n))
        values -= values.mean(axis=2, keepdims=True)
        if blocks:
            values -= values.mean(axis=1, keepdims=True)
        squares = (values**2).sum(axis=2)
        ratios.append(np.sqrt(squares.max(axis=1) / squares.min(axis=1)))
    return float(np.quantile(np.concatenate(ratios), 1 - level))


def collapsed(values: Array, better: Better) -> NDArray[np.bool_]:
    """Which runs are far out on the worse side of their row: (rows, seeds).

    Far: more than COLLAPSE robust standard deviations (1.4826 x the median absolute deviation) below the row's median.
    Five seeds can lie close by chance, so the spread taken is the row's or that of the median row, whichever is larger.
    """
    fallen = np.zeros(values.shape, dtype=bool)
    enough = np.isfinite(values).sum(axis=1) >= MINIMUM_N
    if not enough.any():
        return fallen
    worse = -values[enough] if better == "higher" else values[enough]
    worse = worse - np.nanmedian(worse, axis=1, keepdims=True)
    # 1 / 0.6745: by it the median absolute deviation of normal values is their standard deviation, which one wild seed
    # of five cannot move far.
    spread = 1.4826 * np.nanmedian(np.abs(worse), axis=1)
    limit = COLLAPSE * np.maximum(spread, np.median(spread))
    # Where neither the row nor the median row has a spread, every distance would be far.
    fallen[enough] = (worse > limit[:, None]) & (limit > 0)[:, None]
    return fallen


AT_CHANCE = (*range(2, 17), 100, 1000)
"""Numbers of classes whose chance level is looked for. Between them ln K is dense, and a loss meets one by chance."""


def at_chance(values: Array, metric: str) -> NDArray[np.bool_]:
    """Which rows stand at chance in every seed, MINIMUM_N at least: (rows,). Its neighbours may do so, too.

    An accuracy: equal in all seeds, and 1 / K or 100 / K; a loss: in all seeds ln K to 0.1 %.
    """
    n = np.isfinite(values).sum(axis=1)
    low = np.where(np.isfinite(values), values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(np.isfinite(values), values, -np.inf).max(axis=1, initial=-np.inf)
    classes, words = np.array(AT_CHANCE, dtype=float), metric.lower()
    if "acc" in words:
        levels, within = np.concatenate([1 / classes, 100 / classes]), 1e-6
        low = np.where(low == high, low, np.nan)
    elif any(word in words for word in ("loss", "nll", "entropy")):
        levels, within = np.log(classes), 1e-3
    else:
        return np.zeros(len(n), dtype=bool)
    near = (np.abs(low[:, None] / levels - 1) < within) & (np.abs(high[:, None] / levels - 1) < within)
    return np.asarray(near.any(axis=1) & (n >= MINIMUM_N))
