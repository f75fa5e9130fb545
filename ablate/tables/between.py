"""`ablate compare STUDY STUDY`: the same rows of two studies, the difference of their differences, and what changed.

A row's effect in each study is its difference from its comparison, seed by seed; where both have three seeds in common
these are paired, else Welch's test is taken over all. Holm over the rows. What changed between the plans is listed by
what it can explain: a change of the row alone, of what it shares with its comparison, or of how runs were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.comparisons import ALPHA, Array, Differences, compare, holm
from ablate.analysis.measured import Measured
from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Json, Row
from ablate.study.cells import leaves
from ablate.tables.table import Chance, Measure, ViewData
from ablate.text import listed, many

HIDDEN = ("data.root", "data.cache")
MADE_WITH = {"torch": "torch", "numpy": "numpy", "python": "Python", "processor": "processor", "git": "commit"}


@dataclass(frozen=True)
class _Pair:
    one: Row
    other: Row


def between(one: Results, other: Results) -> ViewData:
    """AblateError where the studies have no row in common, or another metric."""
    metric = one.measured.metric
    if metric.name != other.measured.metric.name:
        raise AblateError(
            f"{one.study} is judged by {metric.name}, {_called(one, other)[1]} by {other.measured.metric.name}; rows "
            "of one metric are compared."
        )
    if one.measured.given is not None or other.measured.given is not None:
        raise AblateError("a study that was imported as means has no single runs to compare.")
    pairs = _pairs(one.rows, other.rows)
    if not pairs:
        raise AblateError(f"{' and '.join(_called(one, other))} have no row in common that is compared with the same.")
    told = [compare(*_effects(pair, one.measured, other.measured)) for pair in pairs]
    p = holm(np.array([of.p[0] for of in told], dtype=float))
    shown: list[tuple[str | Measure | Chance, ...]] = []
    records: list[dict[str, Json]] = []
    for pair, of, adjusted in zip(pairs, told, p, strict=True):
        numbers = [_number(of.estimate[0]), _number(of.ci_low[0]), _number(of.ci_high[0])]
        chance = _number(adjusted)
        differs = chance is not None and chance < ALPHA
        verdict = "differs" if differs else "not shown to differ" if chance is not None else ""
        shown.append(
            (
                pair.one.label or pair.one.variant, pair.one.compared_with or "", _measure(pair.one),
                _measure(pair.other),
                Measure(numbers[0], numbers[1], numbers[2], bold=differs), Chance(chance), verdict,
            )
        )  # fmt: skip
        records.append(
            {
                "variant": pair.one.variant, "compared_with": pair.one.compared_with, "delta": pair.one.delta,
                "other_delta": pair.other.delta, "difference": numbers[0], "ci_low": numbers[1], "ci_high": numbers[2],
                "p_adjusted": chance, "verdict": verdict or None, "paired": bool(of.paired[0]),
                "pairs": int(of.pairs[0]),
                "verdicts": [pair.one.verdict, pair.other.verdict],
            }
        )  # fmt: skip
    first, second = _called(one, other)
    header = ("row", "vs", f"Δ {first}", f"Δ {second}", "difference (95 % CI)", "p (Holm)", "verdict")
    notes = (*_how(told, pairs, first, second), *_changed(one, other, pairs), *_lonely(one, other, pairs))
    numeric = (False, False, True, True, True, True, False)
    title = f"difference of differences, {second} minus {first}, by {metric.name}"
    return ViewData(
        "compared", title, first, metric.name, metric.better, header, numeric, tuple(shown), tuple(records), notes
    )


def _called(one: Results, other: Results) -> tuple[str, str]:
    """Two names that differ: studies of two databases may have one."""
    return (one.study, other.study) if one.study != other.study else (one.study, f"{other.study} (2)")


def _pairs(rows: Sequence[Row], others: Sequence[Row]) -> list[_Pair]:
    """Rows of one name that are compared with the same, each once."""
    there = {(row.variant, row.compared_with): row for row in reversed(others)}
    mine = {(row.variant, row.compared_with): row for row in reversed(rows) if row.compared_with is not None}
    return [_Pair(row, there[key]) for key, row in reversed(mine.items()) if key in there]


def _effects(pair: _Pair, one: Measured, other: Measured) -> tuple[Array, Array]:
    """Of the second study and of the first the row's difference at each seed that either has: (1, seeds)."""
    seeds = sorted({*one.seeds, *other.seeds})
    made = []
    for row, of in ((pair.other, other), (pair.one, one)):
        values, place = of.values[of.metric.name], {name: i for i, name in enumerate(of.variants)}
        difference = values[place[row.variant]] - values[place[row.compared_with or ""]]
        by_seed = dict(zip(of.seeds, difference.tolist(), strict=True))
        made.append(np.array([[by_seed.get(seed, np.nan) for seed in seeds]], dtype=float))
    return made[0], made[1]


