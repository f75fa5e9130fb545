"""How often the default analysis is wrong: 20,000 simulated studies per case, coverage and family-wise error.

    python tests/benchmarks/error_rates.py [STUDIES] > results/error_rates.md

Every true difference is nothing, so each interval should cover 0 in 95 % and each study call anything in at most 5 %.
Cases: (a) equal spreads; (b) one row with 6 x the spread; (c) a baseline with 2 x the spread. Seeds are shared, with a
seed effect as large as the noise. `pooled` is `analysis: {error: pooled}`. Exit code 1 where a promise does not hold.
tests/test_simulation.py runs a small part of it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy import special

from ablate import comparisons
from ablate.comparisons import ALPHA

CASES = {"equal spreads": "a", "one row with 6 x the spread": "b", "a baseline with 2 x the spread": "c"}
SEEDS, ROWS = (3, 5, 10), (4, 8, 12)


@dataclass(frozen=True)
class Outcome:
    """Shares of: intervals that cover the truth; studies that call anything; and of the odd row of case b alone, and
    of all other rows, intervals that cover."""

    covered: float
    errors: float
    odd: float
    others: float


def simulate(case: str, seeds: int, rows: int, studies: int, seed: int = 20250101) -> dict[str, Outcome]:
    """Both analyses of the same simulated studies: `own` pairs and `pooled`."""
    rng = np.random.default_rng([seed, seeds, rows, ord(case)])
    spread = np.ones(rows + 1)
    spread[{"b": 1, "c": 0}.get(case, 0)] = {"b": 6.0, "c": 2.0}.get(case, 1.0)
    values = rng.normal(size=(studies, rows + 1, seeds)) * spread[:, None] + rng.normal(size=(studies, 1, seeds))
    row = values[:, 1:].reshape(-1, seeds)
    base = np.repeat(values[:, :1], rows, axis=1).reshape(-1, seeds)
    own = comparisons.compare(row, base)
    found = {"own": _outcome(own.ci_low, own.ci_high, own.p, studies, rows)}
    # The same as comparisons.pool on each study, for all of them at once; the fast test holds one against the other.
    centred = values - values.mean(axis=2, keepdims=True) - values.mean(axis=1, keepdims=True)
    centred += values.mean(axis=(1, 2), keepdims=True)
    df = rows * (seeds - 1)
    se = np.repeat(np.sqrt((centred**2).sum(axis=(1, 2)) / df * 2 / seeds), rows)
    half = special.stdtrit(df, 1 - ALPHA / 2) * se
    p = 2 * special.stdtr(df, -np.abs(own.estimate / se))
    found["pooled"] = _outcome(own.estimate - half, own.estimate + half, p, studies, rows)
    return found


def _outcome(low: np.ndarray, high: np.ndarray, p: np.ndarray, studies: int, rows: int) -> Outcome:
    covered = ((low < 0) & (high > 0)).reshape(studies, rows)
    called = _any_called(p.reshape(studies, rows))
    return Outcome(
        float(covered.mean()), float(called.mean()), float(covered[:, 0].mean()), float(covered[:, 1:].mean())
    )


def _any_called(p: np.ndarray) -> np.ndarray:
    """Whether Holm rejects anything: its first step is Bonferroni's."""
    return p.min(axis=1) * p.shape[1] < ALPHA


def broken(case: str, found: dict[str, Outcome]) -> list[str]:
    """Which promises these outcomes break, in words."""
    wrong = []
    for analysis in ("own", "pooled") if case == "a" else ("own",):
        outcome = found[analysis]
        if not 0.94 <= outcome.covered <= 0.96:
            wrong.append(f"{analysis} covers {outcome.covered:.1%}")
        if outcome.errors > 0.055:
            wrong.append(f"{analysis} errs in {outcome.errors:.1%} of studies")
    return wrong


def main(studies: int) -> int:
    print(
        f"How often each analysis is wrong (`make bench`): {studies:,} simulated studies per line, in which no trick does "
        "anything.\nOwn pairs are the default; pooled is `analysis: {error: pooled}`, which is right only where all "
        "spreads are equal.\n"
    )
    print(
        "| spreads | seeds | rows | own: covers | own: errs | pooled: covers | pooled: errs | pooled: odd row | others |"
    )
    print("|:--|--:|--:|--:|--:|--:|--:|--:|--:|")
    wrong = []
    for name, case in CASES.items():
        for seeds in SEEDS:
            for rows in ROWS:
                found = simulate(case, seeds, rows, studies)
                own, pooled = found["own"], found["pooled"]
                print(
                    f"| {name} | {seeds} | {rows} | {own.covered:.1%} | {own.errors:.1%} | {pooled.covered:.1%} | "
                    f"{pooled.errors:.1%} | {pooled.odd:.1%} | {pooled.others:.1%} |"
                )
                wrong += [f"{name}, {seeds} seeds, {rows} rows: {what}" for what in broken(case, found)]
    print("\n".join(["", *wrong]) if wrong else "\nevery promise holds")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000))
