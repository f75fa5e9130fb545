"""Rows and their comparisons as statistics: means, paired differences, intervals, p-values and their correction. Pure.

A paired t test over the seeds that two rows share, Welch's test over all runs where they share fewer than three; or,
declared, one error pooled over all rows. Fewer than three pairs give no interval and no p; differences without any
spread give no p, because a t test of them is not defined. What is declared in t's place: judge.py.
Which rows to compare and what may be said of them: verdicts.py.

From: Student 1908 (t), Welch 1947, Holm 1979, Schuirmann 1987 (two one-sided tests).
`scipy.special` only: importing `scipy.stats` costs about a second, and it is the oracle of the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

_RESIDUAL_ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Residuals below this share of the values are rounding, not noise."""


@dataclass(frozen=True)
class CellMeans:
    """A fit. mean: (cells,), least squares; n: values that each rests on. df: of the error.

    mse: the error's mean square; NaN where df is 0, 0.0 where the residuals are rounding alone. blocks: seeds that are
    blocks; 0 where no two cells share a seed. connected: whether shared seeds tie all cells together, so that every
    difference of cells can be estimated. residual_std: of each cell, ddof 1, once means and seeds are taken out.
    """

    mean: Array
    n: NDArray[np.int64]
    mse: float
    df: int
    blocks: int
    connected: bool
    residual_std: Array
    _share: Array
    _inverse: Array

    def se(self, weights: Array) -> Array:
        """The standard errors of contrasts of the means. weights: (contrasts, cells), each summing to zero."""
        # Means that share no seed vary by themselves. What is added is the price of estimating the seeds' shifts:
        # nothing in a complete table, where a shift is in every mean alike and falls out of a contrast.
        variance = (weights**2 / self.n).sum(axis=1)
        if self.blocks:
            through = weights @ self._share
            variance = variance + np.einsum("ij,jk,ik->i", through, self._inverse, through)
        return np.asarray(np.sqrt(self.mse * variance))


def fit(values: Array) -> CellMeans:
    """values: (cells, seeds), NaN where a run is not counted; every cell has at least one.

    A seed that one cell alone has says nothing beside its own block and is left out, unless no seed is shared at all:
    then there are no blocks.
    """
    counted = np.isfinite(values)
    shared = counted.sum(axis=0) > 1
    if not shared.any():
        mean = np.nanmean(values, axis=1)
        return _made(values, counted, mean, np.zeros(values.shape[1]), 0, True)
    values, counted = values[:, shared], counted[:, shared]
    n = counted.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = np.where(counted, values, 0.0).sum(axis=1) / n
        share = np.where(n[:, None] > 0, counted / n[:, None], 0.0)
    # What is left of the normal equations for the seeds' shifts once the cells' means are eliminated.
    left = np.diag(counted.sum(axis=0).astype(float)) - counted.T @ share
    right = np.where(counted, values - plain[:, None], 0.0).sum(axis=0)
    # A common constant may move from the shifts to the means, so `left` always lacks one of its ranks: hence pinv.
    inverse = np.linalg.pinv(left, hermitian=True)
    shift = inverse @ right
    rank = int(np.linalg.matrix_rank(left, hermitian=True))
    # Lacking more than that one, the seeds fall into groups that no cell ties together.
    connected = rank == len(shift) - 1 and bool((n > 0).all())
    return _made(values, counted, plain - share @ shift, shift, rank, connected, share, inverse)


def from_summaries(mean: Array, std: Array, n: NDArray[np.int64]) -> CellMeans:
    """The same from each cell's mean, standard deviation (ddof 1; NaN where n is 1) and n; no seeds are shared."""
    df = int((n - 1).sum())
    total = float(np.where(n > 1, (n - 1) * std**2, 0.0).sum())
    none = np.zeros((len(n), 0))
    return CellMeans(mean, n, total / df if df else np.nan, df, 0, True, std, none, np.zeros((0, 0)))


