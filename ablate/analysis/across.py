"""The differences that tricks make in several settings, put together: their mean and what may be said of it. Pure.

Every array ends in (rows, settings), or (rows,) where settings are averaged over; any axes before are simulated
studies.

The mean gives each setting the same weight: V_s = sum V_k / K², and no setting's spread chooses its weight. Its degrees
of freedom are the smaller of Satterthwaite's from the row's own V_k and from each setting's average V over all rows:
where one setting has ten times the others' spread, its variance over three seeds is known by two degrees of freedom,
and the row that is quiet there by luck passes for six. Examples enter as in components.py.

From: Satterthwaite 1946; Stouffer et al. 1949 (z); Welch 1951, Biometrika 38:330 (F); Hartung & Knapp 2001, Statistics
in Medicine 20:3875, and Sidik & Jonkman 2002 (REML's interval); Higgins, Thompson & Spiegelhalter 2009, JRSS A 172:137
(the range of a further setting); Friedman 1937, Iman & Davenport 1980, Demšar 2006, JMLR 7:1 (ranks).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array, equivalence, holm

LIKE_THESE = 5
"""Settings from which on the K differences say something of further settings: fewer leave t next to no power."""

F_SETTINGS = ((10, 10**9), (5, 5), (3, 3))
"""(seeds, settings): from so many seeds a setting on, up to so many settings, Welch's F errs in at most 6 %."""


@dataclass(frozen=True)
class Beyond:
    """What examples say of the means. Arrays (..., rows, blocks): a block is the settings that share examples, averaged
    per example; v: their part of V_e of the mean, noise: of V_n; df: (blocks,) its examples or groups less one."""

    v: Array
    noise: Array
    df: Array


@dataclass(frozen=True)
class Mean:
    """Of the rows' means over settings: arrays (..., rows). here: over seeds alone; else the widest of three."""

    estimate: Array
    se: Array
    df: Array
    p: Array
    ci_low: Array
    ci_high: Array
    p_equivalent: Array
    within_low: Array
    within_high: Array


def satterthwaite(v: Array, df: Array) -> Array:
    """Degrees of freedom of the sum over the last axis. What has no variance adds nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(v.sum(axis=-1) ** 2 / (v**2 / df).sum(axis=-1))


def error_over_seeds(v: Array, df: Array) -> tuple[Array, Array]:
    """V_s of the mean and its degrees of freedom. v, df: of each row's difference in each setting."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(v)
        rows = np.maximum(known.sum(axis=-2, keepdims=True), 1)
        average = np.where(known, v, 0.0).sum(axis=-2, keepdims=True) / rows
        shared = satterthwaite(np.broadcast_to(average, v.shape), df)
        return v.mean(axis=-1) / v.shape[-1], np.fmin(satterthwaite(v, df), shared)


def mean(
    estimate: Array,
    v: Array,
    df: Array,
    beyond: Beyond | None = None,
    alpha: float = ALPHA,
    margin: float | None = None,
) -> Mean:
    """The mean over settings, by seeds; with `beyond` by the largest p and the widest interval of three: over seeds,
    over examples, over both."""
    centre = estimate.mean(axis=-1)
    v_seeds, nu = error_over_seeds(v, df)
    here = by_t(centre, v_seeds, nu, alpha, margin)
    if beyond is None:
        return here
    v_examples, nu_examples = beyond.v.sum(axis=-1), satterthwaite(beyond.v, beyond.df)
    further = np.maximum(beyond.v - beyond.noise, 0.0)
    both = v_seeds + further.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        nu_both = both**2 / (v_seeds**2 / nu + (further**2 / beyond.df).sum(axis=-1))
    return widest(
        here, by_t(centre, v_examples, nu_examples, alpha, margin), by_t(centre, both, nu_both, alpha, margin)
    )


def by_t(estimate: Array, v: Array, df: Array, alpha: float = ALPHA, margin: float | None = None) -> Mean:
    """By t with this variance and these degrees of freedom; no p without a spread."""
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.where(v > 0, np.sqrt(v), np.nan)
        half, narrow = special.stdtrit(df, 1 - alpha / 2) * se, special.stdtrit(df, 1 - alpha) * se
        p = 2 * special.stdtr(df, -np.abs(estimate / se))
        within = equivalence(estimate, se, df, margin) if margin else np.full(np.shape(estimate), np.nan)
    return Mean(
        estimate, se, df, p, estimate - half, estimate + half, within, estimate - narrow, estimate + narrow
    )  # fmt: skip


