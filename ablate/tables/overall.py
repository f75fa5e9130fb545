"""What a study's settings say together beside the mean of differences: average ranks, and scores on one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ablate.analysis import across, scores
from ablate.analysis.across import Ranking
from ablate.analysis.comparisons import MINIMUM_N, Array
from ablate.analysis.results import Results
from ablate.analysis.scores import Scores
from ablate.errors import AblateError
from ablate.records import Json
from ablate.tables.factorials import Shown, made
from ablate.tables.settings import several_settings
from ablate.tables.table import Chance, ViewData
from ablate.text import equals, in_words, listed, many, percent

# ---------------------------------------------------------------------------------------------------------------- ranks


def ranking(results: Results) -> Ranking:
    """Average ranks of the variants over settings. AblateError for one setting, or one variant."""
    several_settings(results)
    names = _in_every(results)
    if len(names) < 2:
        raise AblateError("average ranks need two variants that are done in every setting.", page="several-settings")
    values = np.array([[of[name] for name in names] for of in _means(results)])
    higher = results.measured.metric.better == "higher"
    return across.ranking(list(results.settings), names, values, higher, max(results.over.seeds, 1))


def friedman_in_words(ranking: Ranking) -> str:
    """`Friedman's chi² = 9.28, F = 3.69 with 3 and 39 degrees of freedom, p = 0.020`."""
    found, count = ranking.found, len(ranking.variants)
    freedom = f"{count - 1} and {(count - 1) * (len(ranking.settings) - 1)} degrees of freedom"
    return f"Friedman's chi² = {found.chi2:.2f}, F = {found.f:.2f} with {freedom}, p {equals(found.p)}"


def found_in_words(ranking: Ranking) -> str:
    """What ranks leave out, as a number."""
    count, variants, seeds = len(ranking.settings), len(ranking.variants), ranking.seeds
    by_rank, by_mean = (percent(round(share, 2)) for share in across.found_by_ranks(count, variants, seeds))
    return (
        f"Ranks forget how large a difference is and how sure: one variant that is {across.RANKED:g} standard "
        f"deviations of a run better than {ranking.variants[0]} in every setting is found by them in {by_rank} of "
        f"studies, by the mean of differences in {by_mean} (simulated: {count} settings, {many(seeds, 'seed')}, "
        f"{variants} variants, equal spreads)."
    )


def ranks_view(results: Results) -> ViewData:
    """Average ranks of the variants over settings; each against the study's base. AblateError for one setting."""
    ranked = ranking(results)
    names, found = ranked.variants, ranked.found
    rows: list[Shown] = []
    records: list[dict[str, Json]] = []
    for i in ranked.order:
        p = float(ranked.p_adjusted[i]) if np.isfinite(ranked.p_adjusted[i]) else None
        shown = [f"{rank:g}" for rank in ranked.ranks[:, i]]
        rows.append((names[i], *shown, f"{found.mean[i]:.2f}", Chance(p, "" if i == 0 else "–")))
        records.append({
            "variant": names[i], "mean_rank": float(found.mean[i]), "p_adjusted": p,
            "ranks": dict(zip(ranked.settings, ranked.ranks[:, i].tolist(), strict=True)),
        })  # fmt: skip
    columns = [("variant", False), *((name, True) for name in ranked.settings), ("mean rank", True)]
    columns.append((f"p vs {names[0]} (Holm)", True))
    sentences = [
        f"Ranks of {results.measured.metric.name} means over seeds, 1 the best, ties sharing theirs (Demšar 2006). "
        f"{friedman_in_words(ranked)}; mean ranks that differ by less than {ranked.critical:.2f} are not told apart "
        "(Nemenyi).",
        found_in_words(ranked),
    ]
    of = f"average ranks over {many(len(ranked.settings), 'setting')}"
    data = made(results, "ranks", of, columns, rows, records, sentences)
    more = {"chi2": found.chi2, "f": found.f if np.isfinite(found.f) else None, "p": found.p}
    return ViewData(**{**vars(data), "more": {**more, "critical_difference": ranked.critical}})


def _means(results: Results) -> list[dict[str, float]]:
    """Of each setting its variants' means, each variant as it is called without its setting."""
    return [
        {
            name.removeprefix(f"{setting}/"): mean
            for name, mean in zip(part.measured.variants, part.measured.summary.mean.tolist(), strict=True)
        }
        for setting, part in results.settings.items()
    ]


def _in_every(results: Results) -> list[str]:
    """The variants that every setting has a mean of, what others are compared with first."""
    by_setting = _means(results)
    base = results.record.across[0]
    first = base.baseline.removeprefix(f"{base.name}/")
    whole = [name for name in by_setting[0] if all(np.isfinite(of.get(name, np.nan)) for of in by_setting)]
    return sorted(whole, key=lambda name: name != first)


# --------------------------------------------------------------------------------------------------------------- scores


