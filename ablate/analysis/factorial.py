"""What every trick does over all settings of the others: effects, interactions and Shapley values of factorials. Pure.

One +-1 model with all terms that can be estimated. Each term is tested by its own values at the seeds that all cells
have (t, n - 1): a trick may do more in one seed than in another, or one cell be unstable, and an error pooled over all
terms would be wrong then (results/error_rates.md). Pooled, with seeds as blocks, where the study declares it or cells
share fewer than three seeds. It needs all combinations of the
tricks, or a regular fraction of them; it refuses other sets of variants, because coding leave-one-out rows by trick
under an interaction covers the truth in 0 % of studies. A trick of several levels is compared with off, level by level.

An effect is the mean with the trick minus the mean without; an interaction is half the difference of the differences
(Montgomery, Design and Analysis of Experiments, ch. 6). Effects: Holm. Interactions: Benjamini and Hochberg 1995,
exploratory. Unreplicated: Lenth 1989 (Technometrics 31:469), with limits simulated as in Ye & Hamada 2000 (Journal of
Quality Technology 32:57). Shapley 1953, exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array, CellMeans, compare, holm
from ablate.analysis.components import Components, both
from ablate.analysis.crossed import Factorial, bits_of, pivots
from ablate.analysis.judge import by_both, by_sign_flip, by_t
from ablate.analysis.lenth import LEAST_CONTRASTS, by_lenth

MINIMUM_DF = 2
"""Fewer degrees of freedom of the error give no interval and no p, as fewer than three pairs do elsewhere."""


# ---------------------------------------------------------------------------------------------------------------- terms


Alias = tuple[int, tuple[str, ...]]
"""A sign, and the tricks of an effect that cannot be told apart from the one it stands with."""


@dataclass(frozen=True)
class Term:
    """An effect (one trick) or an interaction (two). aliases: what is mixed with it, up to interactions of two.

    se, ci and p are None where there is no error to judge it by.
    """

    tricks: tuple[str, ...]
    estimate: float
    se: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    aliases: tuple[Alias, ...] = ()


Method = Literal["own", "sign flip", "model", "lenth", "few", "none"]


@dataclass(frozen=True)
class Estimated:
    """Both families. method: how they were judged; df: of that, NaN where there are none. limit: Lenth's, in standard
    errors. few: one run per cell, and so few contrasts that Lenth's method can show nothing.

    confounded: effects and interactions that cannot be estimated, each with why.
    """

    effects: tuple[Term, ...]
    interactions: tuple[Term, ...]
    method: Method
    df: float
    confounded: tuple[str, ...] = ()
    limit: float = math.nan


def shared_by_all(values: Array) -> Array | None:
    """The columns of values (cells, seeds) that every cell has; None where they are too few to test by."""
    whole = values[:, np.isfinite(values).all(axis=0)]
    return whole if whole.shape[1] >= MINIMUM_N else None


Beyond = Callable[[Array], Components]
"""What the examples say of contrasts, from their weights (contrasts, cells)."""


def estimate(
    design: Factorial,
    fitted: CellMeans,
    shared: Array | None = None,
    *,
    flips: bool = False,
    beyond: Beyond | None = None,
) -> Estimated:
    """Main effects and interactions of two tricks. fitted: the means of `design.cells`, in their order.

    shared: (cells, seeds) without gaps, by which each term is tested for itself; None: by one pooled error. flips: by
    sign flips in t's place. beyond: of the shared seeds, so that each term speaks of other examples, too.
    """
    named, weights, aliases, confounded = _contrasts(design)
    judged = _pooled(design, fitted, weights) if shared is None else _own(shared, weights, flips, beyond)
    terms = [
        Term(
            tricks, float(judged.values[i]), _number(judged.se[i]), _number(judged.low[i]), _number(judged.high[i]),
            _number(judged.p[i]), aliases=aliases.get(tricks, ()),
        )
        for i, tricks in enumerate(named)
    ]  # fmt: skip
    effects = [term for term in terms if len(term.tricks) == 1]
    interactions = [term for term in terms if len(term.tricks) == 2]
    return Estimated(
        _adjusted(effects, holm), _adjusted(interactions, benjamini_hochberg), judged.method, judged.df,
        tuple(confounded), judged.limit,
    )  # fmt: skip


def _adjusted(terms: Sequence[Term], correction: Callable[[Array, int], Array]) -> tuple[Term, ...]:
    p = np.array([math.nan if term.p is None else term.p for term in terms])
    adjusted = correction(p, len(terms))
    return tuple(replace(term, p_adjusted=_number(q)) for term, q in zip(terms, adjusted, strict=True))


def benjamini_hochberg(p: Array, size: int | None = None) -> Array:
    """p adjusted for the false discovery rate (Benjamini and Hochberg 1995); NaN stays NaN and counts as p = 1."""
    tested = np.flatnonzero(np.isfinite(p))
    size = max(size or 0, len(tested))
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    scaled = p[order] * size / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return adjusted


def _contrasts(
    design: Factorial,
) -> tuple[list[tuple[str, ...]], Array, dict[tuple[str, ...], tuple[Alias, ...]], list[str]]:
    """The terms that can be estimated, their weights (terms, cells), their aliases, and what is lost and why."""
    names, weights = _all_terms(design)
    if design.full:
        return names, weights, {}, []
    # In a fraction a contrast is its signs. Two terms whose signs agree in every cell, or differ in every cell, are
    # one number: nothing that was measured tells them apart (aliases). Turning each column so that it begins with +
    # makes both cases equal bytes, so one pass over a dictionary finds every alias of 40 tricks and their 780 pairs.
    signs = np.sign(weights).astype(np.int64)
    groups: dict[bytes, list[int]] = {}
    for i, column in enumerate(signs):
        groups.setdefault((column * column[0]).tobytes(), []).append(i)
    kept, aliases, confounded = [], {}, []
    for members in groups.values():
        main = [i for i in members if len(names[i]) == 1]
        first = members[0]
        # The same sign everywhere: the term is a defining word, and its contrast is the mean itself.
        if (signs[first] == signs[first][0]).all():
            confounded += [f"{_joined(names[i])} (with the mean)" for i in members]
            continue
        # No number at all rather than one under either's name: it would be read as that trick's effect.
        if len(main) > 1:
            confounded.append(f"{' and '.join(_joined(names[i]) for i in main)} (with each other)")
            confounded += [f"{_joined(names[i])} (with {_joined(names[first])})" for i in members if i not in main]
            continue
        # Terms come effects first, so an effect stands for its group and its interactions are lost to it: taking them
        # for zero is what a fraction saves its runs by. Interactions alone are shown once, the others by their signs.
        kept.append(first)
        others = [i for i in members if i != first]
        aliases[names[first]] = tuple((int(signs[i][0] * signs[first][0]), names[i]) for i in others)
        if main:
            confounded += [f"{_joined(names[i])} (with {_joined(names[first])})" for i in others]
    kept.sort()
    return [names[i] for i in kept], weights[kept], aliases, confounded


def _joined(tricks: Sequence[str]) -> str:
    return " × ".join(tricks)


def _all_terms(design: Factorial) -> tuple[list[tuple[str, ...]], Array]:
    """Every main effect, then every interaction of two tricks, as weights on the cells' means."""
    names: list[tuple[str, ...]] = []
    rows: list[Array] = []
    single: list[tuple[int, int, Array, Array]] = []
    for i in design.varied:
        column = design.cells[:, i]
        off, *levels = np.unique(column).tolist()
        without = (column == off).astype(float)
        for level in levels:
            names.append((design.factors[i].choice(level),))
            single.append((i, level, (column == level).astype(float), without))
            rows.append(single[-1][2] / single[-1][2].sum() - without / without.sum())
    for (i, a, with_a, without_a), (j, b, with_b, without_b) in itertools.combinations(single, 2):
        if i != j:
            names.append((design.factors[i].choice(a), design.factors[j].choice(b)))
            rows.append(_interaction(with_a, without_a, with_b, without_b))
    return names, np.array(rows)


