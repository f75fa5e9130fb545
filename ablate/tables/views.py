"""Other ways to look at results: `table --view effects`, interactions, shapley, compare, coverage, cumulative.

The views of a factorial are factorials.py's; here are those that any study has, and the choice among all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ablate.analysis import factorial, reruns, tuned
from ablate.analysis.bases import over_bases
from ablate.analysis.comparisons import ALPHA, MINIMUM_N, summarise
from ablate.analysis.measured import Measured
from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import CATEGORIES, Better, Json, Row
from ablate.registry import Registry
from ablate.study.record import PlanRecord, RowRecord
from ablate.study.rows import without_alone
from ablate.tables import adaptive, beyond, classes, configurations, cost, factorials, notes, overall, settings
from ablate.tables.factorials import Shown, cells_of, factors_of, made, own_base, shapley_of
from ablate.tables.stages import stages
from ablate.tables.table import Measure, Switch, TableData, TableOptions, ViewData, arranged
from ablate.text import Note, did_you_mean, joined, listed, many, one_of

VIEWS = (
    "variants", "matrix", "cumulative", "effects", "interactions", "shapley", "compare", "coverage", "classes",
    "settings", "ranks", "iqm", "configurations", "cost",
)  # fmt: skip
"""What `--view` may name; the first is the table itself."""

OVER_SETTINGS = ("settings", "ranks", "iqm")
"""Those of them that need a study in several settings; the others are of one."""


def view(results: Results, name: str) -> TableData | ViewData:
    """The view called `name`. AblateError where the study's variants do not allow it."""
    views: Mapping[str, Callable[[Results], TableData | ViewData]] = {
        "variants": table_data,
        "matrix": _matrix,
        "cumulative": _cumulative,
        "effects": factorials.effects_view,
        "interactions": factorials.interactions_view,
        "shapley": factorials.shapley_view,
        "compare": _compare,
        "coverage": _coverage,
        "classes": classes.classes_view,
        "settings": settings.settings_view,
        "ranks": overall.ranks_view,
        "iqm": overall.iqm_view,
        "configurations": configurations.configurations_view,
        "cost": cost.cost_view,
    }
    if name not in views:
        raise AblateError(f"--view is {name!r}; it must be {one_of(VIEWS)}.{did_you_mean(name, VIEWS)}")
    if results.settings and name == "variants":
        name = "settings"
    elif name not in (*OVER_SETTINGS, "configurations"):
        results.of_one_setting(f"--view {name}")
    return views[name](results)


def text(
    loaded: Results,
    format_: str = "markdown",
    name: str = "variants",
    sort: str | None = None,
    options: TableOptions = TableOptions(),  # noqa: B008
) -> str:
    """A view in a format of the shelf. sort: by which column (table.arranged)."""
    rendered: str = Registry().make("tables", format_, {}).render(arranged(view(loaded, name), sort), options)
    return rendered


def format_of(file: Path | None, *, must: bool) -> str:
    """The format that a file's ending names; markdown where none does. must: then AblateError."""
    shelf = Registry()
    endings = {ending: name for name in shelf.names("tables") for ending in shelf.make("tables", name, {}).endings}
    known = endings.get(file.suffix.lower()) if file is not None else None
    if known is None and (must or (file is not None and file.suffix)):
        raise AblateError(
            f"the ending of {file} says no format; it may be {one_of(endings)}, or give --format.",
            page="figures-and-reports",
        )
    return known or "markdown"


# -------------------------------------------------------------------------------------------------------------- compare