def _made(
    values: Array, counted: NDArray[np.bool_], mean: Array, shift: Array, rank: int, connected: bool, *solved: Array
) -> CellMeans:
    """The fit from its parameters: the error is what the means and shifts leave over."""
    residuals = np.where(counted, values - mean[:, None] - shift, 0.0)
    n = counted.sum(axis=1)
    df = int(n.sum()) - int((n > 0).sum()) - rank
    squares = (residuals**2).sum(axis=1)
    noise = np.abs(residuals).max() > _RESIDUAL_ROUNDING * np.abs(np.where(counted, values, 0.0)).max()
    mse = np.nan if not df else float(squares.sum()) / df if noise else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        std = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
    share, inverse = solved if solved else (np.zeros((len(n), 0)), np.zeros((0, 0)))
    return CellMeans(mean, n, mse, df, len(shift) if solved else 0, connected, std, share, inverse)


ALPHA = 0.05
"""The level of every test; intervals cover 1 - ALPHA, where no other level is asked for (adaptive seeds, looks.py)."""

MINIMUM_N = 3
"""Fewer values than this give no interval and no p (DESIGN, promise 8)."""

_ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""Differences that differ by less than this share of the values differ by rounding alone (90.3 - 90.1, 80.3 - 80.1)."""


@dataclass(frozen=True)
class Summary:
    """Each row's own values; arrays (rows,), NaN where n forbids. std: ddof 1. ci: t interval of the mean."""

    n: NDArray[np.int64]
    mean: Array
    std: Array
    ci_low: Array
    ci_high: Array
    low: Array
    high: Array

    def take(self, rows: Sequence[int]) -> Summary:
        """These rows alone, in this order."""
        chosen = list(rows)
        return Summary(*(getattr(self, item.name)[chosen] for item in fields(self)))


