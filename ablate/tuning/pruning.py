"""When a run of a search is paused, and when it may go on. Pure: curves go in, a decision comes out.

median: a run stops where its best value so far is worse than the median of the finished trials' values at that step
(Golovin et al. 2017, as in Optuna's MedianPruner). hyperband: brackets of asynchronous successive halving (Li et al.
2018 and 2020, as in Optuna's HyperbandPruner): at each rung the best third goes on. A paused run is a full-length one
that waits; when later trials put it among the best third of its rung, it is promoted and goes on where it was.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping, Sequence
from statistics import median

from ablate.records import Better

STARTUP = 5
"""Finished trials before a median says anything."""

KEPT = 3
"""Of so many, one goes on at each rung of hyperband."""

Curve = Mapping[int, float]
"""The metric by step, from 1."""


def below_median(curve: Curve, step: int, finished: Sequence[Curve], better: Better) -> bool:
    """Whether a run with this curve is to stop at `step`. finished: curves of trials that were trained to the end."""
    if len(finished) < STARTUP:
        return False
    others = [other[step] for other in finished if step in other]
    if not others or step not in curve:
        return False
    so_far = [value for at, value in curve.items() if at <= step]
    return max(so_far) < median(others) if better == "higher" else min(so_far) > median(others)


# ----------------------------------------------------------------------------------------------------------- hyperband


def brackets(steps: int) -> int:
    """How many brackets there are for runs of so many steps: the first starts to halve at step 1, the next at 3, ..."""
    return math.floor(math.log(steps, KEPT) + 1e-9) + 1


def bracket_of(search: str, trial: int, steps: int) -> int:
    """The bracket of a trial: more trials for brackets that stop them early. Decided by search and number alone."""
    count = brackets(steps)
    shares = [math.ceil(count * KEPT ** (count - 1 - i) / (count - i)) for i in range(count)]
    place = binascii.crc32(f"{search}_{trial}".encode()) % sum(shares)
    for bracket, share in enumerate(shares):
        place -= share
        if place < 0:
            return bracket
    raise AssertionError("the shares of the brackets cover every place")


def rungs(bracket: int, steps: int) -> list[int]:
    """The steps at which trials of a bracket are halved; the end of a run is none."""
    halvings = []
    step = KEPT**bracket
    while step < steps:
        halvings.append(step)
        step *= KEPT
    return halvings


def goes_on(value: float, rung: Sequence[float], better: Better) -> bool:
    """Whether a value belongs to the best third of its rung. rung: every value there, its own among them."""
    ordered = sorted(rung, reverse=better == "higher")
    last = ordered[max(len(ordered) // KEPT - 1, 0)]
    return value >= last if better == "higher" else value <= last
