"""What each trick does in several settings together: the cells are joined.py's, their mean across.py's.

A missing cell is named and never averaged over: such a row has no mean. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ablate.analysis import across
from ablate.analysis.across import Beyond, Mean
from ablate.analysis.comparisons import Array, holm_within
from ablate.analysis.joined import (
    WAITING,
    Key,
    Table,
    beyond_of,
    cells_of,
    errors_of,
    fewest,
    missing_from,
    sharing_of,
    table_of,
)
from ablate.analysis.measured import Measured
from ablate.analysis.verdicts import direction, verdict
from ablate.records import Here, Row, RowKind, Verdict
from ablate.text import in_words

NEED_INDEPENDENT = {"standardised": "standardised p-values", "reml": "the differences that REML weighs"}
"""What of each such mean must be independent between settings: what examples in common do to all of them shows in no
scatter between them."""


@dataclass(frozen=True)
class LikeThese:
    """What the K differences say of settings like these: an interval of their mean, where a further setting's would
    lie, p by Holm over the rows."""

    ci_low: float
    ci_high: float
    p: float
    p_adjusted: float
    next_low: float
    next_high: float


@dataclass(frozen=True)
class Together:
    """A row over settings. cells: its row in each; missing: settings where it has no difference, and why.

    delta to verdict: of the mean, as a Row's; None where there is none. z: in the place of a mean, where settings are
    standardised. here: over seeds alone, where the mean speaks of examples too. tau: the standard deviation of its true
    differences over settings; opposite: settings on the other side of 0 than the mean; p_same: Welch's F that it makes
    the same difference everywhere. heaviest: the setting with more than half of the mean's variance, and its share.
    """

    key: Key
    cells: Mapping[str, Row]
    missing: Mapping[str, str]
    delta: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    p_equivalent: float | None = None
    equivalence_ci_low: float | None = None
    equivalence_ci_high: float | None = None
    df: float | None = None
    z: float | None = None
    verdict: Verdict | None = None
    here: Here | None = None
    like: LikeThese | None = None
    tau: float | None = None
    opposite: tuple[str, ...] = ()
    p_same: float | None = None
    heaviest: tuple[str, float] | None = None

    @property
    def design(self) -> str:
        return self.key[0]

    @property
    def name(self) -> str:
        """As it stands in the table."""
        return self.key[1]

    @property
    def only_here(self) -> str:
        """The verdict over seeds on these examples, of a row that is open beyond them; else empty."""
        return Here.only(self.verdict, self.here)

    @property
    def several(self) -> bool:
        """As of a Row: a setting that differs by fewer tricks is missing."""
        return any(cell.several for cell in self.cells.values())

    @property
    def judged(self) -> str:
        return f"{self.verdict} (here: {self.only_here})" if self.only_here else self.verdict or ""


@dataclass(frozen=True)
class Over:
    """A study over its settings. how: `mean`, `reml` or `standardised`. families: by what rows ask how many Holm
    counts, as within a setting; what can never be tested is in none, what waits for runs is. why: why there is no mean;
    seeds_only: why it speaks of seeds alone. sharing: groups of settings that share examples. seeds: the fewest behind
    a difference."""

    settings: tuple[str, ...]
    rows: tuple[Together, ...]
    how: str
    families: Mapping[RowKind, int] = field(default_factory=dict)
    why: str = ""
    seeds_only: str = ""
    sharing: tuple[tuple[str, ...], ...] = ()
    seeds: int = 0


def over(
    parts: Mapping[str, Measured],
    rows: Mapping[str, Sequence[Row]],
    left_out: Mapping[str, Mapping[str, str]],
    units: Mapping[str, str],
) -> Over:
    """parts, rows: of each setting what was measured, and its rows. left_out: the tricks that cannot act there, and
    why. units: of the metric in each, where they are told."""
    first = next(iter(parts.values()))
    how = str(first.analysis.get("across", "mean"))
    cells = cells_of(parts, rows)
    missing = {key: missing_from(there, left_out) for key, there in cells.items()}
    table = table_of(parts, cells)
    without = {name: m.tested.evidence.why for name, m in parts.items() if m.tested.evidence.why}
    reasons = {why: [name for name in without if without[name] == why] for why in without.values()}
    seeds_only = "; ".join(f"in {in_words(names)}, for {why}" for why, names in reasons.items())
    sharing = [] if seeds_only else sharing_of(parts)
    beyond = None if seeds_only else beyond_of(parts, table, sharing)
    why = _no_mean(how, {units.get(name, "") for name in parts}, bool(sharing))
    together = _together(parts, cells, missing, table, beyond, how, why)
    shared = tuple(tuple(group) for group in sharing)
    families = {kind: count for kind, (_, count) in _families(cells, missing).items()}
    return Over(tuple(parts), together, how, families, why, seeds_only, shared, fewest(table))


def _no_mean(how: str, units: Collection[str], sharing: bool) -> str:
    """Why these settings have no mean of this kind; empty where they have one."""
    if len(units) > 1 and how != "standardised":
        return "its units differ between settings; `analysis: {across: standardised}` needs none in common"
    if how in NEED_INDEPENDENT and sharing:
        return f"settings that share examples are not independent, as {NEED_INDEPENDENT[how]} must be"
    return ""


# ------------------------------------------------------------------------------------------------------------- together


def _together(
    parts: Mapping[str, Measured],
    cells: Mapping[Key, Mapping[str, Row]],
    missing: Mapping[Key, Mapping[str, str]],
    table: Table,
    beyond: Beyond | None,
    how: str,
    why: str,
) -> tuple[Together, ...]:
    first = next(iter(parts.values()))
    better = 1 if first.metric.better == "higher" else -1
    whole = np.array([not missing[key] for key in cells], dtype=bool)
    estimate = np.where(whole[:, None], table.estimate, np.nan)
    judged, here, z, beyond = _means(parts, table, estimate, beyond, how, why)
    families = _families(cells, missing).values()
    adjusted, equivalent, here_adjusted, here_equivalent = (
        holm_within(p, families) for p in (judged.p, judged.p_equivalent, here.p, here.p_equivalent)
    )
    like = across.like_these(np.full_like(estimate, np.nan) if why or how != "mean" else estimate, first.alpha)
    like_adjusted = holm_within(like.p, families)
    v_each = errors_of(parts, table, beyond)
    tau = across.tau(table.estimate, v_each)
    same = across.welch_f(table.estimate, v_each, table.df)
    holds = across.f_holds(len(parts), fewest(table))
    rows = []
    for r, (key, there) in enumerate(cells.items()):
        row = next(iter(there.values()))
        of = next(m for m in parts.values() if row.variant in m.variants)
        tricks = dict(zip(of.variants, of.tricks, strict=True))
        sign = better * direction(row.tricks, tricks[row.compared_with or ""], row.differs)
        centre = judged.estimate[r]
        known = bool(whole[r]) and bool(np.isfinite(centre)) and not why
        inert = all(cell.verdict == "inert" for cell in there.values())
        made = verdict(sign * centre, adjusted[r], equivalent[r], inert) if known else None
        rows.append(
            Together(
                key=key, cells=there, missing=missing[key],
                delta=number(centre) if known and how != "standardised" else None,
                ci_low=number(judged.ci_low[r]), ci_high=number(judged.ci_high[r]), p=number(judged.p[r]),
                p_adjusted=number(adjusted[r]), p_equivalent=number(equivalent[r]),
                equivalence_ci_low=number(judged.within_low[r]), equivalence_ci_high=number(judged.within_high[r]),
                df=number(judged.df[r]) if known else None, z=number(z[r]), verdict=made,
                here=_here(here, here_adjusted[r], here_equivalent[r], r, sign, inert)
                if known and beyond is not None else None,
                like=_like(like, like_adjusted[r], r) if known else None,
                tau=number(tau[r]) if known and how != "standardised" else None,
                opposite=_opposite(table.estimate[r], list(parts)) if known else (),
                p_same=number(same[r]) if known and holds and how == "mean" else None,
                heaviest=_heaviest(v_each[r], list(parts)) if known and how == "mean" else None,
            )
        )  # fmt: skip
    return tuple(rows)


def _means(
    parts: Mapping[str, Measured], table: Table, estimate: Array, beyond: Beyond | None, how: str, why: str
) -> tuple[Mean, Mean, Array, Beyond | None]:
    """The mean of the kind that is asked for; the same over seeds alone; z; and what examples say of them, where they
    enter it."""
    first = next(iter(parts.values()))
    alpha, margin = first.alpha, first.metric.minimum_effect
    none = np.full(len(estimate), np.nan)
    if why:
        return _nothing(len(estimate)), _nothing(len(estimate)), none, beyond
    if how == "standardised":
        z, p = across.standardised(estimate, table.judged_p)
        return _of_z(z, p), _of_z(z, p), z, None
    if how == "reml":
        judged = across.reml(estimate, errors_of(parts, table, beyond), alpha, margin)
        return judged, across.reml(estimate, table.v, alpha, margin), none, beyond
    here = across.mean(estimate, table.v, table.df, None, alpha, margin)
    return across.mean(estimate, table.v, table.df, beyond, alpha, margin), here, none, beyond


def _families(
    cells: Mapping[Key, Mapping[str, Row]], missing: Mapping[Key, Mapping[str, str]]
) -> dict[RowKind, tuple[list[int], int]]:
    """By what rows ask their places and how many Holm counts: those that have, or wait for, every setting."""
    kinds = [next(iter(there.values())).kind for there in cells.values()]
    counted = [all(reason == WAITING for reason in missing[key].values()) for key in cells]
    places = {kind: [r for r, one in enumerate(kinds) if one == kind] for kind in kinds}
    return {kind: (of, sum(counted[r] for r in of)) for kind, of in places.items()}


def _nothing(size: int) -> Mean:
    return Mean(*(np.full(size, np.nan) for _ in range(9)))


def _of_z(z: Array, p: Array) -> Mean:
    none = np.full(len(z), np.nan)
    return Mean(z, none, none, p, none, none, none, none, none)


def _here(here: Mean, adjusted: float, equivalent: float, r: int, sign: int, inert: bool) -> Here:
    return Here(
        number(here.ci_low[r]), number(here.ci_high[r]), number(here.p[r]), number(adjusted), number(equivalent),
        verdict(sign * here.estimate[r], adjusted, equivalent, inert),
    )  # fmt: skip


def _like(like: across.Like, adjusted: float, r: int) -> LikeThese | None:
    numbers = [float(one[r]) for one in (like.ci_low, like.ci_high, like.p, like.next_low, like.next_high)]
    if not np.isfinite(numbers).all():
        return None
    low, high, p, next_low, next_high = numbers
    return LikeThese(low, high, p, float(adjusted), next_low, next_high)


def _opposite(estimate: Array, names: Sequence[str]) -> tuple[str, ...]:
    side = np.sign(estimate.mean())
    return tuple(name for name, e in zip(names, estimate, strict=True) if side and np.sign(e) == -side)


def _heaviest(v: Array, names: Sequence[str]) -> tuple[str, float] | None:
    total = float(v.sum())
    if not np.isfinite(total) or total <= 0:
        return None
    share = v / total
    k = int(share.argmax())
    return (names[k], float(share[k])) if share[k] > 0.5 else None


def number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
