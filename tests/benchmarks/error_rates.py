"""How often the analysis is wrong: 20,000 simulated studies per case, coverage and family-wise error.

    python tests/benchmarks/error_rates.py [STUDIES] > results/error_rates.md

Every true difference is nothing, so each interval should cover 0 in 95 % and each study call anything in at most 5 %.
Cases: (a) equal spreads; (b) one row with 6 x the spread; (c) a baseline with 2 x the spread. Seeds are shared, with a
seed effect as large as the noise. `pooled` is `analysis: {error: pooled}`. Exit code 1 where a promise does not hold.
Then the same spreads with adaptive seeds, looks at 3, 5 and 10, against equal levels (as before) and against peeking: Holm
at 5 % at each look; equivalence with and without Holm; effects of factorials by their own values and by a pooled error;
Lenth's limits; then what two_sources.py and settings.py have.
tests/analysis/test_simulation.py runs a small part of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from ablate.analysis import comparisons, factorial
from ablate.analysis.comparisons import ALPHA
from ablate.analysis.lenth import by_lenth
from ablate.analysis.looks import SPENDING, Look, follow, levels, wanted

CASES = {"equal spreads": "a", "one row with 6 x the spread": "b", "a baseline with 2 x the spread": "c"}
SEEDS, ROWS = (3, 5, 10), (4, 8, 12)
LOOKS = (3, 5, 10)
REAL = (2.0, 6.0)
"""By so many standard deviations of a value half the rows differ, in the adaptive studies in which any does."""
MARGIN = 1.5
"""The `minimum_effect` within which a row is equivalent and stops."""


@dataclass(frozen=True)
class Outcome:
    """Shares of: intervals that cover the truth; studies that call anything; and of the odd row of case b alone, and
    of all other rows, intervals that cover."""

    covered: float
    errors: float
    odd: float
    others: float


@dataclass(frozen=True)
class Adaptive:
    """Shares of: studies that call a row that does nothing, and that would by peeking; rows whose interval, at the look
    where they stopped, covers the truth; runs of the full plan that were saved; real rows found, and found by a fixed
    plan of the largest look."""

    errors: float
    peeking: float
    covered: float
    saved: float
    found: float
    found_fixed: float


def simulate(case: str, seeds: int, rows: int, studies: int, seed: int = 20250101) -> dict[str, Outcome]:
    """Both analyses of the same simulated studies: `own` pairs and `pooled`."""
    values = _values(case, seeds, rows, studies, seed)
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


def _values(case: str, seeds: int, rows: int, studies: int, seed: int) -> np.ndarray:
    """(studies, 1 + rows, seeds): the baseline first; no row differs."""
    rng = np.random.default_rng([seed, seeds, rows, ord(case)])
    spread = np.ones(rows + 1)
    spread[{"b": 1, "c": 0}.get(case, 0)] = {"b": 6.0, "c": 2.0}.get(case, 1.0)
    return rng.normal(size=(studies, rows + 1, seeds)) * spread[:, None] + rng.normal(size=(studies, 1, seeds))


def simulate_looks(
    case: str, effect: float, studies: int, rows: int = 12, seed: int = 20250102, spending: float = SPENDING
) -> Adaptive:
    """Adaptive seeds as the program decides them. effect: by how much the last half of the rows truly differs.

    spending: 0 gives every look the same level.
    """
    real = rows // 2 if effect else 0
    truth = np.array([0.0] * (rows - real) + [effect] * real)
    values = _values(case, LOOKS[-1], rows, studies, seed)
    values[:, 1:] += truth[:, None]
    row = values[:, 1:].reshape(studies * rows, -1)
    base = np.repeat(values[:, :1], rows, axis=1).reshape(studies * rows, -1)
    tested = [
        comparisons.compare(row[:, :n], base[:, :n], float(at))
        for n, at in zip(LOOKS, levels(LOOKS, spending), strict=True)
    ]
    p = np.stack([each.p.reshape(studies, rows) for each in tested])
    within = np.stack([comparisons.equivalence(t.estimate, t.se, t.df, MARGIN).reshape(studies, rows) for t in tested])
    covers = np.stack([(t.ci_low < np.tile(truth, studies)) & (np.tile(truth, studies) < t.ci_high) for t in tested])
    covers = covers.reshape(len(LOOKS), studies, rows)
    inert, over, places = np.zeros(rows, dtype=bool), np.ones(rows, dtype=bool), np.arange(rows)
    wrong = peeked = covered = runs = found = fixed = 0
    nothing = truth == 0
    for i in range(studies):
        course = follow([Look(n, p[k, i], within[k, i], inert, over) for k, n in enumerate(LOOKS)], spending)
        called = course.p_adjusted < ALPHA
        wrong += bool((called & nothing).any())
        peeked += any((comparisons.holm(p[k, i])[nothing] < ALPHA).any() for k in range(len(LOOKS)))
        covered += int(covers[course.at, i, places].sum())
        runs += int(wanted(course, LOOKS, list(1 + places), [0] * rows, rows + 1).now.sum())
        found += int((called & ~nothing).sum())
        fixed += int((comparisons.holm(p[-1, i])[~nothing] < ALPHA).sum())
    full, there = studies * (rows + 1) * LOOKS[-1], studies * max(real, 1)
    return Adaptive(
        wrong / studies, peeked / studies, covered / (studies * rows), 1 - runs / full, found / there, fixed / there
    )


def simulate_equivalence(
    truth: float, seeds: int, rows: int, studies: int, seed: int = 20250103
) -> tuple[float, float]:
    """Shares of rows, or at the margin of studies with any, called equivalent: each test at 5 %, and after Holm.

    Every row differs by `truth`; equivalent is what lies within MARGIN.
    """
    values = _values("a", seeds, rows, studies, seed)
    row = (values[:, 1:] + truth).reshape(-1, seeds)
    tested = comparisons.compare(row, np.repeat(values[:, :1], rows, axis=1).reshape(-1, seeds))
    p = comparisons.equivalence(tested.estimate, tested.se, tested.df, MARGIN).reshape(studies, rows)
    if abs(truth) >= MARGIN:
        return float((p < ALPHA).any(axis=1).mean()), float(_any_called(p).mean())
    adjusted = np.array([comparisons.holm(each) for each in p])
    return float((p < ALPHA).mean()), float((adjusted < ALPHA).mean())


FACTORIALS = ("equal spreads", "tricks do more in some seeds", "one cell with 6 x the spread")


@dataclass(frozen=True)
class Contrasts:
    """Of the effects in a factorial without any: intervals that cover, studies that call an effect, and the standard
    error of Shapley values (root mean square) in shares of their true standard deviation."""

    covered: float
    errors: float
    shapley_se: float


def simulate_factorial(
    case: str, seeds: int, studies: int, tricks: int = 3, seed: int = 20250104
) -> dict[str, Contrasts]:
    """Both errors of the same studies of 2^tricks cells: `own` values per seed, and `pooled`."""
    rng = np.random.default_rng([seed, seeds, FACTORIALS.index(case)])
    cells = np.array([[i >> j & 1 for j in range(tricks)] for i in range(1 << tricks)])
    values = rng.normal(size=(studies, len(cells), seeds)) + rng.normal(size=(studies, 1, seeds))
    if case == FACTORIALS[1]:
        values += np.einsum("ct,xts->xcs", cells - 0.5, rng.normal(size=(studies, tricks, seeds)))
    if case == FACTORIALS[2]:
        values[:, -1] *= 6
    effect = (2 * cells.T - 1) / (len(cells) / 2)
    shares = factorial.shapley_weights(tricks)
    centred = values - values.mean(axis=2, keepdims=True) - values.mean(axis=1, keepdims=True)
    centred += values.mean(axis=(1, 2), keepdims=True)
    pooled_df = (len(cells) - 1) * (seeds - 1)
    mse = (centred**2).sum(axis=(1, 2)) / pooled_df
    found = {}
    each = np.einsum("tc,xcs->xts", effect, values)
    played = np.einsum("tc,xcs->xts", shares, values)
    for name in ("own", "pooled"):
        if name == "own":
            se, df = each.std(axis=2, ddof=1) / np.sqrt(seeds), seeds - 1
            share_se = played.std(axis=2, ddof=1) / np.sqrt(seeds)
        else:
            se, df = np.sqrt(mse[:, None] / seeds * (effect**2).sum(axis=1)), pooled_df
            share_se = np.sqrt(mse[:, None] / seeds * (shares**2).sum(axis=1))
        t = np.abs(each.mean(axis=2)) / se
        true = played.mean(axis=2).std(axis=0)
        found[name] = Contrasts(
            float((t < special.stdtrit(df, 1 - ALPHA / 2)).mean()),
            float(_any_called(2 * special.stdtr(df, -t)).mean()),
            float((np.sqrt((share_se**2).mean(axis=0)) / true).mean()),
        )
    return found


def _print_equivalence(studies: int) -> list[str]:
    print(
        f"\nEquivalence, `minimum_effect` of {MARGIN:g} standard deviations of a value: studies that call any row equivalent "
        "where every row differs by just as much, and rows called equivalent where none differs.\n"
    )
    print("| seeds | rows | Holm: errs | each at 0.05: errs | Holm: finds | each at 0.05: finds |")
    print("|--:|--:|--:|--:|--:|--:|")
    wrong = []
    for seeds in (5, 10):
        for rows in (4, 10):
            raw, adjusted = simulate_equivalence(MARGIN, seeds, rows, studies)
            raw_found, adjusted_found = simulate_equivalence(0.0, seeds, rows, studies)
            print(f"| {seeds} | {rows} | {adjusted:.1%} | {raw:.1%} | {adjusted_found:.1%} | {raw_found:.1%} |")
            if adjusted > 0.055:
                wrong.append(f"equivalence, {seeds} seeds, {rows} rows: errs in {adjusted:.1%} of studies")
    return wrong


def _print_factorials(studies: int) -> list[str]:
    print(
        "\nEffects of a 2^3 factorial without any effect: each by its own values, one of each seed (the default), and by one "
        "pooled error (`error: pooled`; before, the only way). Where tricks do more in some seeds they do so by one standard "
        "deviation of the noise. Shapley: its standard error in shares of the true one.\n"
    )
    print(
        "| spreads | seeds | own: covers | own: errs | own: Shapley | pooled: covers | pooled: errs | pooled: Shapley |"
    )
    print("|:--|--:|--:|--:|--:|--:|--:|--:|")
    wrong = []
    for case in FACTORIALS:
        for seeds in SEEDS:
            found = simulate_factorial(case, seeds, studies)
            shown = (f"{f.covered:.1%} | {f.errors:.1%} | {f.shapley_se:.2f}" for f in found.values())
            print(f"| {case} | {seeds} | {' | '.join(shown)} |")
            own = found["own"]
            if not 0.94 <= own.covered <= 0.96 or own.errors > 0.055:
                wrong.append(f"factorial, {case}, {seeds} seeds: covers {own.covered:.1%}, errs in {own.errors:.1%}")
    return wrong


def _print_lenth(studies: int) -> None:
    print("\nOne run per variant: intervals by Lenth's error that cover, with simulated limits and with his t.\n")
    print("| contrasts | limit | covers | t of a third of them | covers |")
    print("|--:|--:|--:|--:|--:|")
    rng = np.random.default_rng(20250105)
    for count in (7, 15, 31):
        ratios, limit = [], 0.0
        for contrasts in rng.normal(size=(studies, count)):
            error, limit, _ = by_lenth(contrasts, contrasts[:0])
            ratios.append(np.abs(contrasts) / error)
        t = float(special.stdtrit(count / 3, 1 - ALPHA / 2))
        inside = [float((np.array(ratios) < most).mean()) for most in (limit, t)]
        print(f"| {count} | {limit:.2f} | {inside[0]:.1%} | {t:.2f} | {inside[1]:.1%} |")


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


def broken_looks(found: Adaptive) -> list[str]:
    """Which promises adaptive seeds break, in words."""
    wrong = [f"adaptive seeds err in {found.errors:.1%} of studies"] * (found.errors > 0.055)
    return wrong + [f"the intervals of adaptive seeds cover {found.covered:.1%}"] * (found.covered < 0.95)


def main(studies: int, further: Sequence[Callable[[int], list[str]]] = ()) -> int:
    """further: other reports, which print and come back with the promises that do not hold."""
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
    wrong += _print_looks(studies)
    _print_levels()
    wrong += _print_equivalence(studies)
    wrong += _print_factorials(studies)
    _print_lenth(studies)
    for report in further:
        wrong += report(studies)
    print("\n".join(["", *wrong]) if wrong else "\nevery promise holds")
    return bool(wrong)


def crossing(limits: Sequence[float]) -> float:
    """The chance that |z| reaches its limit at any of several looks at equal distances, where nothing is true.

    Of normal values of known variance, by integration over the sums that no look stopped (Armitage, McPherson & Rowe
    1969, JRSS A 132:235).
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    before, mass = np.zeros(1), np.ones(1)
    for look, limit in enumerate(limits, 1):
        bound = limit * np.sqrt(look)
        here = bound * nodes
        density = np.exp(-((here[:, None] - before) ** 2) / 2) / np.sqrt(2 * np.pi)
        before, mass = here, density @ mass * weights * bound
    return float(1 - mass.sum())


