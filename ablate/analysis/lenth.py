"""Lenth's method for experiments without replicates: the error from the contrasts themselves. Pure.

Lenth 1989, Technometrics 31:469. He compared with t of a third of the contrasts as degrees of freedom, which covers
99.7, 98.0 and 97.1 % at 3, 7 and 15 contrasts; the limits here are simulated, as in Ye & Hamada 2000, Journal of
Quality Technology 32:57 (individual error rate: 2.30 at 7, 2.16 at 15).
"""

from __future__ import annotations

import functools

import numpy as np

from ablate.analysis.comparisons import ALPHA, Array

LEAST_CONTRASTS = 7
"""Three contrasts can show nothing: the error would rest on the smaller one or two of them."""


def pseudo_standard_error(contrasts: Array) -> float:
    """1.5 x the median of the contrasts that are below 2.5 x (1.5 x the median of all)."""
    return float(_errors(np.sort(np.abs(contrasts))[None])[0])


def by_lenth(contrasts: Array, values: Array) -> tuple[float, float, Array]:
    """The standard error, its 95 % limit, and the two-sided p of each of `values`, some of the contrasts."""
    error, ratios = pseudo_standard_error(contrasts), _null_ratios(len(contrasts))
    with np.errstate(divide="ignore", invalid="ignore"):
        larger = len(ratios) - np.searchsorted(ratios, np.abs(values) / error)
    return error, float(ratios[round((1 - ALPHA) * len(ratios))]), (1 + larger) / (1 + len(ratios))


def _errors(sizes: Array) -> Array:
    """The pseudo standard error of each row of sorted sizes; 0 where a row has no small contrast."""
    # Half of a normal's absolute values lie below 0.6745 of its standard deviation, so 1.5 (1 / 0.6745 = 1.48) times
    # the median estimates it, however large a few real effects are. Beyond 2.5 of it an effect is taken for real.
    first = 1.5 * np.median(sizes, axis=1, keepdims=True)
    small = (sizes < 2.5 * first).sum(axis=1)
    at = np.arange(len(sizes))
    middle = (sizes[at, np.maximum(small - 1, 0) // 2] + sizes[at, np.minimum(small // 2, sizes.shape[1] - 1)]) / 2
    return np.asarray(np.where(small > 0, 1.5 * middle, 0.0))


@functools.cache
def _null_ratios(contrasts: int) -> Array:
    """Sizes of so many contrasts in their standard errors where nothing is true, sorted: a million of them."""
    studies = max(1_000_000 // contrasts, 1000)
    draw = np.random.default_rng([contrasts, 3])  # these draws' limits round to the published ones
    sizes = np.sort(np.abs(draw.normal(size=(studies, contrasts))), axis=1)
    return np.asarray(np.sort((sizes / _errors(sizes)[:, None]).ravel()))
