"""Numbers into rows: what a trick did, how sure that is, what may be said of it. Pure: no store, no text for people.

Every row is judged by its own pairs: a paired t test over the seeds that it shares with its comparison, Welch's test
where they share none, Holm's correction over the family that the study declares. No residual is pooled, so one row that
sometimes collapses spoils only itself. Fewer than three pairs give no interval and no p; differences without any spread
give no p, because a t test of them is not defined.

From: Student 1908 (t), Welch 1947, Holm 1979, Schuirmann 1987 (two one-sided tests), Cohen 1988 (power).
`scipy.special` only: importing `scipy.stats` costs about a second, and it is the oracle of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ablate.errors import AblateError
from ablate.records import AlsoValue, Better, Metric, Row, Verdict

Array = NDArray[np.float64]

ALPHA = 0.05
"""The level of every test; intervals cover 1 - ALPHA."""

POWER = 0.80
"""The power at which `more_seeds` is computed (Cohen's convention)."""

MINIMUM_N = 3
"""Fewer values than this give no interval and no p (DESIGN, promise 8)."""

MOST_SEEDS = 1000
"""A row that would need more seeds than this in all has no `more_seeds`: nobody will run them."""

COLLAPSE = 10.0
"""A seed collapsed where it is worse than its row's median by more than this many robust standard deviations.

(Measured: of studies with 8 rows of normal noise, fewer than 1 in 1000 has such a seed with n = 5, 2 % with n = 3.)"""

_ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""Differences that differ by less than this share of the values differ by rounding alone (90.3 - 90.1, 80.3 - 80.1)."""


# ----------------------------------------------------------------------------------------------------------- statistics


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


def summarise(values: Array) -> Summary:
    """values: (rows, seeds), NaN where a run is not counted."""
    there = np.isfinite(values)
    n = there.sum(axis=1)
    low = np.where(there, values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(there, values, -np.inf).max(axis=1, initial=-np.inf)
    constant = (low == high) & (n > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(constant, low, np.where(there, values, 0.0).sum(axis=1) / n)
        squares = np.where(there, values - mean[:, None], 0.0) ** 2
        std = np.where(n > 1, np.sqrt(squares.sum(axis=1) / (n - 1)), np.nan)
        std = np.where(constant & (n > 1), 0.0, std)
        half = special.stdtrit(n - 1.0, 1 - ALPHA / 2) * std / np.sqrt(n)
    half = np.where((n >= MINIMUM_N) & (std > 0), half, np.nan)
    empty = n == 0
    return Summary(
        n, mean, std, mean - half, mean + half, np.where(empty, np.nan, low), np.where(empty, np.nan, high)
    )  # fmt: skip


@dataclass(frozen=True)
class Differences:
    """Rows minus their comparisons; arrays (comparisons,), NaN where the data forbid a number.

    pairs: seeds shared. paired: False where none are shared and the two means were compared (Welch). more, less:
    shared seeds at which the row is above and below its comparison. low, high: the smallest and largest difference.
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


def compare(row: Array, reference: Array) -> Differences:
    """row, reference: (comparisons, seeds), same seeds in the same columns; NaN where a run is not counted."""
    shared = np.isfinite(row) & np.isfinite(reference)
    difference = np.where(shared, row - reference, np.nan)
    size = np.where(shared, np.maximum(np.abs(row), np.abs(reference)), 0.0).max(axis=1, initial=0.0)
    rounding = _ROUNDING * size
    own = summarise(difference)
    identical = (own.n > 0) & (own.low == 0) & (own.high == 0)
    flat = (own.n > 0) & (own.high - own.low <= rounding)

    paired = own.n > 0
    one, other = summarise(row), summarise(reference)
    with np.errstate(invalid="ignore", divide="ignore"):
        v1, v2 = one.std**2 / one.n, other.std**2 / other.n
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
    half = special.stdtrit(df, 1 - ALPHA / 2) * se
    p = 2 * special.stdtr(df, -np.abs(estimate / se))
    return Differences(
        pairs=own.n, paired=paired, estimate=estimate, se=se, df=df, ci_low=estimate - half, ci_high=estimate + half,
        p=p, low=own.low, high=own.high,
        more=(difference > rounding[:, None]).sum(axis=1), less=(difference < -rounding[:, None]).sum(axis=1),
        identical=identical, no_spread=flat & ~identical & (smallest >= MINIMUM_N), std=std,
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
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * (size - np.arange(len(order)))), 1.0)
    return adjusted


def equivalence(estimate: Array, se: Array, df: Array, margin: float) -> Array:
    """The p of two one-sided t tests that the difference lies within ±margin (Schuirmann 1987), uncorrected."""
    below = special.stdtr(df, (estimate - margin) / se)
    above = special.stdtr(df, -(estimate + margin) / se)
    return np.asarray(np.maximum(below, above))


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