def _interaction(with_a: Array, without_a: Array, with_b: Array, without_b: Array) -> Array:
    """Half of (the effect of a with b) minus (the effect of a without b).

    In a fraction a quarter may be empty (a and b are aliased, or their product is constant): then the signs alone.
    """
    quarters = [(1, with_a * with_b), (-1, without_a * with_b), (-1, with_a * without_b), (1, without_a * without_b)]
    if all(quarter.any() for _, quarter in quarters):
        return np.asarray(sum(sign * quarter / quarter.sum() for sign, quarter in quarters) / 2)
    # Scaled so that it is the mean of the cells with + less that of the cells with -, as the averages above are.
    return np.asarray(sum(sign * quarter for sign, quarter in quarters) * 2 / len(with_a))


# ---------------------------------------------------------------------------------------------------------------- error


@dataclass(frozen=True)
class _Judged:
    """Contrasts; arrays (terms,), NaN where there is no number."""

    values: Array
    se: Array
    low: Array
    high: Array
    p: Array
    method: Method
    df: float
    limit: float = math.nan


def _own(shared: Array, weights: Array, flips: bool, beyond: Beyond | None = None) -> _Judged:
    """Each contrast by its own values, one of each seed, and by its examples."""
    level = shared.mean(axis=0)
    row, reference = level + weights @ shared, np.broadcast_to(level, (len(weights), len(level)))
    tested = compare(row, reference)
    judged, se = by_sign_flip(tested, row, reference, ALPHA, None) if flips else by_t(tested, ALPHA, None), tested.se
    if beyond is not None:
        parts = beyond(weights)
        judged, se = by_both(judged, tested, parts, ALPHA, None), np.sqrt(both(se**2, tested.df, parts)[0])
    return _Judged(
        weights @ shared.mean(axis=1), se, judged.ci_low, judged.ci_high, judged.p,
        "sign flip" if flips else "own", shared.shape[1] - 1.0,
    )  # fmt: skip


