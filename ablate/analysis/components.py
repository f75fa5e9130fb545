"""Two sources of error of one difference: the seeds that were drawn, and the examples that it was measured on. Pure.

A difference is the mean of a table of seeds x examples. By the two-way layout with one value a cell, with m, b, c its
row means, column means and mean:

    V_s = var(m) / S    V_e = var(b) / N    V_n = sum (D - m - b + c)^2 / ((S - 1)(N - 1)) / (S N)

V_s is what other seeds would change on these examples, V_e what other examples would change for these seeds; both hold
the noise V_n of a single cell, so V_x = max(V_e - V_n, 0) is what examples add: V = V_s + V_x for both at once.
What is tested by these: judge.py.

From: Cornfield & Tukey 1956, Annals of Mathematical Statistics 27:907 (expected mean squares); Satterthwaite 1946,
Biometrics Bulletin 2:110 (degrees of freedom of a sum); Miller 2024, arXiv:2411.00640 (examples and their groups).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array

LEAST_UNITS = 20
"""Fewer examples, or groups of them, give no interval over examples: their t would lean on normal values."""

LEAST_DISCORDANT = 10
"""Fewer examples on which two sides differ say nothing of other examples where one or two seeds are all there is."""

EITHER = 1.15
"""Where twice the seeds and four times the examples are predicted to come to half-widths that differ by less, either
will do. It matters from 1.25 on: of such studies with 5 seeds the right way is named in 82 %, the other one in 5. By
1.25 itself it was 74 and 4, the rest `either`; who is told one way where either would do loses nothing."""


@dataclass(frozen=True)
class Components:
    """Arrays (comparisons,), NaN where the data forbid a number.

    seeds: of the layout, S; units: examples or groups of them, N. v_seeds, v_examples, v_noise: V_s, V_e and V_n of the
    mean, in the metric's unit squared; V_s and V_n need two seeds. discordant: examples on which the sides differ.
    """

    seeds: Array
    units: Array
    v_seeds: Array
    v_examples: Array
    v_noise: Array
    discordant: Array

    @property
    def v_beyond(self) -> Array:
        """V_x: what examples add to what seeds show; with one seed, which tells no noise, all of V_e."""
        return np.maximum(self.v_examples - np.nan_to_num(self.v_noise), 0.0)

    def at(self, i: int) -> Components:
        """Of one comparison."""
        return Components(*(getattr(self, f.name)[i : i + 1] for f in fields(self)))

    @staticmethod
    def stacked(each: Sequence[Components]) -> Components:
        """One after the other."""
        joined = {
            f.name: np.concatenate([getattr(c, f.name) for c in each] or [np.zeros(0)]) for f in fields(Components)
        }
        return Components(**joined)


def of_layout(difference: Sequence[Array] | Array) -> Components:
    """Of one comparison's paired differences: (seeds, units), none of them missing."""
    discordant = np.zeros(len(difference[0]), dtype=bool)
    for row in difference:
        discordant |= row != 0
    return _one(len(difference), len(difference[0]), *_components(difference), int(discordant.sum()))


def of_two(row: Sequence[Array], reference: Sequence[Array]) -> Components:
    """Of a comparison whose sides share no seeds: (seeds, units) each, over the same units."""
    (v_s, _, v_n), (w_s, _, w_n) = _components(row), _components(reference)
    between = np.mean(row, axis=0) - np.mean(reference, axis=0)
    units = len(between)
    # The sides' seeds and cells are drawn apart, so their parts add; an example is on both sides, so it is subtracted.
    v_examples = float(between.var(ddof=1)) / units if units > 1 else np.nan
    return _one(min(len(row), len(reference)), units, v_s + w_s, v_examples, v_n + w_n, int((between != 0).sum()))


def _one(seeds: int, units: int, v_seeds: float, v_examples: float, v_noise: float, discordant: int) -> Components:
    return Components(*(np.array([float(value)]) for value in (seeds, units, v_seeds, v_examples, v_noise, discordant)))


NOTHING = _one(0, 0, np.nan, np.nan, np.nan, 0)
"""Of a comparison without a seed that both sides have."""


def _components(table: Sequence[Array] | Array) -> tuple[float, float, float]:
    """V_s, V_e, V_n of one table (seeds, units), a seed at a time: tables of 10 seeds and 10,000 units in between would
    be new pages each time, which took ten times as long."""
    means = np.array([float(row.mean()) for row in table])
    c, seeds, units = float(means.mean()), len(table), len(table[0])
    summed, squares = np.zeros(units), 0.0
    for row in table:
        centred = row - c  # before anything is squared: small differences of large losses keep their digits
        summed += centred
        squares += float(centred @ centred)
    m, b = means - c, summed / seeds
    over_seeds, over_units = float(m @ m), float(b @ b)
    v_examples = over_units / (units - 1) / units if units > 1 else np.nan
    if seeds < 2 or units < 2:
        return np.nan, v_examples, np.nan
    rest = max(squares - units * over_seeds - seeds * over_units, 0.0)
    return over_seeds / (seeds - 1) / seeds, v_examples, rest / ((seeds - 1) * (units - 1)) / (seeds * units)


