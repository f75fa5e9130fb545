"""Which comparisons changed nothing at all: inert, or only alike in all that was logged. Pure.

Equal hashes of weights and predictions for every shared seed show it. A task that hashes nothing shows it by many real
numbers: an accuracy on 100 images has 101 values, and two different models tie on one easily.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from ablate.analysis.measured import Measured

if TYPE_CHECKING:
    from ablate.store.stored import StoredAttempt

Point = tuple[str, int]
"""A variant and a seed."""

Pair = tuple[str, str]
"""A variant and what it is compared with."""

Numbers = Mapping[tuple[str, int | None], float]
"""What a run logged, by metric and step (None: at the end), measured costs aside."""

Logged = Callable[[], Mapping[Point, Numbers]]
"""Reads everything that each counted run logged."""

ENOUGH = 20
"""Real numbers of a run that must all be equal before a trick is called inert."""

_COUNTS = 100_000
"""Images up to which a share of them is told from a real number: of doubles fewer than 1 in 100,000 meets one."""

_SHORT_COUNTS = (2_000, (10_000, 50_000, 100_000))
"""The same of numbers that came from 32 bits, and larger counts that are usual: more would meet every such number."""


def inert(
    measured: Measured, attempts: Sequence[StoredAttempt], logged: Logged
) -> tuple[frozenset[Pair], frozenset[Pair]]:
    """The comparisons that are inert, and those whose every logged number is equal without showing it.

    What was `logged` is read only for comparisons whose metric is identical already and whose task hashes nothing.
    """
    outputs = {(attempt.variant, attempt.seed): _hashes(attempt.outputs) for attempt in attempts}
    values = measured.values[measured.metric.name]
    row = {name: i for i, name in enumerate(measured.variants)}
    shown, unhashed = set(), {}
    for variant, reference in measured.family:
        both = np.isfinite(values[row[variant]]) & np.isfinite(values[row[reference]])
        shared = [seed for seed, done in zip(measured.seeds, both, strict=True) if done]
        pairs = [(outputs.get((variant, seed)), outputs.get((reference, seed))) for seed in shared]
        if not pairs:
            continue
        if all(one and other for one, other in pairs):
            if all(_alike(one, other) for one, other in pairs if one and other):
                shown.add((variant, reference))
        elif np.array_equal(values[row[variant], both], values[row[reference], both]):
            unhashed[variant, reference] = shared
    everything = logged() if unhashed else {}
    alike: set[Pair] = set()
    for (variant, reference), shared in unhashed.items():
        if all(everything[variant, seed] == everything[reference, seed] for seed in shared):
            (shown if _tells([everything[variant, seed] for seed in shared]) else alike).add((variant, reference))
    return frozenset(shown), frozenset(alike)


def _alike(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two runs made the same. Before 0.2 nobody took the hash of the best epoch's weights."""
    unknown = {"best_weights"} - (one.keys() & other.keys())
    return {**one, **dict.fromkeys(unknown)} == {**other, **dict.fromkeys(unknown)}


def _hashes(outputs: Mapping[str, str]) -> dict[str, str]:
    """Without the texts that a task logged beside its numbers: that they are equal shows nothing."""
    return {name: value for name, value in outputs.items() if not name.startswith("note:")} if outputs else {}


def _tells(runs: Sequence[Numbers]) -> bool:
    """Whether every run logged ENOUGH real numbers that depend on what was trained.

    A number that is the same for all seeds, like a learning rate's schedule, says nothing of training.
    """
    return all(sum(real(value) and _moves(at, runs) for at, value in run.items()) >= ENOUGH for run in runs)


def _moves(at: tuple[str, int | None], runs: Sequence[Numbers]) -> bool:
    return len(runs) == 1 or len({run.get(at) for run in runs}) > 1


def real(value: float) -> bool:
    """Whether a number is no count, and no share or percentage of one."""
    if not np.isfinite(value) or value == round(value):
        return False
    return not any(_is_share(share) for share in (value, value / 100) if abs(share) <= 1)


def _is_share(value: float) -> bool:
    """Whether a number is a fraction of counts, to rounding."""
    if float(np.float32(value)) != value and float(np.float32(value * 100)) != value * 100:
        return _near(value, Fraction(value).limit_denominator(_COUNTS), 2.0**-50)
    most, usual = _SHORT_COUNTS
    fractions = (Fraction(value).limit_denominator(most), *(Fraction(round(value * n), n) for n in usual))
    return any(_near(value, fraction, 2.0**-23) for fraction in fractions)


def _near(value: float, fraction: Fraction, rounding: float) -> bool:
    return abs(float(fraction) - value) <= rounding * abs(value)
