"""The exact sign-flip test of paired differences, and the interval that it gives. Pure.

It asks only that a difference and its negative are equally likely where nothing is true (equal spreads or normal values
are not needed), so it holds where a seed collapses and t does not. Of n seeds the smallest p is 2 / 2^n: five find
nothing, and with m comparisons Holm's first step needs m times less.

All 2^n sign patterns up to MOST_EXACT seeds; beyond them the pattern that is there and 65,535 drawn ones, which is a
valid test too. From: Fisher 1935, The Design of Experiments, section 21; the interval: Hartigan 1969, JASA 64:1303 (the
means of all subsets are its limits); drawn patterns: Phipson & Smyth 2010, Statistical Applications in Genetics 9:39.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from ablate.analysis.comparisons import Array

MOST_EXACT = 16
"""Seeds up to which all sign patterns are taken; 2^16 patterns tell p from Holm's level in any family."""

_ROUNDING = 1e-12
"""Sums nearer to zero than this share of the values are ties."""


@functools.cache
def _subsets(n: int) -> Array:
    """(patterns - 1, n): which differences change their sign; the pattern that changes none is not among them."""
    if n <= MOST_EXACT:
        return (np.arange(1, 1 << n)[:, None] >> np.arange(n) & 1).astype(float)
    drawn = np.random.default_rng(n).random(((1 << MOST_EXACT) - 1, n)) < 0.5
    drawn[~drawn.any(axis=1), 0] = True
    return drawn.astype(float)


def above(differences: Array) -> float:
    """The one-sided p that the differences lie above zero. differences: (seeds,), none of them missing."""
    flips = _subsets(len(differences))
    tie = _ROUNDING * float(np.abs(differences).sum())
    return float((1 + (flips @ differences <= tie).sum()) / (1 + len(flips)))


def two_sided(differences: Array) -> float:
    return min(1.0, 2 * min(above(differences), above(-differences)))


def equivalence(differences: Array, margin: float) -> float:
    """The p of two one-sided tests that the differences lie within ±margin, uncorrected."""
    return max(above(margin - differences), above(margin + differences))


def interval(differences: Array, alpha: float) -> tuple[float, float]:
    """The values that the two-sided test at alpha does not reject; NaN where so few seeds reject none."""
    flips = _subsets(len(differences))
    rank = int(alpha / 2 * (1 + len(flips)) + 1e-9)
    if not rank:
        return math.nan, math.nan
    means = np.partition(flips @ differences / flips.sum(axis=1), (rank - 1, len(flips) - rank))
    return float(means[rank - 1]), float(means[len(flips) - rank])