def _compare(results: Results) -> ViewData:
    """Each choice of each trick: taken from full, added to base, its cumulative step, its Shapley value."""
    measured = results.measured
    factors, own = factors_of(results), own_base(results)
    at = {tuple(cell): i for i, cell in zip(own, cells_of(results, own).tolist(), strict=True)}
    try:
        shares = {share.trick: share for share in shapley_of(results)[0]}
    except AblateError:
        shares = {}
    rows: list[Shown] = []
    records: list[dict[str, Json]] = []
    seeds: dict[tuple[int, int] | None, int] = {}
    counted: list[int] = []
    for i, factor in enumerate(factors):
        for level in range(1, max(len(factor.levels), 1) + 1):
            pairs = [(at[cell], at[_at(cell, i, 0)]) for cell in at if cell[i] == level and _at(cell, i, 0) in at]
            tested, judged = measured.judge(measured.metric.name, [a for a, _ in pairs], [b for _, b in pairs])
            n = [
                int(k) or int(min(measured.summary.n[a], measured.summary.n[b]))
                for k, (a, b) in zip(tested.pairs, pairs, strict=True)
            ]
            seeds |= dict(zip(pairs, n, strict=True))
            seen = {
                pair: Measure(_number(tested.estimate[j]), _number(judged.ci_low[j]), _number(judged.ci_high[j]))
                for j, pair in enumerate(pairs)
            }
            pairs_tested = [
                (float(e), _number(p)) for e, p in zip(tested.estimate, judged.p, strict=True) if np.isfinite(e)
            ]
            choice = factor.choice(level)
            flag = factorial.context(pairs_tested)
            contexts = [_pair(at, cell, i) for cell in _contexts(len(factors), i, level)]
            shown = [seen.get(pair) for pair in contexts]
            counted += [seeds[pair] for pair in contexts if pair in seen]
            share = shares.get(choice)
            shown.append(None if share is None else Measure(share.value, se=share.se))
            rows.append(
                (choice, *(m or Measure(None) for m in shown), factorial.CONTEXT.get(flag, "seen in one context"))
            )
            records.append(
                {"trick": choice}
                | {
                    key: _estimate(m, seeds.get(pair))
                    for key, m, pair in zip(_COMPARED, shown, [*contexts, None], strict=True)
                }
                | {"context": flag or None, "contexts": len(pairs_tested)}
            )
    columns = [("trick", False), *((title, True) for title in _COMPARED.values()), ("in other contexts", False)]
    metric = measured.metric
    sentences = [
        f"Every number is {metric.name} ({metric.better} is better) with the trick minus without it: with all others "
        "on, with none on, at its place in the file's order, and over all orders. Paired differences with their own "
        f"95 % {'sign-flip' if measured.flips else 't'} interval, not adjusted; Shapley values ± standard error. –: no "
        "result of these variants.",
        *_n_of_differences(counted, SIX if measured.flips else MINIMUM_N),
        "Sign depends on context: among all pairs of variants that differ by this trick alone, one says that it raises "
        "the metric and another that it lowers it, each with p < 0.05 by Holm over those pairs (a family per trick, "
        "exploratory). Signs differ: only the estimates do.",
    ]
    return made(results, "compare", f"each trick in every context, by {metric.name}", columns, rows, records, sentences)


_COMPARED = {
    "leave_one_out": "leave one out", "add_one_in": "add one in", "cumulative": "cumulative", "shapley": "Shapley",
}  # fmt: skip


def _at(cell: tuple[int, ...], factor: int, level: int) -> tuple[int, ...]:
    return (*cell[:factor], level, *cell[factor + 1 :])


def _contexts(count: int, factor: int, level: int) -> list[tuple[int, ...]]:
    """The cells in which a choice is on: beside all others, alone, and after the earlier ones."""
    return [
        _at((1,) * count, factor, level),
        _at((0,) * count, factor, level),
        tuple(1 if i < factor else level if i == factor else 0 for i in range(count)),
    ]


def _pair(at: Mapping[tuple[int, ...], int], cell: tuple[int, ...], factor: int) -> tuple[int, int]:
    return at.get(cell, -1), at.get(_at(cell, factor, 0), -1)


SIX = 6
"""Seeds from which on the sign-flip test rejects anything at 5 %, so that its interval has ends."""


def _n_of_differences(counted: Sequence[int], least: int) -> list[str]:
    """How many seeds the differences come from."""
    sizes = sorted({n for n in counted if n})
    if not sizes:
        return []
    n = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    few = f" Fewer than {least} give no interval." if sizes[0] < least else ""
    return [f"n = {n} seeds for each difference.{few}"]


def _estimate(measure: Measure | None, n: int | None) -> Json:
    if measure is None or measure.value is None:
        return None
    known = {} if n is None else {"n": n}
    return {"estimate": measure.value, "ci_low": measure.low, "ci_high": measure.high, "se": measure.se, **known}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


# -------------------------------------------------------------------------------------------------------------- matrix


def _matrix(results: Results) -> TableData:
    """The rows of the table with a column of ticks per trick, as most papers print their ablations."""
    data = table_data(results)
    placebos = {row.variant for row in data.rows if row.placebo}
    metrics = {data.metric: data.better, **data.also}
    named = {name: _established(results, name, better) for name, better in metrics.items()}
    best = {name: variant for name, variant in named.items() if variant is not None and variant not in placebos}
    count = len(results.measured.variants)
    by = " of sign flips" if results.measured.flips else ""
    sentence = (
        "✓: the trick is on. Bold in a metric's column, in further ones too: the best mean, where it differs from that "
        f"of every other variant (each p < {ALPHA}{by} by Bonferroni over all {count * (count - 1) // 2} pairs of "
        "variants, exploratory)."
    )
    return replace(data, matrix=True, best=best, notes=(sentence, *data.notes))


