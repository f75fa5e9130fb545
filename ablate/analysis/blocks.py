"""Cell means with the seeds as blocks: one mean per variant, one shift per seed, one pooled error. Pure.

What `analysis: {error: pooled}` and the effects of a factorial rest on. It assumes that every variant has the same
spread; analysis.py's default does not. Runs may be missing: then it is least squares, not plain means.
From: two-way analysis of variance without replication (Fisher; Montgomery, Design and Analysis of Experiments, ch. 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDING = 64 * float(np.finfo(np.float64).eps)
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
    there = np.isfinite(values)
    shared = there.sum(axis=0) > 1
    if not shared.any():
        mean = np.nanmean(values, axis=1)
        return _made(values, there, mean, np.zeros(values.shape[1]), 0, True)
    values, there = values[:, shared], there[:, shared]
    n = there.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = np.where(there, values, 0.0).sum(axis=1) / n
        share = np.where(n[:, None] > 0, there / n[:, None], 0.0)
    # What is left of the normal equations for the seeds' shifts once the cells' means are eliminated.
    left = np.diag(there.sum(axis=0).astype(float)) - there.T @ share
    right = np.where(there, values - plain[:, None], 0.0).sum(axis=0)
    inverse = np.linalg.pinv(left, hermitian=True)
    shift = inverse @ right
    rank = int(np.linalg.matrix_rank(left, hermitian=True))
    connected = rank == len(shift) - 1 and bool((n > 0).all())
    return _made(values, there, plain - share @ shift, shift, rank, connected, share, inverse)


def from_summaries(mean: Array, std: Array, n: NDArray[np.int64]) -> CellMeans:
    """The same from each cell's mean, standard deviation (ddof 1; NaN where n is 1) and n; no seeds are shared."""
    df = int((n - 1).sum())
    total = float(np.where(n > 1, (n - 1) * std**2, 0.0).sum())
    none = np.zeros((len(n), 0))
    return CellMeans(mean, n, total / df if df else np.nan, df, 0, True, std, none, np.zeros((0, 0)))


def _made(
    values: Array, there: NDArray[np.bool_], mean: Array, shift: Array, rank: int, connected: bool, *solved: Array
) -> CellMeans:
    """The fit from its parameters: the error is what the means and shifts leave over."""
    residuals = np.where(there, values - mean[:, None] - shift, 0.0)
    n = there.sum(axis=1)
    df = int(n.sum()) - int((n > 0).sum()) - rank
    squares = (residuals**2).sum(axis=1)
    noise = np.abs(residuals).max() > _ROUNDING * np.abs(np.where(there, values, 0.0)).max()
    mse = np.nan if not df else float(squares.sum()) / df if noise else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        std = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
    share, inverse = solved if solved else (np.zeros((len(n), 0)), np.zeros((0, 0)))
    return CellMeans(mean, n, mse, df, len(shift) if solved else 0, connected, std, share, inverse)
