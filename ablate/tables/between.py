"""`ablate compare STUDY OTHER`: the same rows of two studies, the difference of their differences, and what changed.

A row's effect in each study is its difference from its comparison, seed by seed; where both have three seeds in common
these are paired, else Welch's test is taken over all. Holm over the rows. What changed between the plans is listed by
what it can explain: a change of the row alone, of what it shares with its comparison, or of how runs were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array, Differences, compare, holm
from ablate.analysis.measured import Measured
from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Json, Row
from ablate.tables.configurations import settings_of, shown
from ablate.tables.table import Chance, Measure, ViewData
from ablate.text import listed, many

ROUNDING = 1e-9
"""So much two sums of the same numbers may differ."""
MADE_WITH = {"torch": "torch", "numpy": "numpy", "python": "Python", "processor": "processor", "git": "commit"}


@dataclass(frozen=True)
class _Pair:
    one: Row
    other: Row


Asked = Mapping[str, Mapping[str, Json]]
"""What runs were asked, by key: their data by hash and their code by version."""


def between(one: Results, other: Results, asked: tuple[Asked, Asked] = ({}, {})) -> ViewData:
    """asked: of each study. AblateError where the studies have no row in common, or another metric."""
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
    cells: list[tuple[str | Measure | Chance, ...]] = []
    records: list[dict[str, Json]] = []
    for pair, of, adjusted in zip(pairs, told, p, strict=True):
        numbers = [_number(of.estimate[0]), _number(of.ci_low[0]), _number(of.ci_high[0])]
        chance = _number(adjusted)
        differs = chance is not None and chance < ALPHA
        verdict = "differs" if differs else "not shown to differ" if chance is not None else ""
        cells.append(
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
    notes = (
        *_same_runs(one, other, pairs), *_how(told, pairs, first, second), *_lopsided(pairs), *_adaptive(one, other),
        *_changed(one, other, pairs, asked), *_lonely(one, other, pairs),
    )  # fmt: skip
    numeric = (False, False, True, True, True, True, False)
    title = f"difference of differences, {second} minus {first}, by {metric.name}"
    return ViewData(
        "compared", title, first, metric.name, metric.better, header, numeric, tuple(cells), tuple(records), notes
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
    apart = any(
        abs((pair.other.delta or 0.0) - (pair.one.delta or 0.0) - of.estimate[0]) > ROUNDING
        for pair, of in zip(pairs, told, strict=True)
        if np.isfinite(of.estimate[0])
    )
    few = [
        pair.one.variant
        for pair, of in zip(pairs, told, strict=True)
        if not np.isfinite(of.ci_low[0]) and of.pairs[0] < MINIMUM_N
    ]
    return [
        f"Each Δ is a row minus its comparison, as in the study's own table; the difference is {second}'s minus "
        f"{first}'s, {how}, with its own 95 % interval; p by Holm over {many(len(pairs), 'row')}.",
        *["It rests on the seeds that both have, so it need not be one column minus the other."] * apart,
        *[f"Fewer than {MINIMUM_N} seeds, so no interval and no p: {listed(few)}."] * bool(few),
        "That no difference is shown is no evidence that there is none.",
    ]


def _same_runs(one: Results, other: Results, pairs: Sequence[_Pair]) -> list[str]:
    """Runs that both studies asked for were trained once, and differ in nothing."""
    names = {name for pair in pairs for name in (pair.one.variant, pair.one.compared_with)}
    ours, theirs = (
        {cell.run for cell in of.cells if cell.variant in names and cell.state == "done"} for of in (one, other)
    )
    if not (same := ours & theirs):
        return []
    if ours == theirs:
        return [f"These are the same {many(len(same), 'run')} in both, so nothing can differ."]
    are = "is" if len(same) == 1 else "are"
    return [
        f"{len(same)} of {many(len(ours | theirs), 'run')} {are} the same in both, trained once: between two such "
        "there is no difference, and that shows nothing."
    ]


def _lopsided(pairs: Sequence[_Pair]) -> list[str]:
    names = [pair.one.variant for pair in pairs if pair.one.lopsided or pair.other.lopsided]
    if not names:
        return []
    return [f"{listed(names)}: more runs failed on one side than on the other, so it holds among finished runs only."]


def _adaptive(one: Results, other: Results) -> list[str]:
    names = [name for of, name in zip((one, other), _called(one, other), strict=True) if of.record.looks]
    if not names:
        return []
    return [
        f"{' and '.join(names)}: adaptive seeds ended each row where it was settled, so its Δ is biased, outward "
        "where an effect was found, and the p here takes no account of the looks."
    ]


# -------------------------------------------------------------------------------------------------------- what changed


def _changed(one: Results, other: Results, pairs: Sequence[_Pair], asked: tuple[Asked, Asked]) -> list[str]:
    """What differs between the plans and between how their runs were made, by what it can explain."""
    ours, theirs = ({variant.name: settings_of(variant) for variant in of.record.variants} for of in (one, other))
    apart: list[str] = []
    shared: dict[str, list[str]] = {}
    for pair in pairs:
        names = pair.one.variant, pair.one.compared_with or ""
        mine, base = (_differences(ours.get(name, {}), theirs.get(name, {})) for name in names)
        alone = [change for change in mine if change not in base]
        alone += [f"{change} (of {names[1]})" for change in base if change not in mine]
        if alone:
            what = listed(alone, "; ")
            apart.append(f"{pair.one.variant}: {what}: changed on one side of this row, so it is another trick.")
        for change in mine:
            if change in base:
                shared.setdefault(change, []).append(pair.one.variant)
    by_rows: dict[tuple[str, ...], list[str]] = {}
    for change, rows in shared.items():
        by_rows.setdefault(tuple(rows), []).append(change)
    said = [
        f"{listed(changes, '; ')}: of {'every row' if len(rows) == len(pairs) else listed(rows)} and what it is "
        "compared with, so it can explain a change of the effect there."
        for rows, changes in sorted(by_rows.items(), key=lambda item: -len(item[0]))
    ]
    said += [*_asked(*asked), *apart]
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


def _asked(one: Asked, other: Asked) -> list[str]:
    """Other data under the same name, and code of another version."""
    data = [sorted({str(run["data"])[:12] for run in of.values() if run.get("data")}) for of in (one, other)]
    said = []
    if all(data) and data[0] != data[1]:
        said.append(
            f"data: SHA-256 {listed(data[0])} → {listed(data[1])}: other images or another split, which can explain a "
            "change of every effect."
        )
    ours, theirs = (
        {name: _version(of) for run in asked.values() for name, of in (run.get("code") or {}).items()}
        for asked in (one, other)
    )
    changed = [
        f"{name} {ours[name]} → {theirs[name]}" for name in ours if name in theirs and ours[name] != theirs[name]
    ]
    return said + [f"code: {'; '.join(changed)}: can explain a change where it is used."] * bool(changed)


def _version(code: Json) -> str:
    if isinstance(code, int):
        return f"v{code}"
    return code[:8] if isinstance(code, str) else listed([f"{name} {str(sha)[:8]}" for name, sha in code or ()])


def _differences(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[str]:
    return [
        f"{key} {_told(before, key)} → {_told(after, key)}"
        for key in dict.fromkeys([*before, *after])
        if _told(before, key) != _told(after, key)
    ]


def _told(settings: Mapping[str, Json], key: str) -> str:
    return shown(settings[key]) if key in settings else "absent"


def _lonely(one: Results, other: Results, pairs: Sequence[_Pair]) -> list[str]:
    """Rows that only one of them has."""
    both = {pair.one.variant for pair in pairs} | {pair.one.compared_with for pair in pairs}
    said = []
    for of, name in zip((one, other), _called(one, other), strict=True):
        alone = list(dict.fromkeys(row.variant for row in of.rows if row.variant not in both))
        said += [f"Only {name} has {listed(alone)}."] if alone else []
    return said
