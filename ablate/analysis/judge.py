"""What the verdict of each comparison speaks of: its p, its interval, whether it is equivalent. The one place. Pure.

The estimates and each row's own spread are comparisons.py's; here the test that the study declares turns them into what
is corrected and printed. Another source of error than seeds, or another test, enters here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from ablate.analysis import sign_flip
from ablate.analysis.comparisons import MINIMUM_N, Array, Differences, equivalence
from ablate.analysis.components import Components, both


@dataclass(frozen=True)
class Judged:
    """Arrays (comparisons,), NaN where there is no number. test: how each was tested.

    ci: covers 1 - alpha. p_equivalent: of two one-sided tests that the difference lies within the margin, uncorrected;
    within: the interval of 1 - 2 alpha, which lies inside the margin exactly where that p is below alpha.
    """

    test: tuple[str, ...]
    p: Array
    ci_low: Array
    ci_high: Array
    p_equivalent: Array
    within_low: Array
    within_high: Array


def by_t(tested: Differences, alpha: float, margin: float | None) -> Judged:
    """By t, of whatever error `tested` has: own pairs, Welch's, pooled, shrunken."""
    names = tuple(
        "pooled t" if pooled else "moderated t" if moderated else "paired t" if paired else "Welch t"
        for pooled, moderated, paired in zip(
            tested.pooled, tested.pooled if tested.moderated is None else tested.moderated, tested.paired, strict=True
        )
    )
    return _by_t(names, tested.estimate, tested.se, tested.df, alpha, margin)


def _by_t(names: tuple[str, ...], e: Array, se: Array, df: Array, alpha: float, margin: float | None) -> Judged:
    """By t with these standard errors and degrees of freedom."""
    half, narrow = special.stdtrit(df, 1 - alpha / 2) * se, special.stdtrit(df, 1 - alpha) * se
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * special.stdtr(df, -np.abs(e / se))
        within = equivalence(e, se, df, margin) if margin else np.full(len(e), np.nan)
    return Judged(names, p, e - half, e + half, within, e - narrow, e + narrow)


def by_both(here: Judged, tested: Differences, parts: Components, alpha: float, margin: float | None) -> Judged:
    """Of other seeds and other examples: the largest p and the widest interval of three, over seeds (`here`, as the
    study declares), over examples, and over both.

    Not V and Satterthwaite's degrees of freedom alone: three seeds that agree by luck would pass for many degrees of
    freedom, so that test errs in 8 % of studies at 5 %, and at Holm's first level far more often (results/
    error_rates.md). A row without a p over seeds has none here.
    """
    v, df = both(tested.se**2, tested.df, parts)
    judged = here
    for se, of in ((np.sqrt(parts.v_examples), parts.units - 1), (np.sqrt(v), df)):
        other = _by_t(here.test, tested.estimate, se, of, alpha, margin)
        judged = Judged(
            here.test, np.maximum(judged.p, other.p),
            np.minimum(judged.ci_low, other.ci_low), np.maximum(judged.ci_high, other.ci_high),
            np.maximum(judged.p_equivalent, other.p_equivalent),
            np.minimum(judged.within_low, other.within_low), np.maximum(judged.within_high, other.within_high),
        )  # fmt: skip
    return judged


def by_sign_flip(tested: Differences, row: Array, reference: Array, alpha: float, margin: float | None) -> Judged:
    """By sign flips wherever there are pairs and a spread; rows without pairs keep Welch's test.

    row, reference: (comparisons, seeds), as they were given to `compare`.
    """
    judged = by_t(tested, alpha, margin)
    names = list(judged.test)
    p, low, high, within, narrow_low, narrow_high = (
        array.copy()
        for array in (
            judged.p, judged.ci_low, judged.ci_high, judged.p_equivalent, judged.within_low, judged.within_high,
        )
    )  # fmt: skip
    usable = tested.paired & (tested.pairs >= MINIMUM_N) & ~tested.identical & ~tested.no_spread
    for i in np.flatnonzero(tested.paired):
        names[i] = "sign flip"
        if usable[i]:
            difference = row[i] - reference[i]
            difference = difference[np.isfinite(difference)]
            p[i] = sign_flip.two_sided(difference)
            low[i], high[i] = sign_flip.interval(difference, alpha)
            narrow_low[i], narrow_high[i] = sign_flip.interval(difference, 2 * alpha)
            within[i] = sign_flip.equivalence(difference, margin) if margin else np.nan
    return replace(
        judged, test=tuple(names), p=p, ci_low=low, ci_high=high, p_equivalent=within, within_low=narrow_low,
        within_high=narrow_high,
    )  # fmt: skip
