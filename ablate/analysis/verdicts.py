"""Numbers into rows: what a trick did, how sure that is, what may be said of it. Pure: no store, no text for people.

Every row is judged by its own pairs (comparisons.py), corrected by Holm over the family that the study declares. No
residual is pooled, so one row that sometimes collapses spoils only itself, unless the study declares `error: pooled`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ablate.analysis import comparisons
from ablate.analysis.comparisons import (  # fmt: skip
    ALPHA,
    Array,
    CellMeans,
    Differences,
    Summary,
    at_chance,
    collapsed,
    compare,
    compare_summaries,
    holm,
    pool,
    pooled_error,
    summarise,
)
from ablate.analysis.judge import Judged, by_sign_flip, by_t
from ablate.analysis.looks import Course, Flags, Look, Wanted, follow, levels, wanted
from ablate.analysis.power import seeds_needed, upper_std
from ablate.records import AlsoValue, Better, Metric, Row, Verdict
from ablate.study.record import RowRecord

# ----------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True)
class Measured:
    """All that the analysis sees of a study.

    tricks: of each variant, the tricks that are on. values: metric -> (variants, seeds), NaN where a run is not
    counted. planned: runs asked of each variant. failures: of each variant, reason -> runs. inert: comparisons
    (variant, compared_with) whose outputs are bit-identical for every shared seed; alike: those whose every logged
    number is equal, and these are too few to show it. given: mean, standard deviation and n of each variant where no
    single value is known; `values` then holds the means. declared: whether the study asked for these rows, or a view
    did afterwards. looks: of adaptive seeds, the same by the seeds of each look alone, with `over`: (variants, seeds),
    whether a run is done or has failed for good.
    """

    variants: tuple[str, ...]
    tricks: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    values: Mapping[str, Array]
    planned: tuple[int, ...]
    failures: tuple[Mapping[str, int], ...]
    asked: tuple[RowRecord, ...]
    metric: Metric
    also: Mapping[str, Better] = field(default_factory=dict)
    inert: frozenset[tuple[str, str]] = frozenset()
    alike: frozenset[tuple[str, str]] = frozenset()
    analysis: Mapping[str, Any] = field(default_factory=dict)
    given: Summary | None = None
    declared: bool = True
    looks: tuple[Measured, ...] = ()
    over: Flags | None = None

    @property
    def summary(self) -> Summary:
        """Of the primary metric, by variant."""
        return summarise(self.values[self.metric.name], self.alpha) if self.given is None else self.given

    @property
    def alpha(self) -> float:
        """The level of one test; ALPHA, but for adaptive seeds the look's that has these seeds, else the last one's.

        The rows' intervals cover 1 - alpha.
        """
        sizes = self.analysis.get("looks") or []
        k = sizes.index(len(self.seeds)) if len(self.seeds) in sizes else -1
        return float(levels(sizes)[k]) if sizes else ALPHA

    @property
    def last_alpha(self) -> float:
        """The level of one test with all seeds: of adaptive seeds, at the last look."""
        sizes = self.analysis.get("looks") or []
        return float(levels(sizes)[-1]) if sizes else ALPHA

    def open_rows(self, p_adjusted: Array) -> int:
        """How many comparisons Holm's next step counts: all that are not found yet."""
        return max(len(self.family) - int((p_adjusted < ALPHA).sum()), 1)

    @cached_property
    def sides(self) -> tuple[list[int], list[int]]:
        """Of each comparison of the family the place of its variant, and of what it is compared with."""
        index = {name: i for i, name in enumerate(self.variants)}
        return [index[variant] for variant, _ in self.family], [index[reference] for _, reference in self.family]

    @cached_property
    def course(self) -> Course:
        """What the looks of adaptive seeds settled so far."""
        return follow([_look(part) for part in self.looks])

    @cached_property
    def wanted(self) -> Wanted:
        """How many seeds adaptive seeds ask of each variant."""
        sizes = [len(part.seeds) for part in self.looks]
        return wanted(self.course, sizes, *self.sides, len(self.variants))

    def compare(self, of: Sequence[int], against: Sequence[int], alpha: float = ALPHA) -> Differences:
        """The primary metric of variants against that of as many others, each by its own pairs."""
        if self.given is not None:
            return compare_summaries(self.given.take(of), self.given.take(against))
        values = self.values[self.metric.name]
        return compare(values[list(of)], values[list(against)], alpha)

    def judge(self, name: str, of: Sequence[int], against: Sequence[int]) -> tuple[Differences, Judged]:
        """A metric of variants against that of as many others, by own pairs and the test that the study declares,
        nothing corrected and nothing pooled."""
        if name == self.metric.name:
            tested = self.compare(of, against)
        else:
            tested = compare(self.values[name][list(of)], self.values[name][list(against)])
        if self.flips:
            return tested, by_sign_flip(tested, self.values[name][of], self.values[name][against], ALPHA, None)
        return tested, by_t(tested, ALPHA, None)

    def fit(self, chosen: Sequence[int]) -> CellMeans:
        """The cell-means model of these variants, each of which has a value, with shared seeds as blocks."""
        if self.given is not None:
            part = self.given.take(chosen)
            return comparisons.from_summaries(part.mean, part.std, part.n)
        return comparisons.fit(self.values[self.metric.name][list(chosen)])

    @property
    def family(self) -> tuple[tuple[str, str], ...]:
        """Every comparison that the study declares, once, in the plan's order: (variant, compared_with)."""
        return tuple(dict.fromkeys((a.variant, a.compared_with) for a in self.asked if a.compared_with is not None))

    @property
    def pools(self) -> bool:
        """Whether the study declares one pooled error."""
        return self.analysis.get("error") == "pooled"

    @property
    def flips(self) -> bool:
        """Whether the study declares the sign-flip test."""
        return self.analysis.get("test") == "sign_flip" and self.given is None

    @property
    def degenerate(self) -> float | None:
        """The value that every counted run reports, where two variants and three runs report nothing else."""
        values = self.values[self.metric.name]
        if self.given is not None:
            return None
        counted = values[np.isfinite(values)]
        rows = int(np.isfinite(values).any(axis=1).sum())
        return float(counted[0]) if rows >= 2 and len(counted) >= 3 and bool((counted == counted[0]).all()) else None


