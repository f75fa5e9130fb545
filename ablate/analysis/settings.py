"""What each trick does in several settings together: a setting's comparisons are measured.py's, their mean across.py's.

A row is the same in every setting by its name across them, whatever its variants are called there. A missing cell is
named and never averaged over: such a row has no mean. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis import across
from ablate.analysis.across import Beyond, Mean
from ablate.analysis.comparisons import MINIMUM_N, Array, holm
from ablate.analysis.examples import Deviations, deviations
from ablate.analysis.measured import Measured, sides_of
from ablate.analysis.verdicts import direction, verdict
from ablate.records import Here, Row, Verdict
from ablate.text import in_words, listed

Key = tuple[str, str]
"""A design, and what a row is called in every setting."""


NEED_INDEPENDENT = {"standardised": "standardised p-values", "reml": "the differences that REML weighs"}
"""What of each such mean must be independent between settings: what examples in common do to all of them shows in no
scatter between them."""

WAITING = "no seed is done on both sides"
"""Why a setting has no difference yet, in a row that it will have; any other reason stays."""


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
    """A study over its settings. how: `mean`, `reml` or `standardised`. family: the rows that Holm counts. why: why
    there is no mean; seeds_only: why it speaks of seeds alone. sharing: groups of settings that share examples. seeds:
    the fewest behind a difference."""

    settings: tuple[str, ...]
    rows: tuple[Together, ...]
    how: str
    family: int = 0
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
    cells = _cells(parts, rows)
    missing = {key: _missing(there, left_out) for key, there in cells.items()}
    table = _table(parts, cells)
    without = {name: m.tested.evidence.why for name, m in parts.items() if m.tested.evidence.why}
    reasons = {why: [name for name in without if without[name] == why] for why in without.values()}
    seeds_only = "; ".join(f"in {in_words(names)}, for {why}" for why, names in reasons.items())
    sharing = [] if seeds_only else _sharing(parts)
    beyond = None if seeds_only else _beyond(parts, table, sharing)
    why = _no_mean(how, {units.get(name, "") for name in parts}, bool(sharing))
    together = _together(parts, cells, missing, table, beyond, how, why)
    shared = tuple(tuple(group) for group in sharing)
    family = _family(missing)
    return Over(tuple(parts), together, how, family, why, seeds_only, shared, _fewest(table))


def _no_mean(how: str, units: Collection[str], sharing: bool) -> str:
    """Why these settings have no mean of this kind; empty where they have one."""
    if len(units) > 1 and how != "standardised":
        return "its units differ between settings; `analysis: {across: standardised}` needs none in common"
    if how in NEED_INDEPENDENT and sharing:
        return f"settings that share examples are not independent, as {NEED_INDEPENDENT[how]} must be"
    return ""


@dataclass(frozen=True)
class _Table:
    """Arrays (rows, settings), NaN where a row has none. places: of each in its setting's family, -1. judged_p: what
    its setting's own verdict goes by, uncorrected."""

    places: Array
    estimate: Array
    v: Array
    df: Array
    judged_p: Array
    seeds: Array


def _cells(parts: Mapping[str, Measured], rows: Mapping[str, Sequence[Row]]) -> dict[Key, dict[str, Row]]:
    """Of each compared row the settings that have it."""
    cells: dict[Key, dict[str, Row]] = {}
    for setting, measured in parts.items():
        for asked, row in zip(measured.asked, rows[setting], strict=True):
            if asked.compared_with is not None:
                cells.setdefault((asked.design, asked.across or asked.variant), {})[setting] = row
    return {key: {name: there[name] for name in parts if name in there} for key, there in cells.items()}