def collapsed(values: Array, better: Better) -> NDArray[np.bool_]:
    """Which runs are far out on the worse side of their row: (rows, seeds).

    Far: more than COLLAPSE robust standard deviations (1.4826 x the median absolute deviation) below the row's median.
    Five seeds can lie close by chance, so the spread taken is the row's or that of the median row, whichever is larger.
    """
    found = np.zeros(values.shape, dtype=bool)
    enough = np.isfinite(values).sum(axis=1) >= MINIMUM_N
    if not enough.any():
        return found
    worse = -values[enough] if better == "higher" else values[enough]
    worse = worse - np.nanmedian(worse, axis=1, keepdims=True)
    spread = 1.4826 * np.nanmedian(np.abs(worse), axis=1)
    limit = COLLAPSE * np.maximum(spread, np.median(spread))
    found[enough] = (worse > limit[:, None]) & (limit > 0)[:, None]
    return found


# ----------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True)
class Asked:
    """A row of the plan: what to compare with what. differs: the tricks that differ between the two."""

    design: str
    variant: str
    compared_with: str | None
    differs: tuple[str, ...] = ()
    label: str = ""


@dataclass(frozen=True)
class Measured:
    """All that the analysis sees of a study.

    tricks: of each variant, the tricks that are on. values: metric -> (variants, seeds), NaN where a run is not
    counted. planned: runs asked of each variant. failures: of each variant, reason -> runs. inert: comparisons
    (variant, compared_with) whose outputs are bit-identical for every shared seed.
    """

    variants: tuple[str, ...]
    tricks: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    values: Mapping[str, Array]
    planned: tuple[int, ...]
    failures: tuple[Mapping[str, int], ...]
    asked: tuple[Asked, ...]
    metric: Metric
    also: Mapping[str, Better] = field(default_factory=dict)
    inert: frozenset[tuple[str, str]] = frozenset()
    analysis: Mapping[str, Any] = field(default_factory=dict)

    @property
    def family(self) -> tuple[tuple[str, str], ...]:
        """Every comparison that the study declares, once, in the plan's order: (variant, compared_with)."""
        return tuple(dict.fromkeys((a.variant, a.compared_with) for a in self.asked if a.compared_with is not None))

    @property
    def degenerate(self) -> float | None:
        """The value that every counted run reports, where two variants and three runs report nothing else."""
        values = self.values[self.metric.name]
        there = values[np.isfinite(values)]
        rows = int(np.isfinite(values).any(axis=1).sum())
        return float(there[0]) if rows >= 2 and len(there) >= 3 and bool((there == there[0]).all()) else None


def rows(measured: Measured) -> tuple[Row, ...]:
    """The rows of the table in the plan's order; AblateError where the study asks for an analysis there is not."""
    if measured.analysis.get("error") == "pooled":
        raise AblateError(
            "`analysis: {error: pooled}` is not available yet; without that line each row is judged by its own pairs, "
            "which holds whatever the spreads are."
        )
    index = {name: i for i, name in enumerate(measured.variants)}
    family = measured.family
    values = measured.values[measured.metric.name]
    summary = summarise(values)
    tested = compare(
        values[[index[variant] for variant, _ in family]], values[[index[reference] for _, reference in family]]
    )
    adjusted = holm(tested.p, len(family))
    margin = measured.metric.minimum_effect
    within = equivalence(tested.estimate, tested.se, tested.df, margin) if margin else np.full(len(family), np.nan)
    effects = _effects(measured, tested, adjusted, within)
    also = _also(measured)
    fallen = collapsed(values, measured.metric.better)
    found = []
    for asked in measured.asked:
        i = index[asked.variant]
        found.append(
            Row(
                variant=asked.variant, design=asked.design, tricks=measured.tricks[i],
                compared_with=asked.compared_with, planned=measured.planned[i], n=int(summary.n[i]),
                failed=sum(measured.failures[i].values()), mean=_number(summary.mean[i]), std=_number(summary.std[i]),
                ci_low=_number(summary.ci_low[i]), ci_high=_number(summary.ci_high[i]), low=_number(summary.low[i]),
                high=_number(summary.high[i]), also=also[i], failures=measured.failures[i],
                label=asked.label or asked.variant, differs=asked.differs,
                collapsed=tuple(seed for seed, there in zip(measured.seeds, fallen[i], strict=True) if there),
                **(_NO_EFFECT if asked.compared_with is None else effects[asked.variant, asked.compared_with]),
            )
        )  # fmt: skip
    return tuple(found)


_NO_EFFECT: Mapping[str, Any] = {
    "pairs": 0, "delta": None, "delta_ci_low": None, "delta_ci_high": None, "p": None, "p_adjusted": None,
    "test": "", "verdict": None,
}  # fmt: skip