def rows(measured: Measured) -> tuple[Row, ...]:
    """The rows of the table in the plan's order. With adaptive seeds each row stands as at the look that judged it."""
    if measured.looks:
        return _rows_by_look(measured)
    tested, judged = _tested(measured)
    size = len(measured.family)
    return tuple(_rows(measured, tested, judged, holm(judged.p, size), holm(judged.p_equivalent, size)))


def _rows_by_look(measured: Measured) -> tuple[Row, ...]:
    """Every row by the seeds of the look that judged it last; where it is still open, `planned` is what comes next.

    A row that is compared with nothing stands by the seeds of the last look that judged a row compared with it. Before
    the first look is over its values are described and nothing is tested: a look at fewer seeds would be one more look.
    """
    course, seeds, count = measured.course, measured.wanted, len(measured.looks)
    place = {pair: i for i, pair in enumerate(measured.family)}
    index = {name: i for i, name in enumerate(measured.variants)}
    at_look = []
    for part in measured.looks:
        at_look.append(_rows(part, *_tested(part), course.p_adjusted, course.p_equivalent))
    sizes = [len(part.seeds) for part in measured.looks]
    rows = []
    for i, row in enumerate(measured.asked):
        v = index[row.variant]
        if row.compared_with is None:
            shown = at_look[sizes.index(int(seeds.shown[v]))][i]
            rows.append(replace(shown, planned=measured.looks[sizes.index(int(seeds.now[v]))].planned[v]))
            continue
        j = place[row.variant, row.compared_with]
        at, settled = int(course.at[j]), bool(course.settled[j])
        shown = at_look[max(at, 0)][i]
        going = None if settled or course.current is None else measured.looks[course.current].planned[v]
        shown = replace(shown, look=at + 1, stopped_early=settled and at < count - 1, planned=going or shown.planned)
        rows.append(shown if at >= 0 else replace(shown, **_NOT_TESTED))
    return tuple(rows)


_NOT_TESTED: Mapping[str, Any] = {
    "delta_ci_low": None, "delta_ci_high": None, "p": None, "p_adjusted": None, "p_equivalent": None,
    "equivalence_ci_low": None, "equivalence_ci_high": None, "test": "", "verdict": None, "qualifier": None,
    "more_seeds": None,
}  # fmt: skip