def constant(looks: int, shape: float) -> float:
    """The c for which limits c (k / looks) ** -shape err in 5 %: Pocock's with shape 0, O'Brien and Fleming's with 0.5."""
    return float(
        optimize.brentq(lambda c: crossing([c * (k / looks) ** -shape for k in range(1, looks + 1)]) - ALPHA, 1, 5)
    )


def _print_levels() -> None:
    """What Bonferroni over looks gives up against limits that know how looks depend on one another."""
    print(
        "\nThe level of each look, for normal values of known variance at looks of equal distance. Ablate's sum to 0.05 as "
        "Bonferroni's do, with most at the last look: that holds for t tests of few seeds, any looks and any dependence; Pocock's "
        "and O'Brien and Fleming's do not.\n"
    )
    print("| looks | peeking at 0.05: errs | Bonferroni | ablate, last look | Pocock | O'Brien-Fleming, last look |")
    print("|--:|--:|--:|--:|--:|--:|")
    for looks in (2, 3, 4, 5, 10):
        peeking = crossing([float(special.ndtri(1 - ALPHA / 2))] * looks)
        pocock, last = (2 * special.ndtr(-constant(looks, shape)) for shape in (0.0, 0.5))
        ours = levels(range(1, looks + 1))[-1]
        print(f"| {looks} | {peeking:.1%} | {ALPHA / looks:.4f} | {ours:.4f} | {pocock:.4f} | {last:.4f} |")