def by_groups(table: Sequence[Array] | Array, groups: NDArray[np.int64]) -> Array:
    """(seeds, examples) into (seeds, groups), whose mean over groups is that over examples, large groups counting more.

    groups: of each example its group, 0 to G - 1. Examples of one group (several images of a patient) are no
    independent draws, so what is drawn is the group: c + G/N sum over its examples of (D - c).
    """
    count = int(groups.max()) + 1
    c = float(np.mean([row.mean() for row in table]))
    sums = np.stack([np.bincount(groups, weights=row - c, minlength=count) for row in table])
    return np.asarray(c + sums * (count / len(groups)))


# ------------------------------------------------------------------------------------------------------- both together


def both(v_seeds: Array, df_seeds: Array, parts: Components) -> tuple[Array, Array]:
    """V = V_s + V_x and its degrees of freedom. v_seeds, df_seeds: the error over seeds that the study declares."""
    beyond = parts.v_beyond
    with np.errstate(invalid="ignore", divide="ignore"):
        v = v_seeds + beyond
        return v, 1 / (v_seeds / v / df_seeds + beyond / v / (parts.units - 1))


def half_width(v_seeds: Array, df_seeds: Array, parts: Components, alpha: float = ALPHA) -> Array:
    """The widest of the three intervals: over seeds, over examples, over both."""
    v, df = both(v_seeds, df_seeds, parts)
    sources = ((v_seeds, df_seeds), (parts.v_examples, parts.units - 1), (v, df))
    return np.asarray(np.max([special.stdtrit(d, 1 - alpha / 2) * np.sqrt(w) for w, d in sources], axis=0))


@dataclass(frozen=True)
class Spreads:
    """What other numbers of seeds and examples would leave; arrays (comparisons,), variances of one draw.

    per_seed, per_example, per_cell: s_A², s_B², s_E². df_per_seed: the degrees of freedom of the error over seeds are
    this times (S - 1).
    """

    per_seed: Array
    per_example: Array
    per_cell: Array
    df_per_seed: Array

    def at(self, seeds: Array | float, units: Array | float) -> tuple[Array, Array, Components]:
        """V_s', its degrees of freedom, and the rest, with that many seeds and units."""
        noise = self.per_cell / (seeds * units)
        v_seeds, beyond = self.per_seed / seeds + noise, self.per_example / units
        ones = np.ones_like(self.per_cell)
        parts = Components(seeds * ones, units * ones, v_seeds, beyond + noise, noise, np.nan * ones)
        return v_seeds, self.df_per_seed * (seeds - 1), parts

    def half_width(self, seeds: Array | float, units: Array | float, alpha: float = ALPHA) -> Array:
        """What to expect of the interval."""
        return half_width(*self.at(seeds, units), alpha)

    def floor(self, units: Array | float, alpha: float = ALPHA) -> Array:
        """The half-width that no number of seeds gets below with that many units."""
        return np.asarray(special.stdtrit(np.asarray(units) - 1.0, 1 - alpha / 2) * np.sqrt(self.per_example / units))


def spreads(v_seeds: Array, df_seeds: Array, parts: Components) -> Spreads:
    """Of an error over seeds and the rest of the layout; what comes out below zero is none."""
    noise = np.nan_to_num(parts.v_noise)
    return Spreads(
        per_seed=np.maximum(parts.seeds * (v_seeds - noise), 0.0),
        per_example=np.maximum(parts.units * (parts.v_examples - noise), 0.0),
        per_cell=parts.seeds * parts.units * noise,
        df_per_seed=df_seeds / np.maximum(parts.seeds - 1, 1),
    )


def advice(spread: Spreads, parts: Components, alpha: float = ALPHA) -> tuple[Array, Array, list[str]]:
    """The half-widths with twice the seeds and with four times the units, and which is narrower by EITHER or more:
    `seeds`, `examples` or `either`."""
    more, wider = (
        spread.half_width(2 * parts.seeds, parts.units, alpha),
        spread.half_width(parts.seeds, 4 * parts.units, alpha),
    )
    named = [
        "seeds" if s * EITHER <= e else "examples" if e * EITHER <= s else "either"
        for s, e in zip(more, wider, strict=True)
    ]
    return more, wider, named


def these_weights(estimate: Array, parts: Components, alpha: float = ALPHA) -> tuple[Array, Array]:
    """Intervals over other examples for the weights that there are, where one or two seeds forbid any other; else NaN.

    They need LEAST_DISCORDANT examples on which the two differ, and say nothing of other seeds.
    """
    allowed = (parts.seeds > 0) & (parts.seeds < MINIMUM_N) & (parts.discordant >= LEAST_DISCORDANT)
    allowed &= parts.units >= LEAST_UNITS
    half = special.stdtrit(np.maximum(parts.units - 1, 1), 1 - alpha / 2) * np.sqrt(parts.v_examples)
    half = np.where(allowed, half, np.nan)
    return estimate - half, estimate + half