def _missing(there: Mapping[str, Row], left_out: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The settings without a difference of a row, or with one of other tricks, and why."""
    most = max((row.differs for row in there.values()), key=len)
    tricks = {choice.partition("=")[0] for row in there.values() for choice in row.tricks}
    why = {}
    for setting, away in left_out.items():
        gone = [f"{choice} cannot act there ({because})" for choice, because in away.items()
                if choice.partition("=")[0] in (*most, *tricks)]  # fmt: skip
        row = there.get(setting)
        if row is None:
            why[setting] = "; ".join(gone) or "it is left out there"
        elif row.delta is None:
            why[setting] = WAITING
        elif set(row.differs) != set(most):
            why[setting] = "; ".join(gone) or f"it differs by {listed(row.differs)} alone there"
    return why


def _table(parts: Mapping[str, Measured], cells: Mapping[Key, Mapping[str, Row]]) -> _Table:
    shape = (len(cells), len(parts))
    places = np.full(shape, -1)
    estimate, v, df, p = (np.full(shape, np.nan) for _ in range(4))
    seeds = np.zeros(shape)
    for k, (setting, measured) in enumerate(parts.items()):
        index = {pair: i for i, pair in enumerate(measured.family)}
        tested = measured.tested.differences
        for r, there in enumerate(cells.values()):
            row = there.get(setting)
            if row is None or row.compared_with is None:
                continue
            i = places[r, k] = index[row.variant, row.compared_with]
            estimate[r, k], p[r, k] = tested.estimate[i], measured.tested.judged.p[i]
            seeds[r, k] = tested.pairs[i] or row.n
            # Equal in every seed, a row differs by nothing and varies by nothing; equal and not 0, its spread is
            # unknown.
            same = bool(tested.identical[i]) and seeds[r, k] >= MINIMUM_N
            v[r, k] = 0.0 if same else tested.se[i] ** 2
            df[r, k] = seeds[r, k] - 1 if same else tested.df[i]
            p[r, k] = 1.0 if same else p[r, k]
    return _Table(places, estimate, v, df, p, seeds)


def _fewest(table: _Table) -> int:
    counted = table.seeds[table.seeds > 0]
    return int(counted.min()) if counted.size else 0


# ------------------------------------------------------------------------------------------------------------- examples


def _sharing(parts: Mapping[str, Measured]) -> list[list[str]]:
    """The groups of settings that were measured on some examples in common, by their ids."""
    ids = {name: {one for of in _sets(measured) for one in of} for name, measured in parts.items()}
    groups: list[list[str]] = []
    for name in parts:
        near = [group for group in groups if any(not ids[name].isdisjoint(ids[other]) for other in group)]
        groups = [group for group in groups if group not in near] + [[*(n for group in near for n in group), name]]
    return [group for group in groups if len(group) > 1]


def _sets(measured: Measured) -> list[tuple[str, ...]]:
    source = measured.source
    return [] if source is None else [source.sets[fingerprint].ids for fingerprint in set(source.of.values())]


def _beyond(parts: Mapping[str, Measured], table: _Table, sharing: Sequence[Sequence[str]]) -> Beyond:
    """What examples say of each row's mean, by blocks of settings that share some: deviations of one example in several
    settings are averaged before they are squared."""
    count = len(parts)
    names = list(parts)
    blocks = [*sharing, *([name] for name in names if not any(name in group for group in sharing))]
    v, noise = (np.full((len(table.estimate), len(blocks)), np.nan) for _ in range(2))
    df = np.zeros(len(blocks))
    for b, block in enumerate(blocks):
        columns = [names.index(name) for name in block]
        evidence = [parts[name].tested.evidence.parts for name in block]
        df[b] = min(float(one.units.max(initial=2.0)) for one in evidence) - 1
        apart = [_deviations(parts[name]) for name in block] if len(block) > 1 else []
        for r in range(len(table.estimate)):
            at = table.places[r, columns].astype(int)
            if (at < 0).any():
                continue
            noise[r, b] = sum(float(np.nan_to_num(e.v_noise[i])) for e, i in zip(evidence, at, strict=True)) / count**2
            if apart:
                v[r, b] = _squares([(one.units, one.of[i]) for one, i in zip(apart, at, strict=True)]) / count**2
            else:
                v[r, b] = float(evidence[0].v_examples[at[0]]) / count**2
    return Beyond(v, noise, df)


def _deviations(measured: Measured) -> Deviations:
    assert measured.source is not None, "there is evidence"
    return deviations(measured.source, measured.family, sides_of(measured, measured.tested.differences))


def _squares(each: Sequence[tuple[tuple[str, ...], Array]]) -> float:
    """Of deviations by unit the sum over settings, squared and summed."""
    place = {unit: i for i, unit in enumerate(dict.fromkeys(unit for units, _ in each for unit in units))}
    total = np.zeros(len(place))
    for units, deviation in each:
        total[[place[unit] for unit in units]] += deviation
    return float(total @ total)


# ------------------------------------------------------------------------------------------------------------- together


def _together(
    parts: Mapping[str, Measured],
    cells: Mapping[Key, Mapping[str, Row]],
    missing: Mapping[Key, Mapping[str, str]],
    table: _Table,
    beyond: Beyond | None,
    how: str,
    why: str,
) -> tuple[Together, ...]:
    first = next(iter(parts.values()))
    better = 1 if first.metric.better == "higher" else -1
    whole = np.array([not missing[key] for key in cells], dtype=bool)
    estimate = np.where(whole[:, None], table.estimate, np.nan)
    judged, here, z, beyond = _means(parts, table, estimate, beyond, how, why)
    family = _family(missing)
    adjusted, equivalent = holm(judged.p, family), holm(judged.p_equivalent, family)
    here_adjusted, here_equivalent = holm(here.p, family), holm(here.p_equivalent, family)
    like = across.like_these(np.full_like(estimate, np.nan) if why or how != "mean" else estimate, first.alpha)
    like_adjusted = holm(like.p, family)
    v_each = _v_each(parts, table, beyond)
    tau = across.tau(table.estimate, v_each)
    same = across.welch_f(table.estimate, v_each, table.df)
    holds = across.f_holds(len(parts), _fewest(table))
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
    parts: Mapping[str, Measured], table: _Table, estimate: Array, beyond: Beyond | None, how: str, why: str
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
        judged = across.reml(estimate, _v_each(parts, table, beyond), alpha, margin)
        return judged, across.reml(estimate, table.v, alpha, margin), none, beyond
    here = across.mean(estimate, table.v, table.df, None, alpha, margin)
    return across.mean(estimate, table.v, table.df, beyond, alpha, margin), here, none, beyond


def _family(missing: Mapping[Key, Mapping[str, str]]) -> int:
    """What Holm counts: what can never be tested is no member of the family, what waits for runs is."""
    return sum(all(reason == WAITING for reason in why.values()) for why in missing.values())


def _v_each(parts: Mapping[str, Measured], table: _Table, beyond: Beyond | None) -> Array:
    """V of each cell, with what its examples add where the mean speaks of them."""
    v = table.v.copy()
    for k, measured in enumerate(parts.values()) if beyond is not None else ():
        at = table.places[:, k].astype(int)
        further = measured.tested.evidence.parts.v_beyond
        v[:, k] += np.where(at >= 0, further[np.maximum(at, 0)], np.nan)
    return v


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