def _established(results: Results, name: str, better: Better) -> str | None:
    """The variant with the best mean of a metric, if every other one's is shown to be worse.

    The best was chosen by looking, so every pair of variants counts as tested. None while a variant has no value, or
    the best one unfinished runs.
    """
    measured = results.measured
    given = measured.given if name == measured.metric.name else None
    values = measured.values[name]
    summary = summarise(values) if given is None else given
    count = len(summary.mean)
    if count < 2 or not np.isfinite(summary.mean).all():
        return None
    best = int(np.argmax(summary.mean * (1 if better == "higher" else -1)))
    others = [i for i in range(count) if i != best]
    _, judged = measured.judge(name, [best] * len(others), others)
    shown = (judged.p * count * (count - 1) / 2 < ALPHA).all()
    return measured.variants[best] if shown and summary.n[best] == measured.planned[best] else None


# ------------------------------------------------------------------------------------------------- cumulative, coverage


def _cumulative(results: Results) -> TableData:
    """The rows of the cumulative design; where the study does not declare it but has its variants, the same rows."""
    data = ablation(results)
    rows = tuple(row for row in data.rows if row.design == "cumulative")
    if rows:
        return replace(data, rows=rows, notes=tuple(told(results, rows)))
    chain = _chain(results)
    sentence = (
        "The study does not declare this chain: its steps are a family of their own, chosen after the fact "
        "(exploratory)."
    )
    of = results.measured
    analysis = {key: value for key, value in of.analysis.items() if key != "looks"}
    planned = tuple(of.wanted.now.tolist()) if of.looks else of.planned
    measured = replace(of, asked=chain, analysis=analysis, planned=planned, declared=False, looks=())
    data = ablation(replace(results, measured=measured))
    return replace(data, notes=(sentence, *adaptive.under_view(of), *data.notes))


def _chain(results: Results) -> tuple[RowRecord, ...]:
    factors, own = factors_of(results), own_base(results)
    at = {
        tuple(cell): results.measured.variants[i] for i, cell in zip(own, cells_of(results, own).tolist(), strict=True)
    }
    cells = [tuple(1 if i < step else 0 for i in range(len(factors))) for step in range(len(factors) + 1)]
    lacking = [cell for cell in cells if cell not in at]
    if lacking:
        named = [
            " + ".join(f.choice(1) for f, on in zip(factors, cell, strict=True) if on) or "base" for cell in lacking
        ]
        raise AblateError(
            "the cumulative view adds one trick after the other (`designs: cumulative`), and "
            f"{results.study} has not planned {listed(named)}.",
            page="how-the-table-is-made",
        )
    chain = [RowRecord("cumulative", at[cells[0]], None)]
    shown = [trick.shown for trick in results.record.tricks]
    for before, cell, factor, name in zip(cells, cells[1:], factors, shown, strict=False):
        label = f"+ {name}: {factor.levels[0]}" if factor.levels else f"+ {name}"
        chain.append(RowRecord("cumulative", at[cell], at[before], (factor.name,), label))
    return tuple(chain)


def _coverage(results: Results) -> ViewData:
    """Which kinds of trick each variant has."""
    kind = {choice: trick.category or "other" for trick in results.record.tricks for choice in trick.choices}
    kinds = [name for name in CATEGORIES if name in kind.values()]
    records: list[dict[str, Json]] = []
    rows: list[Shown] = []
    for variant, on in zip(results.measured.variants, results.measured.tricks, strict=True):
        by_kind = {name: [choice for choice in on if kind[choice] == name] for name in kinds}
        records.append({"variant": variant, **by_kind})
        shown = (f"✓ {', '.join(choices)}" if choices else "" for choices in by_kind.values())
        rows.append((variant, *shown, str(sum(map(bool, by_kind.values())))))
    columns = [("variant", False), *((name, False) for name in kinds), ("categories", True)]
    covered = sum(any(record[name] for record in records) for name in kinds)
    many = "s" * (len(kinds) != 1)
    counts = [
        f"{len(kinds)} kind{many} of trick, {covered} of them in a variant; ✓: the variant has tricks of this kind."
    ]
    planned = sorted(set(results.measured.planned))
    seeds = f"{planned[0]}" if len(planned) == 1 else f"{planned[0]} to {planned[-1]}" if planned else "0"
    counts.append(f"n: {seeds} seeds planned per variant; nothing is estimated or tested here.")
    counts += _rules(results.record, kind)
    return made(results, "coverage", "which variant has which kind of trick", columns, rows, records, counts)