def _pooled(design: Factorial, fitted: CellMeans, weights: Array) -> _Judged:
    """Each contrast by one error of all cells; where there is none, by Lenth's of all contrasts."""
    values = weights @ fitted.mean
    nothing = np.full(len(weights), np.nan)
    if fitted.df >= MINIMUM_DF:
        se = fitted.se(weights)
        se = np.where(se > 0, se, np.nan)
        half = special.stdtrit(fitted.df, 1 - ALPHA / 2) * se
        p = 2 * special.stdtr(fitted.df, -np.abs(values) / se)
        return _Judged(values, se, values - half, values + half, p, "model", float(fitted.df))
    # Lenth takes all contrasts for draws of one spread of which few are real, so each must rest on as many runs.
    if fitted.df == 0 and design.two_level and (fitted.n == fitted.n[0]).all():
        if len(design.cells) - 1 < LEAST_CONTRASTS:
            return _Judged(values, nothing, nothing, nothing, nothing, "few", math.nan)
        error, limit, p = by_lenth(all_contrasts(design, fitted.mean), values)
        if error > 0:
            se, half = np.full(len(weights), error), limit * error
            return _Judged(values, se, values - half, values + half, p, "lenth", math.nan, limit)
    return _Judged(values, nothing, nothing, nothing, nothing, "none", math.nan)


