"""Numbers into rows: what a trick did, how sure that is, what may be said of it. Pure: no store, no text for people.

Every row is judged by its own pairs (comparisons.py), corrected by Holm over the family that the study declares. No
residual is pooled, so one row that sometimes collapses spoils only itself, unless the study declares `error: pooled`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ablate.analysis.assumptions import at_chance, collapsed
from ablate.analysis.comparisons import ALPHA, Array, holm_within, summarise
from ablate.analysis.components import these_weights
from ablate.analysis.measured import Measured, Tested
from ablate.analysis.power import seeds_beyond, seeds_needed, upper_std
from ablate.records import AlsoValue, Better, Here, OverExamples, Row, Verdict

# ----------------------------------------------------------------------------------------------------------------- rows


@dataclass(frozen=True)
class _Corrected:
    """p and p_equivalent of a family after correction; arrays (comparisons,). here: over seeds alone."""

    p: Array
    p_equivalent: Array
    here_p: Array
    here_equivalent: Array


def rows(measured: Measured) -> tuple[Row, ...]:
    """The rows of the table in the plan's order. With adaptive seeds each row stands as at the look that judged it."""
    if measured.looks:
        return _rows_by_look(measured)
    tested = measured.tested
    pairs = ((judged.p, judged.p_equivalent) for judged in (tested.judged, tested.here))
    return tuple(_rows(measured, _Corrected(*(_corrected(measured, p) for pair in pairs for p in pair))))


def _corrected(measured: Measured, p: Array) -> Array:
    """p by Holm, each of the study's families by itself."""
    return holm_within(p, [(places, len(places)) for places in measured.families])


def _rows_by_look(measured: Measured) -> tuple[Row, ...]:
    """Every row by the seeds of the look that judged it last; where it is still open, `planned` is what comes next.

    A row that is compared with nothing stands by the seeds of the last look that judged a row compared with it. Before
    the first look is over its values are described and nothing is tested: a look at fewer seeds would be one more look.
    """
    course, seeds, count = measured.course, measured.wanted, len(measured.looks)
    place = {pair: i for i, pair in enumerate(measured.family)}
    index = {name: i for i, name in enumerate(measured.variants)}
    corrected = _Corrected(course.p_adjusted, course.p_equivalent, course.here_adjusted, course.here_equivalent)
    at_look = [_rows(part, corrected) for part in measured.looks]
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
    "more_seeds": None, "here": None,
}  # fmt: skip


def _rows(measured: Measured, corrected: _Corrected) -> list[Row]:
    """The rows by the seeds of `measured`."""
    index = {name: i for i, name in enumerate(measured.variants)}
    summary = measured.summary
    effects = _effects(measured, corrected)
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
                confidence=1 - measured.alpha, kind=row.kind,
                **(_NO_EFFECT if row.compared_with is None else effects[row.variant, row.compared_with]),
            )
        )  # fmt: skip
    return rows


_NO_EFFECT: Mapping[str, Any] = {
    "pairs": 0, "delta": None, "delta_ci_low": None, "delta_ci_high": None, "p": None, "p_adjusted": None,
    "test": "", "verdict": None,
}  # fmt: skip


def _effects(measured: Measured, corrected: _Corrected) -> dict[tuple[str, str], dict[str, Any]]:
    """The fields of a row that come from its comparison, by (variant, compared_with)."""
    tested, judged = measured.tested.differences, measured.tested.judged
    adjusted, equivalent = corrected.p, corrected.p_equivalent
    tricks = dict(zip(measured.variants, measured.tricks, strict=True))
    metric = measured.metric
    better = 1 if metric.better == "higher" else -1
    needed = _more_seeds(measured, adjusted)
    over = _over_examples(measured.tested)
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
            "here": _here(measured.tested, corrected, i, sign, inert) if measured.tested.evidence.of_both else None,
            "examples": over[i] if over else None,
            "seeds_better": more if better > 0 else less,
            "seeds_worse": less if better > 0 else more,
        }
    return effects


def _here(tested: Tested, corrected: _Corrected, i: int, sign: int, inert: bool) -> Here | None:
    """What seeds alone show of a comparison; None where they show nothing."""
    here, estimate = tested.here, float(tested.differences.estimate[i])
    if not np.isfinite(estimate):
        return None
    p, within = corrected.here_p[i], corrected.here_equivalent[i]
    return Here(
        _number(here.ci_low[i]), _number(here.ci_high[i]), _number(here.p[i]), _number(p), _number(within),
        verdict(sign * estimate, p, within, inert),
    )  # fmt: skip


def _over_examples(tested: Tested) -> list[OverExamples]:
    """Of each comparison what its examples say; [] where the table speaks of seeds alone."""
    evidence, differences = tested.evidence, tested.differences
    if not evidence.of_both:
        return []
    parts = evidence.parts
    low, high = these_weights(differences.estimate, parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = differences.se**2 / (differences.se**2 + parts.v_beyond)
    v = {"se_seeds": differences.se**2, "se_examples": parts.v_examples, "se_noise": parts.v_noise}
    errors = {**{name: np.sqrt(of) for name, of in v.items()}, "share": share}
    return [
        OverExamples(
            evidence.ids, evidence.n, evidence.groups, **{name: _number(of[i]) for name, of in errors.items()},
            **({} if tally is None else vars(tally)), ci_low=_number(low[i]), ci_high=_number(high[i]),
        )
        for i, tally in enumerate(evidence.tallies)
    ]  # fmt: skip


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


def _more_seeds(measured: Measured, adjusted: Array) -> list[int | None]:
    """Of each comparison, the further seeds with which its verdict would find an effect of `minimum_effect`.

    At the level that an open row needs, Holm's over all open rows, and by the upper limit of the spread, which few
    seeds underestimate. None without a `minimum_effect`: an effect as large as the one seen is no aim; and where these
    examples alone leave more than that.
    """
    effect, tested = measured.metric.minimum_effect, measured.tested.differences
    if not effect:
        return [None] * len(measured.family)
    summary = measured.summary
    one, other = measured.sides
    v1, v2 = summary.std[one] ** 2, summary.std[other] ** 2
    have = np.where(tested.paired, tested.pairs, np.minimum(summary.n[one], summary.n[other]))
    level = measured.last_alpha / measured.open_rows(adjusted)
    with np.errstate(invalid="ignore", divide="ignore"):
        welch = (v1 + v2) ** 2 / (v1**2 + v2**2)
        own = np.where(tested.paired, 1.0, welch)
        pooled = tested.df / np.maximum(np.where(tested.paired, tested.pairs, 2) - 1, 1)
        shared = tested.pooled if tested.moderated is None else tested.moderated
        df_per_seed = np.where(shared, np.maximum(pooled, own), own)
        std = np.where(np.isfinite(tested.se), upper_std(tested.std, tested.df), np.nan)
        needed = seeds_needed(effect / std, df_per_seed, level)
    if measured.tested.evidence.of_both:
        needed = np.maximum(needed, seeds_beyond(effect, std, df_per_seed, measured.tested.evidence.parts, level))
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
    """The best mean among rows with every planned seed done; ties: fewer tricks, then the earlier row; no placebo
    and no control."""
    sign = -1 if better == "higher" else 1
    apart = {row.variant for row in found if row.placebo or row.kind == "control"}
    complete = [row for row in found if row.mean is not None and row.n == row.planned and row.variant not in apart]
    return min(complete, key=lambda row: (sign * (row.mean or 0.0), len(row.tricks)), default=None)


def _number(value: float) -> float | None:
    """A Python float, None for NaN."""
    return float(value) if np.isfinite(value) else None