def _rules(record: PlanRecord, kind: Mapping[str, str]) -> Iterator[str]:
    """A line for each rule of the brief: what every variant listed by hand has, and whether that is enough."""
    listed_by_hand = {row.variant for row in record.rows if row.design == "variants"}
    named = record.rules.get("variants") or [variant.name for variant in record.variants if variant.tricks]
    judged = [variant for variant in record.variants if variant.name in listed_by_hand and variant.name in named]
    kinds = {variant.name: {kind[choice] for choice in variant.tricks} for variant in judged}
    each = {
        "tricks_per_variant": ("tricks", {variant.name: len(variant.tricks) for variant in judged}),
        "categories_per_variant": ("kinds of trick", {name: len(of) for name, of in kinds.items()}),
        "categories_overall": ("kinds of trick overall", {"all": len(set().union(*kinds.values()))}),
    }
    for rule, (what, counts) in each.items():
        least = record.rules.get(rule)
        if least is not None:
            kept = "kept" if all(count >= least for count in counts.values()) else "broken"
            has = ", ".join(f"{name} {count}" for name, count in counts.items())
            yield f"rules: at least {least} {what}: {kept} ({has})."
    forbidden = record.rules.get("forbid_data") or ()
    used = {str((v.config.get("data") or {}).get("name")) for v in record.variants if v.name in listed_by_hand}
    if forbidden:
        yield f"rules: no data of {one_of(forbidden)}: {'broken' if used & set(forbidden) else 'kept'}."


def table_data(results: Results) -> TableData:
    """The table: rows in the plan's order, then what was tuned; notes below."""
    data = ablation(results)
    metric = results.measured.metric
    rows = results.tuned_rows
    entries, stale = tuned.split(results.record)
    called = tuned.in_sentences(results.record.rows)
    sentences = tuned.notes(entries if rows else [], stale, rows, metric.name, called)
    why = "" if results.confirmed is None else results.confirmed.tested.evidence.why
    if why and results.measured.tested.evidence.of_both:
        said = "hese rows speak of other seeds alone"
        sentences.append(Note(f"{tuned.MARK} T{said}, for {why}.", f"{tuned.MARK} t{said}"))
    means = over_bases(results.measured, results.rows)
    sentences += _of_means(means)
    of_seeds = {**data.differences, **(_differences(results.confirmed) if results.confirmed is not None else {})}
    return replace(data, rows=(*data.rows, *means, *rows), notes=(*data.notes, *sentences), differences=of_seeds)


def _of_means(means: Sequence[Row]) -> list[str]:
    if not means:
        return []
    if not any(row.p is not None for row in means):
        few = "A trick that stands in several bases has the mean of its differences there, each with the same weight."
        return [Note(f"{few} Nothing is tested.", "  rows in several bases: mean of the differences, not tested")]
    count = many(len(means), "such row")
    sizes = Counter(row.kind for row in means)
    own = notes.apart(sizes) or ", a family of their own"
    return [
        Note(
            "A trick that stands in several bases has the mean of its differences there, each with the same weight, by "
            f"their own spreads over seeds; what is told of each example is averaged first. p by Holm over the "
            f"{count}{own}. It speaks of these bases.",
            f"  rows in several bases: mean of the differences, p by Holm over the {joined(sizes.values())} such "
            f"row{'s' * (len(means) > 1)}",
        )
    ]


def _differences(measured: Measured) -> dict[tuple[str, str], tuple[float, ...]]:
    """Of each comparison the differences at shared seeds; none where only means are known."""
    if measured.given is not None:
        return {}
    values = dict(zip(measured.variants, measured.values[measured.metric.name], strict=True))
    made = {}
    for asked in measured.asked:
        if asked.compared_with is not None and asked.compared_with in values:
            difference = values[asked.variant] - values[asked.compared_with]
            made[asked.variant, asked.compared_with] = tuple(difference[np.isfinite(difference)].tolist())
    return made


def ablation(results: Results) -> TableData:
    """The table of what the study's designs and list ask for, without anything that was tuned."""
    results.of_one_setting("the table of rows and their means")
    measured = results.measured
    rows = without_alone(results.rows)
    sentences = told(results, rows)
    names = (measured.metric.name, *measured.also)
    evidence = measured.tested.evidence
    return TableData(
        study=results.study,
        metric=measured.metric.name,
        better=measured.metric.better,
        rows=rows,
        notes=tuple(sentences),
        also=measured.also,
        units={name: unit for name in names if (unit := results.record.facts.unit(name))},
        switches=tuple(
            Switch(trick.name, trick.label, trick.category, trick.levels) for trick in results.record.tricks
        ),
        minimum_effect=measured.metric.minimum_effect,
        stages=stages({trick.name: trick.part for trick in results.record.tricks}),
        differences=_differences(measured),
        speaks_of=beyond.speaks_of(evidence),
        speaks_of_why=evidence.why,
    )


def told(results: Results, rows: Sequence[Row]) -> list[str]:
    """The sentences under a table of these rows."""
    measured, record = results.measured, results.record
    sentences = notes.notes(rows, measured, record, results.cells, results.provenance, len(results.saved))
    return [*sentences, *reruns.sentences(results.reruns, measured.metric, rows)]