def _look(part: Measured) -> Look:
    """What one look shows."""
    _, judged = _tested(part)
    assert part.over is not None, "a look knows which runs are over"
    over: Flags = np.all(part.over, axis=1)
    of, against = part.sides
    inert = np.array([pair in part.inert for pair in part.family], dtype=bool)
    return Look(len(part.seeds), judged.p, judged.p_equivalent, inert, over[of] & over[against])


def _tested(measured: Measured) -> tuple[Differences, Judged]:
    """Every comparison of the family, and what its verdict speaks of: by its own pairs or as the study declares."""
    values, margin = measured.values[measured.metric.name], measured.metric.minimum_effect
    of, against = measured.sides
    tested = measured.compare(of, against, measured.alpha)
    error = pooled_error(values) if measured.pools else None
    if error is not None:
        tested = pool(tested, values[of], values[against], error)
    if measured.flips:
        return tested, by_sign_flip(tested, values[of], values[against], measured.alpha, margin)
    return tested, by_t(tested, measured.alpha, margin)


def _rows(measured: Measured, tested: Differences, judged: Judged, adjusted: Array, equivalent: Array) -> list[Row]:
    """The rows by the seeds of `measured`. adjusted, equivalent: of `judged`, p and p_equivalent after correction."""
    index = {name: i for i, name in enumerate(measured.variants)}
    summary = measured.summary
    effects = _effects(measured, tested, judged, adjusted, equivalent)
    also = _also(measured)
    values = measured.values[measured.metric.name]
    fallen = collapsed(values, measured.metric.better)
    fallen |= at_chance(values, measured.metric.name)[:, None] & np.isfinite(values)
    rows = []
    for row in measured.asked:
        i = index[row.variant]
        rows.append(
            Row(
                variant=row.variant, design=row.design, tricks=measured.tricks[i],
                compared_with=row.compared_with, planned=measured.planned[i], n=int(summary.n[i]),
                failed=sum(measured.failures[i].values()), mean=_number(summary.mean[i]), std=_number(summary.std[i]),
                ci_low=_number(summary.ci_low[i]), ci_high=_number(summary.ci_high[i]), low=_number(summary.low[i]),
                high=_number(summary.high[i]), also=also[i], failures=measured.failures[i],
                label=row.label or row.variant, differs=row.differs, placebo=row.placebo,
                collapsed=tuple(seed for seed, fell in zip(measured.seeds, fallen[i], strict=True) if fell),
                confidence=1 - measured.alpha,
                **(_NO_EFFECT if row.compared_with is None else effects[row.variant, row.compared_with]),
            )
        )  # fmt: skip
    return rows


_NO_EFFECT: Mapping[str, Any] = {
    "pairs": 0, "delta": None, "delta_ci_low": None, "delta_ci_high": None, "p": None, "p_adjusted": None,
    "test": "", "verdict": None,
}  # fmt: skip


def _effects(
    measured: Measured, tested: Differences, judged: Judged, adjusted: Array, equivalent: Array
) -> dict[tuple[str, str], dict[str, Any]]:
    """The fields of a row that come from its comparison, by (variant, compared_with)."""
    tricks = dict(zip(measured.variants, measured.tricks, strict=True))
    metric = measured.metric
    better = 1 if metric.better == "higher" else -1
    needed = _more_seeds(measured, tested, adjusted)
    differs = {(row.variant, row.compared_with): row.differs for row in measured.asked}
    failed = {name: sum(why.values()) for name, why in zip(measured.variants, measured.failures, strict=True)}
    effects = {}
    for i, (variant, reference) in enumerate(measured.family):
        sign = better * direction(tricks[variant], tricks[reference], differs[variant, reference])
        inert = (variant, reference) in measured.inert
        estimate = _number(tested.estimate[i])
        decided = None
        if estimate is not None:
            decided = verdict(sign * estimate, adjusted[i], equivalent[i], inert)
        more, less = int(tested.more[i]), int(tested.less[i])
        effects[variant, reference] = {
            "pairs": int(tested.pairs[i]),
            "delta": estimate,
            "delta_ci_low": _number(judged.ci_low[i]),
            "delta_ci_high": _number(judged.ci_high[i]),
            "delta_low": _number(tested.low[i]),
            "delta_high": _number(tested.high[i]),
            "p": _number(judged.p[i]),
            "p_adjusted": _number(adjusted[i]),
            "p_equivalent": _number(equivalent[i]),
            "equivalence_ci_low": _number(judged.within_low[i]),
            "equivalence_ci_high": _number(judged.within_high[i]),
            "test": "" if estimate is None else judged.test[i],
            "verdict": decided,
            "qualifier": qualifier(decided, failed[variant] != failed[reference], equivalent[i], metric.minimum_effect),
            "more_seeds": needed[i] if decided == "inconclusive" else None,
            "identical": bool(tested.identical[i]),
            "no_spread": bool(tested.no_spread[i]),
            "seeds_better": more if better > 0 else less,
            "seeds_worse": less if better > 0 else more,
        }
    return effects