def widest(here: Mean, *others: Mean) -> Mean:
    """The largest p and the widest interval, with the error of the last; where `here` has no p there is none."""
    every, last = (here, *others), others[-1]

    def largest(name: str) -> Array:
        return np.asarray(np.maximum.reduce([getattr(one, name) for one in every]))

    def smallest(name: str) -> Array:
        return np.asarray(np.minimum.reduce([getattr(one, name) for one in every]))

    return Mean(
        here.estimate, last.se, last.df, largest("p"), smallest("ci_low"), largest("ci_high"), largest("p_equivalent"),
        smallest("within_low"), largest("within_high"),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- settings like these


@dataclass(frozen=True)
class Like:
    """Of settings like these, from the K differences alone; arrays (..., rows). next: where a further setting's true
    difference, as well measured as these, would lie."""

    p: Array
    ci_low: Array
    ci_high: Array
    next_low: Array
    next_high: Array


def like_these(estimate: Array, alpha: float = ALPHA) -> Like:
    """A t test over the K differences; NaN for fewer than LIKE_THESE settings."""
    count = estimate.shape[-1]
    centre = estimate.mean(axis=-1)
    if count < LIKE_THESE:
        none = np.full(centre.shape, np.nan)
        return Like(none, none, none, none, none)
    var = estimate.var(axis=-1, ddof=1)
    found = by_t(centre, var / count, np.full(centre.shape, count - 1.0), alpha)
    reach = special.stdtrit(count - 1.0, 1 - alpha / 2) * np.sqrt(var * (1 + 1 / count))
    return Like(found.p, found.ci_low, found.ci_high, centre - reach, centre + reach)


def tau(estimate: Array, v: Array) -> Array:
    """The standard deviation of the true differences over settings, by REML (Fisher scoring); 0 where the settings'
    own errors explain all."""
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = estimate.var(axis=-1, ddof=1)
        floor = 1e-12 * np.maximum(spread, v.mean(axis=-1))[..., None]
        v = np.maximum(v, floor)  # a setting without any spread would have all the weight
        between = np.maximum(spread - v.mean(axis=-1), 0.0)
        for _ in range(500):
            w = 1 / (v + between[..., None])
            total = w.sum(axis=-1)
            centre = (w * estimate).sum(axis=-1) / total
            square = (w**2).sum(axis=-1)
            # Score and expected information of the restricted likelihood, tr P and tr PP for P = W - ww'/total.
            trace = total - square / total
            information = square - 2 * (w**3).sum(axis=-1) / total + (square / total) ** 2
            step = ((w**2 * (estimate - centre[..., None]) ** 2).sum(axis=-1) - trace) / information
            moved = np.maximum(between + step, 0.0)
            done = np.abs(moved - between) <= 1e-13 * np.maximum(moved, spread)
            between = moved
            if np.all(done | ~np.isfinite(step)):
                break
        return np.asarray(np.sqrt(between))


def reml(estimate: Array, v: Array, alpha: float = ALPHA, margin: float | None = None) -> Mean:
    """REML's mean of settings like these, each weighted by 1 / (V_k + tau²), with Hartung and Knapp's interval."""
    count = estimate.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        w = 1 / (v + tau(estimate, v)[..., None] ** 2)
        total = w.sum(axis=-1)
        centre = (w * estimate).sum(axis=-1) / total
        q = (w * (estimate - centre[..., None]) ** 2).sum(axis=-1) / (count - 1)
        return by_t(centre, q / total, np.full(centre.shape, count - 1.0), alpha, margin)


def standardised(estimate: Array, p: Array) -> tuple[Array, Array]:
    """Stouffer's z over settings, and its p: each setting's own p as z, on the side of its difference. Needs no
    unit."""
    with np.errstate(invalid="ignore"):
        z = np.sign(estimate) * -special.ndtri(np.maximum(p, 1e-300) / 2)
        together = z.sum(axis=-1) / np.sqrt(estimate.shape[-1])
        return together, 2 * special.ndtr(-np.abs(together))


# --------------------------------------------------------------------------------------------------------- differences


def welch_f(estimate: Array, v: Array, df: Array) -> Array:
    """The p of Welch's F that a trick makes the same difference in every setting."""
    count = estimate.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        w = 1 / v
        total = w.sum(axis=-1)
        centre = (w * estimate).sum(axis=-1) / total
        spare = ((1 - w / total[..., None]) ** 2 / df).sum(axis=-1)
        top = (w * (estimate - centre[..., None]) ** 2).sum(axis=-1) / (count - 1)
        f = top / (1 + 2 * (count - 2) / (count**2 - 1) * spare)
        return np.asarray(special.fdtrc(count - 1, (count**2 - 1) / (3 * spare), f))


def f_holds(settings: int, seeds: int) -> bool:
    """Whether Welch's F errs in at most 6 % with so many settings and seeds in each."""
    return settings > 1 and any(seeds >= least and settings <= most for least, most in F_SETTINGS)


# --------------------------------------------------------------------------------------------------------------- ranks


@dataclass(frozen=True)
class Ranks:
    """mean: of each variant over settings, 1 is best. chi2, f: Friedman's, and Iman and Davenport's of it; p: of that
    F. against_first: the p of each variant against the first, uncorrected; NaN for itself."""

    mean: Array
    chi2: float
    f: float
    p: float
    against_first: Array


def ranks(values: Array, higher: bool) -> Array:
    """(settings, variants) values into ranks within each setting, ties sharing their mean."""
    signed = -values if higher else values
    below = (signed[:, None, :] < signed[:, :, None]).sum(axis=2)
    equal = (signed[:, None, :] == signed[:, :, None]).sum(axis=2)
    return np.asarray(below + (equal + 1) / 2)


def friedman(mean_ranks: Array, settings: int) -> Ranks:
    """Friedman's test from average ranks, as Demšar 2006 has it (uncorrected for ties), and each against the first."""
    count = len(mean_ranks)
    chi2 = 12 * settings / (count * (count + 1)) * (float((mean_ranks**2).sum()) - count * (count + 1) ** 2 / 4)
    room = settings * (count - 1) - chi2
    f = float("inf") if room <= 0 else (settings - 1) * chi2 / room
    p = float(special.fdtrc(count - 1, (count - 1) * (settings - 1), f)) if np.isfinite(f) else 0.0
    z = (mean_ranks - mean_ranks[0]) / np.sqrt(count * (count + 1) / (6 * settings))
    against = 2 * special.ndtr(-np.abs(z))
    against[0] = np.nan
    return Ranks(mean_ranks, chi2, f, p, against)


def critical_difference(variants: int, settings: int, alpha: float = ALPHA) -> float:
    """Nemenyi's: average ranks that differ by less are not told apart."""
    from scipy.stats import studentized_range  # a second to import, for this figure alone

    q = float(studentized_range.ppf(1 - alpha, variants, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(variants * (variants + 1) / (6 * settings)))


@dataclass(frozen=True)
class Ranking:
    """Variants over settings. variants: what others are compared with first. ranks: (settings, variants). p_adjusted:
    of each against the first, by Holm; NaN for itself. critical: mean ranks that differ by less are not told apart.
    seeds: the fewest behind a difference."""

    settings: tuple[str, ...]
    variants: tuple[str, ...]
    ranks: Array
    found: Ranks
    p_adjusted: Array
    critical: float
    seeds: int

    @property
    def order(self) -> list[int]:
        """The variants' places, the best mean rank first."""
        return [int(i) for i in np.argsort(self.found.mean, kind="stable")]


def ranking(settings: Sequence[str], variants: Sequence[str], values: Array, higher: bool, seeds: int) -> Ranking:
    """values: (settings, variants), all known; of so many seeds each."""
    each = ranks(values, higher)
    found = friedman(each.mean(axis=0), len(each))
    adjusted = holm(found.against_first, len(variants) - 1)
    return Ranking(
        tuple(settings), tuple(variants), each, found, adjusted, critical_difference(len(variants), len(each)),
        seeds,
    )  # fmt: skip


RANKED = 1.5
"""How much better than the first one variant is, in standard deviations of a run, where it is asked what ranks find."""


@functools.cache
def found_by_ranks(settings: int, variants: int, seeds: int, alpha: float = ALPHA) -> tuple[float, float]:
    """In which share of studies ranks find one variant that is RANKED better than the first in every setting, and in
    which the mean of differences does, each by Holm; 1,000 simulated studies of equal spreads."""
    rng = np.random.default_rng([settings, variants, seeds])
    by_rank, by_mean, studies, rows = 0, 0, 1000, variants - 1
    size = max(1_000_000 // (settings * variants * seeds), 1)
    for begun in range(0, studies, size):
        runs = rng.normal(size=(min(size, studies - begun), variants, settings, seeds))
        runs[:, -1] += RANKED
        means = runs.mean(axis=-1)
        each = np.array([friedman(ranks(one.T, True).mean(axis=0), settings).against_first[1:] for one in means])
        differences = runs[:, 1:] - runs[:, :1]
        by_rank += sum(holm(p, rows)[-1] < alpha for p in each)
        if seeds >= MINIMUM_N:
            v = differences.var(axis=-1, ddof=1) / seeds
            judged = mean(differences.mean(axis=-1), v, np.full(v.shape, seeds - 1.0)).p
            by_mean += sum(holm(p, rows)[-1] < alpha for p in judged)
    return float(by_rank / studies), float(by_mean / studies)


def alike(mean_ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """Of sorted mean ranks the largest groups (first and last place) within which no two are told apart."""
    groups: list[tuple[int, int]] = []
    for first in range(len(mean_ranks)):
        last = max(i for i in range(first, len(mean_ranks)) if mean_ranks[i] - mean_ranks[first] < critical)
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups
