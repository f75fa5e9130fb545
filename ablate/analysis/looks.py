"""Adaptive seeds, `seeds: {looks: [3, 5, 10]}`: what each look settles, how many seeds each variant is to have. Pure.

At a look every comparison that is still open is tested by exactly that look's seeds. What is settled (helps, hurts,
equivalent, inert) gets no further seeds and keeps that verdict, whatever seeds its variant has later for the sake of
others. A look is over when each of its runs is done or has failed for good. Nothing is remembered: the course of a
study is read off its results each time, so a killed `run` goes on where it was.

Look k of K has a level of its own, ALPHA_k; they sum to ALPHA. With m comparisons it rejects by Holm at ALPHA_k over
the m - r comparisons that no earlier look rejected (those that stopped otherwise stay in that number). Why the chance
of any false rejection, over all rows and looks, is at most ALPHA: let m0 of the m hypotheses be true, and take the
first rejection of a true one. All r rejected before it are false hypotheses, so m - r >= m0, and its p at its look is
at most ALPHA_k / (m - r) <= ALPHA_k / m0. There are m0 true hypotheses and K looks, each with one p that is fixed
beforehand (its seeds do not depend on results), so by Bonferroni's inequality that has a probability of at most the
sum over looks of m0 ALPHA_k / m0 = ALPHA. Neither the rule by which rows stop nor how rows depend on one another
enters. The two one-sided tests are a second family with the same proof, so some false `equivalent` has a probability
of at most ALPHA, too; and intervals at 1 - ALPHA_k cover at all looks together. Where a study has several families
(parts, their controls, parts against these), m and r are each family's own and the proof is made for each: it asks
nothing of when or why rows of another family stop, only that a comparison's p at a look is fixed beforehand.
(A failed run that `retry` brings to a result has its look tested anew, which is one test more than was counted.)

Levels go in proportion to the square of a look's seeds: at the first look, of three seeds, t is so wide that an equal
share buys next to nothing, and at the last one it is missed (results/error_rates.md has both, simulated).

From: Holm 1979; alpha spent late: Lan & DeMets 1983, Biometrika 70:659 (their power family, rho = 2, by information);
rejections kept from look to look as in Ye, Li, Liu & Yao 2013, Statistics in Medicine 32:1112, and Maurer & Bretz
2013, Statistics in Biopharmaceutical Research 5:311; intervals: Jennison & Turnbull 1989, JRSS B 51:305. Pocock's
levels (1977) hold for looks at equal distances and normal means of known variance, which three seeds are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.comparisons import ALPHA, Array, holm_within

SPENDING = 2
"""The power of its seeds that a look's level is in proportion to; 0 gives every look the same."""

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]


def levels(seeds: Sequence[int], spending: float = SPENDING) -> Array:
    """The level of each look, from its seeds: they sum to ALPHA."""
    shares = np.asarray(seeds, dtype=float) ** spending
    return np.asarray(ALPHA * shares / shares.sum())


@dataclass(frozen=True)
class Look:
    """What the first `seeds` seeds show of every comparison of the family; arrays (comparisons,).

    p: two-sided, raw; p_equivalent: of two one-sided tests; NaN where there is none. inert: outputs are bit-identical.
    over: whether each run of the row and of its comparison, of these seeds, is done or has failed for good.
    here_p, here_equivalent: the same over seeds alone, None where p speaks of nothing else. beyond: whether the
    examples alone leave more than the difference, so that no number of seeds can settle the row.
    """

    seeds: int
    p: Array
    p_equivalent: Array
    inert: Flags
    over: Flags
    here_p: Array | None = None
    here_equivalent: Array | None = None
    beyond: Flags | None = None


@dataclass(frozen=True)
class Course:
    """Where each comparison stands; arrays (comparisons,).

    at: the last look (from 0) that judged it, -1 where none did yet. settled: it gets no further seeds. p_adjusted,
    p_equivalent: at that look, by Holm and by the look's share of ALPHA; here_adjusted, here_equivalent: the same over
    seeds alone. stuck: it stands over seeds on these examples, and no number of seeds can settle it beyond them.
    current: the look under way; None: nothing more is to be run.
    """

    at: Numbers
    settled: Flags
    p_adjusted: Array
    p_equivalent: Array
    here_adjusted: Array
    here_equivalent: Array
    stuck: Flags
    current: int | None


def follow(
    looks: Sequence[Look], spending: float = SPENDING, families: Sequence[Sequence[int]] | None = None
) -> Course:
    """The course of a study, from its looks in order. families: the places of comparisons that are corrected together;
    None: all are one."""
    size, shares = len(looks[0].p), levels([look.seeds for look in looks], spending) / ALPHA
    at, settled, stuck = np.full(size, -1), np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    kept = np.full((4, size), np.nan)  # p, p_equivalent, and both over seeds alone
    together: Sequence[Sequence[int]] = [range(size)] if families is None else families
    rejected = np.zeros((2, size), dtype=bool)  # different, equivalent: by which rows Holm's count is less
    current: int | None = None
    for k, look in enumerate(looks):
        still = ~settled
        if k and not still.any():
            break
        if not look.over[still].all():
            current = k
            break
        tested = still & ~look.inert
        here_p = look.p if look.here_p is None else look.here_p
        here_equivalent = look.p_equivalent if look.here_equivalent is None else look.here_equivalent
        each = [
            holm_within(np.where(tested, p, np.nan), [(of, len(of) - int(found[[*of]].sum())) for of in together])
            for p, found in zip((look.p, look.p_equivalent, here_p, here_equivalent), [*rejected] * 2, strict=True)
        ]
        adjusted = np.minimum(np.stack(each) / shares[k], 1.0)
        at[still], kept[:, still] = k, adjusted[:, still]
        apart, alike, apart_here = (still & (p < ALPHA) for p in adjusted[:3])
        rejected |= np.stack([apart, alike])
        # Such a row stopped without a rejection, so it stays in Holm's number, and the proof above is the same.
        stuck |= apart_here & ~apart & ~alike & (False if look.beyond is None else look.beyond)
        settled |= apart | alike | stuck | (still & look.inert)
    return Course(at, settled, kept[0], kept[1], kept[2], kept[3], stuck, current)


@dataclass(frozen=True)
class Wanted:
    """Seeds of each variant, arrays (variants,): now: those that are to be run now. most: those that may yet be asked
    for. shown: those of the last look that judged a row of the variant or a row compared with it (the first at least).
    """

    now: Numbers
    most: Numbers
    shown: Numbers


def wanted(course: Course, seeds: Sequence[int], of: Sequence[int], against: Sequence[int], variants: int) -> Wanted:
    """How many seeds each variant is to have. seeds: of each look. of, against: the variants of each comparison.

    A row and its comparison get the same seeds. A variant in no comparison has nothing to settle: the first look's.
    """
    sizes = np.asarray(seeds)
    judged = sizes[np.maximum(course.at, 0)]
    going = ~course.settled if course.current is not None else np.zeros(len(judged), dtype=bool)
    current = sizes[course.current or 0]
    per_variant = []
    for each in (np.where(going, current, judged), np.where(going, sizes[-1], judged), judged):
        most = np.full(variants, sizes[0])
        np.maximum.at(most, list(of), each)
        np.maximum.at(most, list(against), each)
        per_variant.append(most)
    return Wanted(*per_variant)