def summarise(values: Array, alpha: float = ALPHA) -> Summary:
    """values: (rows, seeds), NaN where a run is not counted. Intervals cover 1 - alpha."""
    counted = np.isfinite(values)
    n = counted.sum(axis=1)
    low = np.where(counted, values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(counted, values, -np.inf).max(axis=1, initial=-np.inf)
    constant = (low == high) & (n > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Equal values are their own mean to the last bit; a sum over n would round, and give them a spread.
        mean = np.where(constant, low, np.where(counted, values, 0.0).sum(axis=1) / n)
        squares = np.where(counted, values - mean[:, None], 0.0) ** 2
        std = np.where(n > 1, np.sqrt(squares.sum(axis=1) / (n - 1)), np.nan)
        std = np.where(constant & (n > 1), 0.0, std)
        half = special.stdtrit(n - 1.0, 1 - alpha / 2) * std / np.sqrt(n)
    half = np.where((n >= MINIMUM_N) & (std > 0), half, np.nan)
    empty = n == 0
    return Summary(
        n, mean, std, mean - half, mean + half, np.where(empty, np.nan, low), np.where(empty, np.nan, high)
    )  # fmt: skip


def summary_of(mean: Array, std: Array, n: NDArray[np.int64]) -> Summary:
    """The same where only mean, standard deviation (NaN where n is 1) and n are known, as papers print them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        half = special.stdtrit(n - 1.0, 1 - ALPHA / 2) * std / np.sqrt(n)
    half = np.where((n >= MINIMUM_N) & (std > 0), half, np.nan)
    # The smallest and the largest value are known of a single run alone.
    unknown = np.where(n == 1, mean, np.nan)
    return Summary(n, mean, std, mean - half, mean + half, unknown, unknown)


@dataclass(frozen=True)
class Differences:
    """Rows minus their comparisons; arrays (comparisons,), NaN where the data forbid a number.

    pairs: seeds shared. paired: False where the two means were compared over all runs (Welch): no seed is shared, or
    fewer than three are while each side has three runs. more, less: shared seeds at which the row is above and below
    its comparison. low, high: the smallest and largest difference.
    identical: every shared value is equal. no_spread: all differences are equal (to rounding) and not zero.
    """

    pairs: NDArray[np.int64]
    paired: NDArray[np.bool_]
    estimate: Array
    se: Array
    df: Array
    ci_low: Array
    ci_high: Array
    p: Array
    low: Array
    high: Array
    more: NDArray[np.int64]
    less: NDArray[np.int64]
    identical: NDArray[np.bool_]
    no_spread: NDArray[np.bool_]
    std: Array
    """Of the differences; for Welch the root of the two variances' sum: estimate / std is what a seed is worth."""
    pooled: NDArray[np.bool_]
    """Whether se and df are those of the error pooled over all variants."""
    moderated: NDArray[np.bool_] | None = None
    """Whether they are of a variance shrunken towards that of all rows; None: of none."""


def compare(row: Array, reference: Array, alpha: float = ALPHA) -> Differences:
    """row, reference: (comparisons, seeds), same seeds in the same columns; NaN where a run is not counted.

    Intervals cover 1 - alpha.
    """
    shared = np.isfinite(row) & np.isfinite(reference)
    difference = np.where(shared, row - reference, np.nan)
    size = np.where(shared, np.maximum(np.abs(row), np.abs(reference)), 0.0).max(axis=1, initial=0.0)
    rounding = _ROUNDING * size
    own = summarise(difference)

    one, other = summarise(row), summarise(reference)
    paired = (own.n >= MINIMUM_N) | ((own.n > 0) & (np.minimum(one.n, other.n) < MINIMUM_N))
    identical = paired & (own.low == 0) & (own.high == 0)
    flat = paired & (own.high - own.low <= rounding)
    with np.errstate(invalid="ignore", divide="ignore"):
        v1, v2 = one.std**2 / one.n, other.std**2 / other.n
        # Satterthwaite's degrees of freedom: between those of the smaller group and those of both together.
        welch_df = (v1 + v2) ** 2 / (v1**2 / (one.n - 1) + v2**2 / (other.n - 1))
        estimate = np.where(paired, own.mean, one.mean - other.mean)
        std = np.where(paired, np.where(flat, 0.0, own.std), np.sqrt(one.std**2 + other.std**2))
        se = np.where(paired, std / np.sqrt(own.n), np.sqrt(v1 + v2))
        df = np.where(paired, own.n - 1.0, welch_df)
    smallest = np.where(paired, own.n, np.minimum(one.n, other.n))
    flat |= ~paired & (smallest > 0) & (one.low == one.high) & (other.low == other.high)
    identical |= ~paired & flat & (one.low == other.low)

    allowed = (smallest >= MINIMUM_N) & ~flat
    se, df = np.where(allowed, se, np.nan), np.where(allowed, df, np.nan)
    half = special.stdtrit(df, 1 - alpha / 2) * se
    p = 2 * special.stdtr(df, -np.abs(estimate / se))
    return Differences(
        pairs=own.n, paired=paired, estimate=estimate, se=se, df=df, ci_low=estimate - half, ci_high=estimate + half,
        p=p, low=np.where(paired, own.low, np.nan), high=np.where(paired, own.high, np.nan),
        more=(difference > rounding[:, None]).sum(axis=1), less=(difference < -rounding[:, None]).sum(axis=1),
        identical=identical, no_spread=flat & ~identical & (smallest >= MINIMUM_N), std=std,
        pooled=np.zeros(len(p), dtype=bool),
    )  # fmt: skip


def compare_summaries(row: Summary, reference: Summary) -> Differences:
    """Welch's test where no single value is known. row, reference: as many summaries, in the same order."""
    with np.errstate(invalid="ignore", divide="ignore"):
        v1, v2 = row.std**2 / row.n, reference.std**2 / reference.n
        df = (v1 + v2) ** 2 / (v1**2 / (row.n - 1) + v2**2 / (reference.n - 1))
    smallest = np.minimum(row.n, reference.n)
    estimate, flat = row.mean - reference.mean, (row.std == 0) & (reference.std == 0)
    allowed = (smallest >= MINIMUM_N) & ~flat
    se, df = np.where(allowed, np.sqrt(v1 + v2), np.nan), np.where(allowed, df, np.nan)
    half = special.stdtrit(df, 1 - ALPHA / 2) * se
    identical = flat & (estimate == 0)
    none, nothing = np.full(len(se), np.nan), np.zeros(len(se), dtype=np.int64)
    return Differences(
        pairs=nothing, paired=nothing.astype(bool), estimate=estimate, se=se, df=df, ci_low=estimate - half,
        ci_high=estimate + half, p=2 * special.stdtr(df, -np.abs(estimate / se)), low=none, high=none, more=nothing,
        less=nothing, identical=identical, no_spread=flat & ~identical & (smallest >= MINIMUM_N),
        std=np.sqrt(row.std**2 + reference.std**2), pooled=nothing.astype(bool),
    )  # fmt: skip


def pooled_error(values: Array) -> CellMeans | None:
    """The error of the cell-means model with seeds as blocks, over every row that has a value; None where none has.

    values: (variants, seeds), NaN where a run is not counted.
    """
    measured = np.isfinite(values).any(axis=1)
    return fit(values[measured]) if measured.any() else None


def pool(own: Differences, row: Array, reference: Array, error: CellMeans) -> Differences:
    """`own` = compare(row, reference), judged by one pooled error instead of each row's own.

    The estimates stay. Rows whose seeds are not shared, in a study whose other rows share them, keep Welch's test: the
    pooled error has the seeds taken out, and their difference has not.
    """
    n1, n2 = np.isfinite(row).sum(axis=1), np.isfinite(reference).sum(axis=1)
    smallest = np.where(own.paired, own.pairs, np.minimum(n1, n2))
    applies = (own.paired | (error.blocks == 0)) & (smallest >= MINIMUM_N) & ~own.identical
    applies &= (error.df >= MINIMUM_N - 1) & (error.mse > 0)
    with np.errstate(divide="ignore"):
        # The error is of one run with its seed taken out, so of a pair it is in there twice, seeds or not.
        variance = error.mse * np.where(own.paired, 2 / own.pairs, 1 / n1 + 1 / n2)
    se = np.where(applies, np.sqrt(variance), own.se)
    df = np.where(applies, float(error.df), own.df)
    half = special.stdtrit(df, 1 - ALPHA / 2) * se
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * special.stdtr(df, -np.abs(own.estimate / se))
    return replace(
        own, se=se, df=df, ci_low=own.estimate - half, ci_high=own.estimate + half, p=p,
        no_spread=own.no_spread & ~applies, std=np.where(applies, np.sqrt(2 * error.mse), own.std), pooled=applies,
    )  # fmt: skip


def holm(p: Array, size: int | None = None) -> Array:
    """Holm's adjusted p (Holm 1979) over a family of `size` tests; NaN stays NaN.

    `size` counts the tests that have no p yet (unfinished or too few seeds) as well: they are taken as p = 1, so that a
    half-finished table is not less strict than the finished one.
    """
    tested = np.flatnonzero(np.isfinite(p))
    size = max(size or 0, len(tested))
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    # From the smallest p on: the k-th is held against size - k + 1 tests, and is never less than one before it.
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * (size - np.arange(len(order)))), 1.0)
    return adjusted


def holm_within(p: Array, families: Iterable[tuple[Sequence[int], int]]) -> Array:
    """The same, each family by itself. families: places in p, and how many tests count."""
    adjusted = np.full(p.shape, np.nan)
    for places, size in families:
        adjusted[list(places)] = holm(p[list(places)], size)
    return adjusted


def equivalence(estimate: Array, se: Array, df: Array, margin: float) -> Array:
    """The p of two one-sided t tests that the difference lies within ±margin (Schuirmann 1987), uncorrected."""
    # The larger of the two, for both must reject; that is why two tests at 5 % err in at most 5 % together.
    below = special.stdtr(df, (estimate - margin) / se)
    above = special.stdtr(df, -(estimate + margin) / se)
    return np.asarray(np.maximum(below, above))
