"""Which cells variants fill: factors, whether they make a factorial or a regular fraction, what is missing. Pure.

No value is looked at; what the cells' values say of the tricks: factorial.py.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Signs = NDArray[np.int64]
"""Whole numbers: of each cell and trick its setting (0 off, j its j-th level), or the signs of a contrast."""


@dataclass(frozen=True)
class Factor:
    """A trick, as cells switch it. levels: empty for a plain one."""

    name: str
    levels: tuple[str, ...] = ()

    def choice(self, setting: int) -> str:
        """The trick's name, or `name=level`."""
        return f"{self.name}={self.levels[setting - 1]}" if self.levels else self.name


def settings(factors: Sequence[Factor], on: Sequence[Sequence[str]]) -> Signs:
    """(cells, factors): what each cell has switched on. on: of each cell the choices that are on."""
    place = {
        factor.choice(level): (i, level)
        for i, factor in enumerate(factors)
        for level in range(1, max(len(factor.levels), 1) + 1)
    }
    switched = np.zeros((len(on), len(factors)), dtype=np.int64)
    for cell, choices in enumerate(on):
        for choice in choices:
            i, level = place[choice]
            switched[cell, i] = level
    return switched


@dataclass(frozen=True)
class Factorial:
    """Cells that form a factorial. cells: (cells, factors), every combination at most once.

    varied: the factors that take more than one setting; the others say nothing. full: every combination is there;
    else the cells are a regular fraction of two-level factors.
    """

    factors: tuple[Factor, ...]
    cells: Signs
    varied: tuple[int, ...]
    full: bool

    @property
    def two_level(self) -> bool:
        return all(len(np.unique(self.cells[:, i])) == 2 for i in self.varied)

    @property
    def tricks(self) -> tuple[str, ...]:
        """The names of the tricks that vary."""
        return tuple(self.factors[i].name for i in self.varied)


def layout(factors: Sequence[Factor], cells: Signs) -> Factorial | None:
    """The factorial that these cells form; None where they are neither all combinations nor a regular fraction."""
    # Two variants with the same tricks (by settings of their own, say) are two answers for one cell.
    if len(np.unique(cells, axis=0)) != len(cells):
        return None
    used = [np.unique(cells[:, i]) for i in range(cells.shape[1])]
    varied = tuple(i for i, taken in enumerate(used) if len(taken) > 1)
    if not varied:
        return None
    if math.prod(len(used[i]) for i in varied) == len(cells):
        return Factorial(tuple(factors), cells, varied, True)
    if all(len(used[i]) == 2 for i in varied) and _is_affine(bits_of(cells[:, varied])):
        return Factorial(tuple(factors), cells, varied, False)
    return None


def missing(factors: Sequence[Factor], cells: Signs) -> list[tuple[str, ...]]:
    """The combinations of the settings that occur which no cell has, as choices; at most 1,000 are counted."""
    present = {tuple(cell) for cell in cells.tolist()}
    used = [sorted(set(cells[:, i].tolist())) for i in range(cells.shape[1])]
    lacking = (cell for cell in itertools.product(*reversed(used)) if cell[::-1] not in present)
    return [
        tuple(factor.choice(s) for factor, s in zip(factors, cell[::-1], strict=True) if s)
        for cell in itertools.islice(lacking, 1000)
    ]


def bits_of(cells: Signs) -> Signs:
    """Two-level settings as 0 and 1: the higher setting is 1."""
    return np.asarray(cells > cells.min(axis=0), dtype=np.int64)


def _is_affine(bits: Signs) -> bool:
    """Whether the cells are a coset of a subspace of GF(2): a regular fraction (all words defined, none partly)."""
    moved = bits ^ bits[0]
    # XOR with one of its cells moves a coset onto its subspace. The cells differ from each other (layout saw to
    # that), so they are all of the subspace as soon as they are as many as it has: 2 ** rank.
    return len(bits) == 1 << len(pivots(moved))


def pivots(moved: Signs) -> list[int]:
    """Columns that are independent over GF(2), the first ones."""
    chosen: list[int] = []
    reduced = moved.T.copy()  # one row per factor
    basis: list[tuple[int, Signs]] = []
    # By tricks, not by cells: the pivots are the fraction's letters, every other trick is a product of them (its
    # word). The first ones, so that an effect is named by the trick that stands first in the study.
    for i, column in enumerate(reduced):
        rest = column.copy()
        for at, vector in basis:
            if rest[at]:
                rest = rest ^ vector
        if rest.any():
            basis.append((int(np.flatnonzero(rest)[0]), rest))
            chosen.append(i)
    return chosen