def _measure(row: Row) -> Measure:
    return Measure(row.delta, row.delta_ci_low, row.delta_ci_high)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _how(told: Sequence[Differences], pairs: Sequence[_Pair], first: str, second: str) -> list[str]:
    paired = sum(bool(of.paired[0]) for of in told)
    how = "paired over the seeds that both have"
    how = how if paired == len(pairs) else "by Welch's test where fewer than three seeds are shared"
    return [
        f"Each Δ is a row minus its comparison, as in the study's own table; the difference is {second}'s minus "
        f"{first}'s, {how}, with its own 95 % interval; p by Holm over {many(len(pairs), 'row')}.",
        "That no difference is shown is no evidence that there is none.",
    ]


# -------------------------------------------------------------------------------------------------------- what changed


def _changed(one: Results, other: Results, pairs: Sequence[_Pair]) -> list[str]:
    """What differs between the plans and between how their runs were made, by what it can explain."""
    ours, theirs = _configs(one), _configs(other)
    said = []
    shared: dict[str, list[str]] = {}
    for pair in pairs:
        names = pair.one.variant, pair.one.compared_with or ""
        mine, base = (_differences(ours.get(name, {}), theirs.get(name, {})) for name in names)
        alone = [change for change in mine if change not in base]
        alone += [f"{change} (of {names[1]})" for change in base if change not in mine]
        if alone:
            what = listed(alone, "; ")
            said.append(f"{pair.one.variant}: {what}: changed on one side of this row, so it is another trick.")
        for change in mine:
            if change in base:
                shared.setdefault(change, []).append(pair.one.variant)
    for change, rows in shared.items():
        whose = "every row" if len(rows) == len(pairs) else listed(rows)
        said.append(
            f"{change}: of {whose} and what it is compared with, so it can explain a change of the effect there."
        )
    if one.record.metric != other.record.metric:
        said.append("The metric's epoch or smallest effect differs, which can explain all of them.")
    for kind, name in MADE_WITH.items():
        before, after = ([v for v in of.provenance.get(kind, {}) if v != "unknown"] for of in (one, other))
        if before and after and before != after:
            said.append(
                f"{name}: {listed(before)} → {listed(after)}: how runs were made; it moves single runs, and an effect "
                "only as far as seeds do."
            )
    seeds = [sorted(of.record.seeds) for of in (one, other)]
    if seeds[0] != seeds[1]:
        said.append(f"Seeds: {len(seeds[0])} → {len(seeds[1])}; other seeds explain as much as the intervals are wide.")
    return said or ["Nothing that the two plans hold differs: what does is chance, data or code that no key names."]


def _configs(of: Results) -> dict[str, dict[str, Json]]:
    found: dict[str, dict[str, Json]] = {}
    for variant in of.record.variants:
        settings = {key: value for _, key, value in leaves(variant.config) if key not in HIDDEN}
        for use in variant.uses:
            settings |= {use.name: True, **{f"{use.name}.{key}": value for _, key, value in leaves(use.params)}}
        found[variant.name] = settings
    return found


def _differences(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    keys = dict.fromkeys([*before, *after])
    missing = "absent"
    return [
        f"{key} {before.get(key, missing)} → {after.get(key, missing)}"
        for key in keys
        if before.get(key, missing) != after.get(key, missing)
    ]


def _lonely(one: Results, other: Results, pairs: Sequence[_Pair]) -> list[str]:
    """Rows that only one of them has."""
    both = {pair.one.variant for pair in pairs} | {pair.one.compared_with for pair in pairs}
    said = []
    for of, name in zip((one, other), _called(one, other), strict=True):
        alone = list(dict.fromkeys(row.variant for row in of.rows if row.variant not in both))
        said += [f"Only {name} has {listed(alone)}."] if alone else []
    return said