def _print_looks(studies: int) -> list[str]:
    """The part about adaptive seeds; returns the promises that do not hold."""
    print(
        "\nAdaptive seeds, `seeds: {looks: [3, 5, 10]}`: 12 rows against one baseline, `minimum_effect` of "
        f"{MARGIN:g} standard deviations. The looks test at 0.0034, 0.0093 and 0.037, by the squares of their seeds; before, each "
        "tested at 0.05 / 3. Peeking: Holm at 0.05 at each look, and the first "
        f"`p < 0.05` counts. Real effects, of 6 of the rows: in standard deviations of a value. Saved: of the runs that 10 seeds "
        "for every variant take.\n"
    )
    print(
        "| spreads | real effects | errs | peeking: errs | covers | saved | finds | 0.05 / 3: errs | saved | finds | "
        "10 seeds: find |"
    )
    print("|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    wrong = []
    for name, case in CASES.items():
        for effect in (0.0, *REAL):
            found = simulate_looks(case, effect, studies)
            before = simulate_looks(case, effect, studies, spending=0)
            finds, before_finds, fixed = (
                f"{share:.1%}" if effect else "–" for share in (found.found, before.found, found.found_fixed)
            )
            print(
                f"| {name} | {effect:g} | {found.errors:.1%} | {found.peeking:.1%} | {found.covered:.1%} | "
                f"{found.saved:.1%} | {finds} | {before.errors:.1%} | {before.saved:.1%} | {before_finds} | {fixed} |"
            )
            wrong += [f"{name}, effects of {effect:g}: {what}" for what in broken_looks(found)]
    return wrong


if __name__ == "__main__":
    import settings  # beside this file, where a script finds it
    import two_sources

    # A fifth of the studies there: 156 lines of up to 10,000 images take as long as all the rest.
    sys.exit(
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, [lambda n: two_sources.report(n // 5), settings.report])
    )