def all_contrasts(design: Factorial, mean: Array) -> Array:
    """All cells - 1 contrasts of a two-level factorial or fraction, up to sign: a fast Walsh-Hadamard transform."""
    bits = bits_of(design.cells[:, design.varied])
    letters = pivots(bits ^ bits[0])
    # Yates' standard order: bit i of a cell's place is whether letter i is on. Each pass below then adds and
    # subtracts the pairs of cells that differ in one letter alone; after the last, place m holds the sum whose signs
    # are the product of m's letters: n log n additions in place of n * n, and no matrix of signs.
    order = (bits[:, letters] << np.arange(len(letters))).sum(axis=1)
    sums = np.empty(len(mean))
    sums[order] = mean
    size = 1
    while size < len(sums):
        pairs = sums.reshape(-1, 2, size)
        sums = np.stack([pairs[:, 1] + pairs[:, 0], pairs[:, 1] - pairs[:, 0]], axis=1).reshape(-1)
        size *= 2
    # Place 0 has no minus: it is the sum, which is no contrast. 2 / n: the mean of one half less that of the other.
    return np.asarray(sums[1:] * 2 / len(mean))


# -------------------------------------------------------------------------------------------------------------- shapley


@dataclass(frozen=True)
class Share:
    """A trick's Shapley value: its mean contribution over all orders in which the tricks could be added."""

    trick: str
    value: float
    se: float | None


def shapley_weights(k: int) -> Array:
    """(k, 2**k): the weights of k players' values on the coalitions; player i is in coalition c where bit i is set."""
    coalitions = np.arange(1 << k)
    size = np.array([int(c).bit_count() for c in coalitions])
    # |S|! (k - |S| - 1)! / k!, S without the player
    worth = np.array([1 / (k * math.comb(k - 1, s)) for s in range(k)])
    weights = np.empty((k, 1 << k))
    for i in range(k):
        inside = (coalitions >> i & 1).astype(bool)
        weights[i] = np.where(inside, worth[np.maximum(size - 1, 0)], -worth[np.minimum(size, k - 1)])
    return weights


def shapley(
    design: Factorial, fitted: CellMeans, shared: Array | None = None, beyond: Beyond | None = None
) -> tuple[Share, ...]:
    """Exact Shapley values; they sum to full minus base. design: a full two-level factorial.

    shared: (cells, seeds) without gaps, whose own spread over seeds gives each its standard error; None: the model's,
    or none where it has too little error to judge by. beyond: as in `estimate`.
    """
    assert design.full, "Shapley values need every combination"
    assert design.two_level, "a player is in or out"
    bits = bits_of(design.cells[:, design.varied])
    mask = (bits << np.arange(bits.shape[1])).sum(axis=1)
    # Linear in the cells' means, so the model gives their standard errors as it gives those of any contrast.
    weights = shapley_weights(bits.shape[1])[:, mask]
    if shared is not None:
        judged = _own(shared, weights, False, beyond)
        values, se = judged.values, judged.se
    else:
        values = weights @ fitted.mean
        se = fitted.se(weights) if fitted.df >= MINIMUM_DF else np.full(len(weights), np.nan)
    return tuple(
        Share(design.factors[i].choice(int(design.cells[:, i].max())), float(value), _number(error) if error else None)
        for i, value, error in zip(design.varied, values, se, strict=True)
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


CONTEXT: Mapping[str, str] = {
    "same": "same sign",
    "differs": "signs differ",
    "depends": "sign depends on context",
}


def context(seen: Sequence[tuple[float, float | None]]) -> str:
    """Whether a trick's sign depends on which others are on: a key of CONTEXT; empty where it was seen once at most.

    seen: (estimate, p or None) in each context; p is corrected here by Holm over the contexts. `depends`: in one
    context the estimate is above zero and in another one below it, each by a corrected p < ALPHA.
    """
    if len(seen) < 2:
        return ""
    adjusted = holm(np.array([math.nan if p is None else p for _, p in seen]), len(seen))
    sure = {math.copysign(1, value) for (value, _), p in zip(seen, adjusted, strict=True) if p < ALPHA}
    signs = {math.copysign(1, value) for value, _ in seen if value}
    return "depends" if len(sure) > 1 else "differs" if len(signs) > 1 else "same"