def normalised(results: Results) -> Scores:
    """The scores of every variant that has some in each setting. AblateError for one setting, where a setting has no
    limits, or where means alone are known."""
    several_settings(results)
    lacking = [one.name for one in results.record.across if not one.limits]
    if lacking:
        name, study = results.measured.metric.name, results.study
        pairs = ", ".join(f"{one}: [0, 100]" for one in lacking)
        raise AblateError(
            f"{study} does not say what of {name} counts as 0 and as 1 in {in_words(lacking)}, and scores are put on "
            f"one scale by that: `metric: {{name: {name}, limits: {{{pairs}}}}}`, say; `ablate import` takes --limits.",
            page="several-settings",
        )
    if any(part.measured.given is not None for part in results.settings.values()):
        raise AblateError(f"of {results.study} only means are known, no single run: it was imported so.")
    names, planned = _in_every(results), 0
    if not names:
        raise AblateError("no variant is done in every setting yet.", page="several-settings")
    values: dict[str, list[Array]] = {name: [] for name in names}
    for (setting, part), of in zip(results.settings.items(), results.record.across, strict=True):
        measured, (worst, best) = part.measured, of.limits
        of_metric = measured.values[measured.metric.name]
        at = {name.removeprefix(f"{setting}/"): i for i, name in enumerate(measured.variants)}
        planned += int(measured.planned[at[names[0]]])
        for name in names:
            own = of_metric[at[name]]
            values[name].append((own[np.isfinite(own)] - worst) / (best - worst))
    return Scores(tuple(results.settings), {name: tuple(each) for name, each in values.items()}, planned)


def iqm_view(results: Results) -> ViewData:
    """A row a variant, the best interquartile mean first. AblateError as of `normalised`."""
    found = normalised(results)
    rows: list[Shown] = []
    records: list[dict[str, Json]] = []
    for name in found.by_iqm:
        each, first = found.values[name], name == found.first
        told = {key: _estimate(of, each) for key, of in scores.AGGREGATES.items()}
        better = None if first else _estimate(scores.improvement, each, found.values[found.first])
        n = sum(map(len, each))
        shown = [_said(told["iqm"]), *(f"{told[key]['estimate']:.3f}" for key in ("median", "mean", "optimality_gap"))]
        rows.append((name, str(n) if n == found.planned else f"{n}/{found.planned}", *shown, _said(better)))
        records.append({"variant": name, "n": n, "planned": found.planned, **told, "improvement": better})
    columns = [
        ("variant", False), ("n", True), ("IQM (95 % CI)", True), ("median", True), ("mean", True),
        ("optimality gap", True), (f"P(better than {found.first}) (95 % CI)", True),
    ]  # fmt: skip
    of = f"interquartile means over {many(len(found.settings), 'setting')}"
    return made(results, "iqm", of, columns, rows, records, [*_of_scores(results, found)])


def _estimate(statistic: Callable[..., Array], *sides: scores.Each) -> dict[str, Json]:
    ends = scores.interval(statistic, *sides)
    low, high = (None, None) if ends is None else (float(end) for end in ends)
    return {"estimate": float(statistic(*sides)), "ci_low": low, "ci_high": high}


def _said(told: dict[str, Json] | None) -> str:
    if told is None:
        return ""
    ends = f" ({told['ci_low']:.3f} to {told['ci_high']:.3f})" if told["ci_low"] is not None else ""
    return f"{told['estimate']:.3f}{ends}"


def _of_scores(results: Results, found: Scores) -> Iterator[str]:
    metric = results.measured.metric
    limits = [f"{one.name} {one.limits[0]:g} to {one.limits[1]:g}" for one in results.record.across]
    yield (
        f"Scores: {metric.name} of every counted run, 0 at a setting's first limit and 1 at its second "
        f"({listed(limits)}); n: runs over {many(len(found.settings), 'setting')}."
    )
    yield (
        "IQM: the mean of the middle half of a variant's scores; median: of its settings' means; optimality gap: how "
        f"far scores fall short of 1 on average, beyond which nothing counts. P(better than {found.first}): that a run "
        "is better than one of it in the same setting, equal ones counting half, on average over settings (Agarwal et "
        "al. 2021)."
    )
    uneven = [
        f"{name} ({listed(f'{where} {len(one)}' for where, one in zip(found.settings, each, strict=True))})"
        for name, each in found.values.items()
        if len({len(one) for one in each}) > 1
    ]
    if uneven:
        yield (
            "Every run weighs the same in IQM, mean and optimality gap, so a setting with fewer runs, for some failed "
            f"or are to do, weighs less: {listed(uneven)}."
        )
    yield interval_in_words(found)


def interval_in_words(found: Scores) -> str:
    """What the intervals are, and what they are not."""
    if found.seeds < MINIMUM_N:
        return f"No interval: it takes {MINIMUM_N} seeds in each setting."
    few = (
        f" With {found.seeds} seeds a setting they are too narrow: in simulations they hold the value in "
        f"{scores.COVERS[least]} % of studies."
        for least in sorted(scores.COVERS, reverse=True)
        if found.seeds >= least
    )
    return (
        f"Intervals: percentiles of {scores.RESAMPLES:,} resamples that draw seeds with replacement within each "
        f"setting; they speak of other seeds in these settings.{next(few)} No verdict "
        "goes by them."
    )
