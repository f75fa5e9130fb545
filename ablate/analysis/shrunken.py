"""A variance shrunken towards the study's own: the moderated t test, where a study declares `error: shrunken`. Pure.

With three seeds a row's own variance is nearly unknown, and rows of one study have similar ones: each is taken for a
draw around a prior that all rows together show, with as many degrees of freedom as they agree. A row that sticks out
from the others keeps its own variance. That finds far more, and errs more often than 5 %, because the rows are few and
their prior is estimated: `simulated_error` says how often.

From: Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3:3 (the prior by moments of log
variances); Phipson et al. 2016, Annals of Applied Statistics 10:946 (rows that stick out).
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array, Differences

LEAST_ROWS = 3
"""Fewer rows show no prior."""

MOST_ROWS = 64
"""Rows up to which the error is simulated; it hardly depends on them beyond a dozen."""

ODD = 0.1
"""A row sticks out whose variance the prior of the others would exceed in less than this share of rows. (Simulated, 8
rows of 3 seeds: 0.01 errs in 5.8 % with equal spreads and in 13.9 % with one row of 6 x, 0.1 in 7.5 and 10.7 %.)"""


def _inverse_trigamma(y: Array) -> Array:
    """x with trigamma(x) = y > 0, by Newton's method on 1 / trigamma (Smyth 2004, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(5):
        value, slope = special.zeta(2, x), -2 * special.zeta(3, x)  # polygamma 1 and 2, without their factors
        x = x + value * (1 - value / y) / slope
    return np.asarray(x)


def _prior(count: Array, total: Array, squares: Array, noise: Array) -> tuple[Array, Array]:
    """s0² and d0 from moments of e, the log variances less what their expectation has above the true one's log.

    count, total, squares: of rows, of e, of e²; noise: the mean of what chance alone spreads e by. inf degrees of
    freedom where rows differ by no more than that; NaN where they are fewer than LEAST_ROWS. Not the pooled variance
    there, as later versions of limma have it: beside rows that stick out and are left out it is too small.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        excess = (squares - count * mean**2) / (count - 1) - noise
        some = excess > 1e-9
        df = np.where(some, 2 * _inverse_trigamma(np.where(some, excess, 1.0)), np.inf)
        half = np.where(some, df / 2, 1.0)
        scale = np.exp(mean + np.where(some, special.digamma(half) - np.log(half), 0.0))
    enough = count >= LEAST_ROWS
    return np.where(enough, scale, np.nan), np.where(enough, df, np.nan)


def shrink(variance: Array, df: Array) -> tuple[Array, Array]:
    """Variances and their degrees of freedom, shrunken; arrays (studies, rows), NaN where a row has none."""
    there = np.isfinite(variance) & (variance > 0)
    safe, d = np.where(there, variance, 1.0), np.where(there, df, 1.0)
    e = np.where(there, np.log(safe) - special.digamma(d / 2) + np.log(d / 2), 0.0)
    trigamma = np.where(there, special.polygamma(1, d / 2), 0.0)

    parts = (np.ones_like(e), e, e**2, trigamma)

    def sums(of: NDArray[np.bool_]) -> list[Array]:
        return [np.where(of, x, 0.0).sum(axis=1, keepdims=True) for x in parts]

    def prior(of: list[Array]) -> tuple[Array, Array]:
        count, total, squares, noise = of
        return _prior(count, total, squares, noise / count)

    whole = sums(there)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Each row against the prior of the others.
        scale, prior_df = prior([x - own for x, own in zip(whole, parts, strict=True)])
        agree = ~np.isfinite(prior_df)
        # By F, or, with inf degrees of freedom, by a chi squared over its own.
        above = np.where(
            agree, special.chdtrc(d, d * safe / scale), special.fdtrc(d, np.where(agree, 1.0, prior_df), safe / scale)
        )
        kept = there & ~(above < ODD)
        scale, prior_df = prior(sums(kept))
        weight = np.where(np.isfinite(prior_df), prior_df / (prior_df + d), 1.0)
        shrunken = weight * scale + (1 - weight) * safe
    usable = kept & np.isfinite(scale)
    # No more degrees of freedom than all rows together have.
    most = np.where(kept, d, 0.0).sum(axis=1, keepdims=True)
    return np.where(usable, shrunken, variance), np.where(usable, np.minimum(prior_df + d, most), df)


def moderated(own: Differences) -> Differences:
    """`own` = compare(...), the paired rows with shrunken variances; the others keep Welch's test."""
    rows = own.paired & np.isfinite(own.se)
    variance = np.where(rows, own.std**2, np.nan)
    shrunken, df = (made[0] for made in shrink(variance[None], np.where(rows, own.df, np.nan)[None]))
    std, df = np.where(rows, np.sqrt(shrunken), own.std), np.where(rows, df, own.df)
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.where(rows, std / np.sqrt(own.pairs), own.se)
        half = special.stdtrit(df, 1 - ALPHA / 2) * se
        p = 2 * special.stdtr(df, -np.abs(own.estimate / se))
    return replace(
        own, se=se, df=df, ci_low=own.estimate - half, ci_high=own.estimate + half, p=p, std=std, moderated=rows
    )  # fmt: skip


@functools.cache
def simulated_error(rows: int, n: int, studies: int = 2000) -> float:
    """The share of studies with any false verdict, of `rows` rows against one baseline over n shared seeds, in the
    worst of three cases: equal spreads, one row of 6 x the spread, a baseline of 2 x. After Holm, over seeds alone."""
    worst = 0.0
    size = max(2_000_000 // ((rows + 1) * n), 1)
    for odd, ratio in ((0, 1.0), (1, 6.0), (0, 2.0)):
        rng = np.random.default_rng([rows, n, round(ratio)])
        spread = np.ones((rows + 1, 1))
        spread[odd] = ratio
        wrong = 0
        for begun in range(0, studies, size):
            values = rng.normal(size=(min(size, studies - begun), rows + 1, n)) * spread
            difference = values[:, 1:] - values[:, :1]
            variance, df = shrink(difference.var(axis=2, ddof=1), np.full(difference.shape[:2], n - 1.0))
            p = 2 * special.stdtr(df, -np.abs(difference.mean(axis=2)) / np.sqrt(variance / n))
            wrong += int((p.min(axis=1) * rows < ALPHA).sum())
        worst = max(worst, wrong / studies)
    return worst


def least(own: Differences) -> int:
    """The fewest pairs of a row that is tested by it; 0 where none is."""
    pairs = own.pairs[own.paired & (own.pairs >= MINIMUM_N)]
    return int(pairs.min()) if len(pairs) else 0