def _effects(
    measured: Measured, tested: Differences, adjusted: Array, within: Array
) -> dict[tuple[str, str], dict[str, Any]]:
    """The fields of a row that come from its comparison, by (variant, compared_with)."""
    tricks = dict(zip(measured.variants, measured.tricks, strict=True))
    metric = measured.metric
    better = 1 if metric.better == "higher" else -1
    needed = _more_seeds(measured, tested)
    found = {}
    for i, (variant, reference) in enumerate(measured.family):
        sign = better * direction(tricks[variant], tricks[reference])
        inert = (variant, reference) in measured.inert
        estimate = _number(tested.estimate[i])
        decided = None
        if estimate is not None:
            decided = verdict(sign * estimate, adjusted[i], within[i], inert)
        more, less = int(tested.more[i]), int(tested.less[i])
        found[variant, reference] = {
            "pairs": int(tested.pairs[i]),
            "delta": estimate,
            "delta_ci_low": _number(tested.ci_low[i]),
            "delta_ci_high": _number(tested.ci_high[i]),
            "delta_low": _number(tested.low[i]),
            "delta_high": _number(tested.high[i]),
            "p": _number(tested.p[i]),
            "p_adjusted": _number(adjusted[i]),
            "test": "" if estimate is None else "paired t" if tested.paired[i] else "Welch t",
            "verdict": decided,
            "more_seeds": needed[i] if decided == "inconclusive" else None,
            "identical": bool(tested.identical[i]),
            "no_spread": bool(tested.no_spread[i]),
            "seeds_better": more if better > 0 else less,
            "seeds_worse": less if better > 0 else more,
        }
    return found


def direction(row: Sequence[str], reference: Sequence[str]) -> int:
    """-1 where a row only takes tricks away from its comparison, else 1.

    A verdict speaks of the trick: removing batch norm with delta -3.5 reads `helps`. Where one level takes another's
    place, or some tricks come and others go, it speaks of what the row has instead. Several tricks that all come or all
    go are judged together.
    """
    return -1 if set(reference) > set(row) else 1


def verdict(better_by: float, p_adjusted: float, p_equivalence: float, inert: bool) -> Verdict:
    """What may be said of the differing trick. better_by: the effect of having it, positive is better.

    A difference that survives correction is said before equivalence: it is there, however small; the interval beside it
    shows its size.
    """
    if inert:
        return "inert"
    if p_adjusted < ALPHA:
        return "helps" if better_by > 0 else "hurts"
    return "equivalent" if p_equivalence < ALPHA else "inconclusive"


def _more_seeds(measured: Measured, tested: Differences) -> list[int | None]:
    """Of each comparison, the further seeds at which an effect of `minimum_effect` (else its own) would show."""
    index = {name: i for i, name in enumerate(measured.variants)}
    summary = summarise(measured.values[measured.metric.name])
    one = [index[variant] for variant, _ in measured.family]
    other = [index[reference] for _, reference in measured.family]
    v1, v2 = summary.std[one] ** 2, summary.std[other] ** 2
    effect = np.abs(tested.estimate) if not measured.metric.minimum_effect else measured.metric.minimum_effect
    with np.errstate(invalid="ignore", divide="ignore"):
        standardized = np.where(np.isfinite(tested.se), effect / tested.std, np.nan)
        needed = seeds_needed(standardized, np.where(tested.paired, 1.0, (v1 + v2) ** 2 / (v1**2 + v2**2)))
    have = np.where(tested.paired, tested.pairs, np.minimum(summary.n[one], summary.n[other]))
    # Power counts on 5 % for one test; where that many seeds are there already and the row is still open, one more.
    return [int(max(n - h, 1)) if np.isfinite(n) else None for n, h in zip(needed, have, strict=True)]


def _also(measured: Measured) -> list[dict[str, AlsoValue]]:
    found: list[dict[str, AlsoValue]] = [{} for _ in measured.variants]
    for name, better in measured.also.items():
        summary = summarise(measured.values[name])
        for also, mean, std in zip(found, summary.mean, summary.std, strict=True):
            also[name] = AlsoValue(_number(mean), _number(std), better)
    return found


def best(found: Sequence[Row], better: Better) -> Row | None:
    """The best mean among rows with every planned seed done; ties: fewer tricks, then the earlier row."""
    sign = -1 if better == "higher" else 1
    complete = [row for row in found if row.mean is not None and row.n == row.planned]
    return min(complete, key=lambda row: (sign * (row.mean or 0.0), len(row.tricks)), default=None)


def _number(value: float) -> float | None:
    """A Python float, None for NaN."""
    return float(value) if np.isfinite(value) else None