def direction(row: Sequence[str], reference: Sequence[str], differs: Sequence[str] = ()) -> int:
    """-1 where a row only takes tricks away from its comparison, else 1. row, reference: their tricks, with levels.

    A verdict speaks of the trick: removing batch norm with delta -3.5 reads `helps`. Where one level takes another's
    place, some tricks come and others go, or settings of the base differ as well, it speaks of what the row has
    instead. Several tricks that all come or all go are judged together.
    """
    gone = {trick.partition("=")[0] for trick in set(reference) - set(row)}
    return -1 if set(reference) > set(row) and len(differs) <= len(gone) else 1


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


def qualifier(decided: Verdict | None, lopsided: bool, p_equivalent: float, margin: float | None) -> str | None:
    """What a verdict holds for, and by how much. lopsided: more runs failed on one side than on the other.

    Runs that fail are not a random part: where one side lost some, the rest are another kind of run than the other's.
    """
    if decided not in ("helps", "hurts", "equivalent"):
        return None
    parts = ["among finished runs"] * lopsided
    if margin and decided != "equivalent" and p_equivalent < ALPHA:
        parts.append(f"by less than {margin:g}")
    return ", ".join(parts) or None


def _more_seeds(measured: Measured, tested: Differences, adjusted: Array) -> list[int | None]:
    """Of each comparison, the further seeds with which its verdict would find an effect of `minimum_effect`.

    At the level that an open row needs, Holm's over all open rows, and by the upper limit of the spread, which few
    seeds underestimate. None without a `minimum_effect`: an effect as large as the one seen is no aim.
    """
    effect = measured.metric.minimum_effect
    if not effect:
        return [None] * len(measured.family)
    summary = measured.summary
    one, other = measured.sides
    v1, v2 = summary.std[one] ** 2, summary.std[other] ** 2
    have = np.where(tested.paired, tested.pairs, np.minimum(summary.n[one], summary.n[other]))
    with np.errstate(invalid="ignore", divide="ignore"):
        welch = (v1 + v2) ** 2 / (v1**2 + v2**2)
        own = np.where(tested.paired, 1.0, welch)
        pooled = tested.df / np.maximum(np.where(tested.paired, tested.pairs, 2) - 1, 1)
        df_per_seed = np.where(tested.pooled, np.maximum(pooled, own), own)
        standardized = np.where(np.isfinite(tested.se), effect / upper_std(tested.std, tested.df), np.nan)
    needed = seeds_needed(standardized, df_per_seed, measured.last_alpha / measured.open_rows(adjusted))
    # Where that many seeds are there and the row is still open, one more.
    return [int(max(n - h, 1)) if np.isfinite(n) else None for n, h in zip(needed, have, strict=True)]


def _also(measured: Measured) -> list[dict[str, AlsoValue]]:
    per_variant: list[dict[str, AlsoValue]] = [{} for _ in measured.variants]
    for name, better in measured.also.items():
        summary = summarise(measured.values[name])
        for also, mean, std in zip(per_variant, summary.mean, summary.std, strict=True):
            also[name] = AlsoValue(_number(mean), _number(std), better)
    return per_variant


def best(found: Sequence[Row], better: Better) -> Row | None:
    """The best mean among rows with every planned seed done; ties: fewer tricks, then the earlier row; no placebo."""
    sign = -1 if better == "higher" else 1
    complete = [row for row in found if row.mean is not None and row.n == row.planned and not row.placebo]
    return min(complete, key=lambda row: (sign * (row.mean or 0.0), len(row.tricks)), default=None)


def _number(value: float) -> float | None:
    """A Python float, None for NaN."""
    return float(value) if np.isfinite(value) else None
