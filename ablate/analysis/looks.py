"""Adaptive seeds, `seeds: {looks: [3, 5, 10]}`: what each look settles, how many seeds each variant is to have. Pure.

At a look every comparison that is still open is tested by exactly that look's seeds. What is settled (helps, hurts,
equivalent, inert) gets no further seeds and keeps that verdict, whatever seeds its variant has later for the sake of
others. A look is over when each of its runs is done or has failed for good. Nothing is remembered: the course of a
study is read off its results each time, so a killed `run` goes on where it was.

With K looks and m comparisons, a look rejects by Holm at ALPHA / K over the m - r comparisons that no earlier look
rejected (those that stopped otherwise stay in that number). Why the chance of any false rejection, over all rows and
looks, is at most ALPHA: let m0 of the m hypotheses be true, and take the first rejection of a true one. All r rejected
before it are false hypotheses, so m - r >= m0, and its p at its look is at most ALPHA / (K (m - r)) <= ALPHA / (K m0).
There are m0 true hypotheses and K looks, each with one p that is fixed beforehand (its seeds do not depend on
results), so by Bonferroni's inequality that has a probability of at most m0 K ALPHA / (K m0) = ALPHA. Neither the rule
by which rows stop nor how rows depend on one another enters. In the same way two one-sided tests at ALPHA / K call a
row equivalent wrongly with a probability of at most ALPHA, and intervals at 1 - ALPHA / K cover at all looks together.
(A failed run that `retry` brings to a result has its look tested anew, which is one test more than was counted.)

From: Holm 1979; rejections kept from look to look as in Ye, Li, Liu & Yao 2013, Statistics in Medicine 32:1112, and
Maurer & Bretz 2013, Statistics in Biopharmaceutical Research 5:311; intervals: Jennison & Turnbull 1989, JRSS B 51:305.
Pocock's levels (1977) are less strict (at 3 looks 0.0221 where Bonferroni's is 0.0167) and hold for looks at equal
distances and normal means of known variance, which three seeds are not (results/error_rates.md has both).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.analysis.comparisons import ALPHA, Array, holm

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Look:
    """What the first `seeds` seeds show of every comparison of the family; arrays (comparisons,).

    p: two-sided, raw; p_equivalent: of two one-sided tests; NaN where there is none. inert: outputs are bit-identical.
    over: whether each run of the row and of its comparison, of these seeds, is done or has failed for good.
    """

    seeds: int
    p: Array
    p_equivalent: Array
    inert: Flags
    over: Flags


@dataclass(frozen=True)
class Course:
    """Where each comparison stands; arrays (comparisons,).

    at: the last look (from 0) that judged it, -1 where none did yet. settled: it gets no further seeds. p_adjusted: at
    that look, by Holm and by the number of looks. current: the look under way; None: nothing more is to be run.
    """

    at: Numbers
    settled: Flags
    p_adjusted: Array
    current: int | None


def follow(looks: Sequence[Look]) -> Course:
    """The course of a study, from its looks in order."""
    size, count = len(looks[0].p), len(looks)
    at, settled, adjusted = np.full(size, -1), np.zeros(size, dtype=bool), np.full(size, np.nan)
    rejected = 0
    for k, look in enumerate(looks):
        still = ~settled
        if k and not still.any():
            return Course(at, settled, adjusted, None)
        if not look.over[still].all():
            return Course(at, settled, adjusted, k)
        here = np.minimum(count * holm(np.where(still & ~look.inert, look.p, np.nan), size - rejected), 1.0)
        different = still & (here < ALPHA)
        rejected += int(different.sum())
        at[still], adjusted[still] = k, here[still]
        settled |= different | (still & ((look.p_equivalent < ALPHA / count) | look.inert))
    return Course(at, settled, adjusted, None)


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
