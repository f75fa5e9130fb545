"""`ablate plan --power` and `--budget`: what a study can show, and what fits into a time, by what was measured.

It reads stored results and run times of the same study (a pilot with fewer seeds is one) and changes nothing. The
arithmetic is power.py's.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median

import numpy as np
from tabulate import tabulate

from ablate.analysis import joined, results
from ablate.analysis.across import satterthwaite
from ablate.analysis.comparisons import ALPHA
from ablate.analysis.joined import Key
from ablate.analysis.looks import levels
from ablate.analysis.measured import Measured
from ablate.analysis.power import (
    MOST_SEEDS,
    STUDIES,
    Further,
    Proposal,
    Visible,
    least_s,
    proposals,
    proposed,
    visible,
    visible_beyond,
    visible_effect,
    visible_mean,
    visible_over,
)
from ablate.analysis.results import Results
from ablate.errors import AblateError, StudyError
from ablate.records import DesignUse, Json
from ablate.runs.planned import Planned
from ablate.store.reader import Reader
from ablate.study import across
from ablate.study.rows import BY_HAND
from ablate.text import duration, many

OTHERS = ("leave_one_out", "add_one_in", "fractional", "factorial")
"""Designs that a budget is also reckoned for, beside the study's own."""


@dataclass(frozen=True)
class Answer:
    """A table for people, sentences below it, records for programs."""

    text: str
    notes: tuple[str, ...]
    records: list[dict[str, Json]]

    def __str__(self) -> str:
        return "\n".join([self.text, "", *(f"- {note}" for note in self.notes)])


# ---------------------------------------------------------------------------------------------------------------- power


def power_of(planned: Planned, store: Reader | None, sd: float | None = None) -> Answer:
    """The smallest visible effect of every planned comparison, and the seeds that `minimum_effect` needs.

    sd: of a difference between two variants at equal seeds, in place of what was measured.
    """
    metric, seeds = planned.study.metric, len(planned.study.seeds)
    pairs = list(dict.fromkeys((r.variant, r.compared_with) for r in planned.plan.rows if r.compared_with is not None))
    if not pairs:
        raise AblateError(f"{planned.study.name} compares nothing with anything, so there is no effect to see.")
    source, level = "as given by --sd" if sd is not None else "from the stored results", _level(planned)
    stored = None if sd is not None else _stored(planned.study.name, store)
    measured = {} if stored is None else dict(stored.settings) or {"": stored}
    rows: list[Visible] = []
    for setting, of in _by_setting(planned, pairs).items():  # each is a family of its own, measured on its own examples
        there = measured[setting].measured if setting in measured else None
        known = {} if there is None else _spreads(there)
        spreads = [(v, r, sd, 0) if sd is not None else (v, r, *known.get((v, r), (None, 0))) for v, r in of]
        found = visible(spreads, seeds, metric.minimum_effect, level)
        if there is not None and planned.study.analysis.get("generalise") != "seeds":
            found = _beyond(found, there, seeds, metric.minimum_effect, level)
        rows += found
    if planned.study.across and rows:
        rows += _means(planned, rows, stored, level)
    if not rows:
        raise AblateError(
            f"the database holds no spread of {planned.study.name} yet: run a pilot (`ablate run ... --set seeds=3`), "
            "or give the standard deviation of a difference between equal seeds: --sd 0.6.",
            page="how-the-table-is-made",
        )
    return Answer(_power_text(rows, seeds, metric.minimum_effect), _power_notes(rows, planned, source), _records(rows))


def over_settings(planned: Planned) -> list[str]:
    """What the mean over a study's settings can find, and a table of one of them; nothing where it has one setting."""
    count, seeds = len(planned.study.across), len(planned.study.seeds)
    per_setting: dict[str, int] = {}
    for row in planned.plan.rows:
        if row.compared_with is not None:
            per_setting[row.setting] = per_setting.get(row.setting, 0) + 1
    rows = max(per_setting.values(), default=0)
    if not count or not rows:
        return []
    mean = float(visible_mean(np.ones((rows, count)), seeds, ALPHA / rows)[0])
    if not np.isfinite(mean):
        return [f"{count} settings x {seeds} seeds find nothing: it takes three seeds in each."]
    alone = visible_effect(seeds, ALPHA / rows)
    little = ": next to nothing" if mean > 3 else ""
    return [
        f"{count} settings x {seeds} seeds: at Holm's first level of {many(rows, 'row')} the mean finds an effect of "
        f"{mean:.2g} standard deviations of a difference in 80 % of studies{little}; one setting by itself, of "
        f"{alone:.2g}. Where one setting spreads far more than the others, it finds less."
    ]


def _level(found: Planned) -> float:
    """Of one test with all seeds: of adaptive seeds, at the last look."""
    looks = found.study.analysis.get("looks")
    return float(levels(looks)[-1]) if looks else ALPHA


def _by_setting(planned: Planned, pairs: Sequence[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """The comparisons of each setting; under the empty name where the study has one alone."""
    settings = {row.variant: row.setting for row in planned.plan.rows}
    found: dict[str, list[tuple[str, str]]] = {}
    for pair in pairs:
        found.setdefault(settings[pair[0]], []).append(pair)
    return found


def _stored(study: str, store: Reader | None) -> Results | None:
    return None if store is None or store.study(study) is None else results.load(store, study)


def _means(planned: Planned, rows: Sequence[Visible], stored: Results | None, level: float) -> list[Visible]:
    """The same of each trick's mean over the settings, where every setting has it."""
    study, by_pair = planned.study, {(row.variant, row.compared_with): row for row in rows}
    cells: dict[Key, dict[str, Visible]] = {}
    for row in planned.plan.rows:
        found = by_pair.get((row.variant, row.compared_with or ""))
        if found is not None:
            cells.setdefault((row.design, row.across), {})[row.setting] = found
    whole = {key: list(of.values()) for key, of in cells.items() if len(of) == len(study.across)}
    if not whole or study.analysis.get("across", "mean") != "mean":
        return []
    std = np.array([[cell.std for cell in of] for of in whole.values()])
    named = [(f"mean: {row}", min(cell.pairs for cell in of)) for (_, row), of in whole.items()]
    further = None
    if stored is not None and stored.settings and study.analysis.get("generalise") != "seeds":
        further = _further(stored, list(whole))
    seeds = len(study.seeds)
    return visible_over(named, std, seeds, study.metric.minimum_effect, level, further)


def _further(stored: Results, keys: Sequence[Key]) -> Further | None:
    """What examples add to rows' means, where every setting knows of them and every row is stored."""
    parts = {name: part.measured for name, part in stored.settings.items()}
    if any(not measured.tested.evidence.of_both for measured in parts.values()):
        return None
    there = joined.cells_of(parts, {name: part.rows for name, part in stored.settings.items()})
    table = joined.table_of(parts, there)
    beyond = joined.beyond_of(parts, table, joined.sharing_of(parts))
    at = [list(there).index(key) for key in keys if key in there]
    pairs = table.seeds.min(axis=1)
    v = np.maximum(beyond.v - beyond.noise, 0.0).sum(axis=1)
    noise, df = beyond.noise.sum(axis=1) * pairs, satterthwaite(beyond.v, beyond.df)
    if len(at) < len(keys) or not np.isfinite([v[at], noise[at], df[at]]).all():
        return None
    return Further(v[at], noise[at], df[at])


def _spreads(measured: Measured) -> dict[tuple[str, str], tuple[float | None, int]]:
    """Of every stored comparison the standard deviation of a difference, and the pairs that it comes from."""
    index = {name: i for i, name in enumerate(measured.variants)}
    differences = measured.compare([index[v] for v, _ in measured.family], [index[r] for _, r in measured.family])
    counted = zip(measured.family, differences.std, differences.pairs, strict=True)
    return {pair: (float(std) if std > 0 and n > 1 else None, int(n)) for pair, std, n in counted}


def _beyond(
    rows: Sequence[Visible], measured: Measured, seeds: int, minimum: float | None, level: float
) -> list[Visible]:
    """The same about other examples, of comparisons whose components are known."""
    evidence, place = measured.tested.evidence, {pair: i for i, pair in enumerate(measured.family)}
    found = []
    for row in rows:
        i = place.get((row.variant, row.compared_with))
        parts = None if i is None or not evidence.of_both else evidence.parts.at(i)
        known = parts is not None and bool(np.isfinite(parts.v_noise[0])) and row.pairs > 0
        found.append(visible_beyond(row, parts, seeds, minimum, len(rows), level) if known and parts else row)
    return found


def _power_text(rows: Sequence[Visible], seeds: int, minimum: float | None) -> str:
    header = ["variant", "compared with", "sd of Δ", "pairs", f"visible with {seeds} seeds", "after Holm, at worst"]
    header += [f"seeds for {minimum:g}", "after Holm, at worst"] if minimum else []
    floors = any(row.floor is not None for row in rows)
    header += ["no number of seeds"] * floors
    body = []
    for row in rows:
        line = [row.variant, row.compared_with, f"{row.std:.3g}", str(row.pairs or "–"), _effect(row.alone)]
        line.append(_effect(row.corrected))
        line += [_seeds(row.seeds), _seeds(row.seeds_corrected)] if minimum else []
        line += ["–" if row.floor is None else _effect(row.floor)] * floors
        body.append(line)
    align = ["left", "left", *["right"] * (len(header) - 2)]
    return tabulate(body, header, disable_numparse=True, colalign=align)


def _effect(size: float) -> str:
    return f"{size:.3g}" if size < float("inf") else "n<3"


def _seeds(count: int | None) -> str:
    return f">{MOST_SEEDS}" if count is None else str(count)


def _power_notes(rows: Sequence[Visible], planned: Planned, source: str) -> tuple[str, ...]:
    metric, looks = planned.study.metric, planned.study.analysis.get("looks") or []
    at = f"{_level(planned):.2g}"
    means = [row for row in rows if not row.compared_with]
    by_setting = _by_setting(planned, [(row.variant, row.compared_with) for row in rows if row.compared_with])
    size, of_one = max(map(len, by_setting.values())), " of a setting" * bool(planned.study.across)
    notes = [
        f"Visible: the smallest true difference of {metric.name} that a two-sided paired t test at {at} finds with a "
        f"power of 80 %; after Holm, at worst: at {at} / {size}, the first of the {size} comparisons{of_one}.",
        f"sd of Δ: the standard deviation of a difference between equal seeds, {source}"
        + ("; –: not measured, the median of the others." if any(not row.pairs for row in rows) and "--sd" not in source
           else "."),
    ]  # fmt: skip
    if means:
        notes.append(
            f"mean: of a row's differences in the {len(planned.study.across)} settings; sd of Δ: of one seed's mean "
            f"over them; by {STUDIES:,} simulated studies, after Holm at {at} / {len(means)}."
        )
    if any(row.floor is not None for row in rows):
        notes.append(
            "Where results are kept for each example, all of this speaks of other examples, too; no number of seeds: "
            "what stays invisible on these examples, 2.8 standard errors over examples alone."
        )
    if any(0 < row.pairs < 10 for row in rows):
        notes.append("A spread from few pairs is rough; expect to need more seeds rather than fewer.")
    if len(looks) > 1:
        notes.append(
            f"Adaptive seeds: this is what the last of the {len(looks)} looks can show; larger effects stop early."
        )
    if metric.minimum_effect is None:
        notes.append("With a `minimum_effect` in the study's metric, the seeds that it needs stand here too.")
    return tuple(notes)


def _records(rows: Sequence[Visible]) -> list[dict[str, Json]]:
    """As JSON can hold them: an effect that no number of so few seeds shows is null."""
    return [
        {key: None if value == float("inf") else value for key, value in asdict(row).items()} for row in rows
    ]  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- budget


def budget_of(planned: Planned, store: Reader | None, budget_s: float, workers: int) -> Answer:
    """How many seeds of the study's design, and of other designs, fit into a time, by the run times measured."""
    seconds = _seconds(planned, store)
    designs, refused = _designs(planned)
    fits = proposals(designs, seconds, workers, budget_s)
    chosen = proposed(fits)
    body = [
        [p.design, str(p.variants), str(p.seeds), str(p.variants * p.seeds), duration(p.seconds) if p.seeds else "–",
         "<- " * (p is chosen)]
        for p in fits
    ]  # fmt: skip
    header = ["design", "variants", "seeds that fit", "runs", "time", ""]
    align = ["left", *["right"] * 4, "left"]
    notes = [_advice(planned, fits, chosen, budget_s, least_s(designs, seconds, workers))]
    notes.append(
        f"From the median time of {len(seconds)} measured variants, {duration(median(seconds.values()))} a run, with "
        f"{workers} at a time; runs that are done already are counted again, and no run is expected to fail."
    )
    notes += refused
    records = [{**asdict(p), "runs": p.variants * p.seeds, "proposed": p is chosen} for p in fits]
    return Answer(tabulate(body, header, disable_numparse=True, colalign=align), tuple(notes), records)


def _advice(planned: Planned, fits: Sequence[Proposal], chosen: Proposal | None, budget_s: float, least: float) -> str:
    name = planned.study.path or planned.study.name
    if chosen is None:
        return (
            f"Nothing gets the three seeds that an interval needs within {duration(budget_s)}; the cheapest design "
            f"takes {duration(least)}. Fewer tricks, fewer epochs, or more time."
        )
    if chosen is fits[0]:
        return f"Proposed: ablate run {shlex.quote(name)} --set seeds={chosen.seeds}"
    return (
        f"Proposed: `designs: {chosen.design}` in {name}, with `seeds: {chosen.seeds}`; its own gets fewer than three."
    )


def _seconds(planned: Planned, store: Reader | None) -> dict[str, float]:
    """The median time of a run, by variant."""
    times: dict[str, list[float]] = {}
    for variant, took in [] if store is None else store.durations(planned.study.name):
        times.setdefault(variant, []).append(took)
    if not times:
        raise AblateError(
            f"no run of {planned.study.name} was timed yet: run one seed first (`ablate run ... --set seeds=1`), then "
            "ask what fits.",
            page="how-the-table-is-made",
        )
    return {variant: median(seconds) for variant, seconds in times.items()}


def _designs(planned: Planned) -> tuple[dict[str, list[str]], list[str]]:
    """The variants of the study's own design and of others, and why some cannot be."""
    own = " + ".join(use.name for use in planned.study.designs) or BY_HAND
    designs = {own: [variant.name for variant in planned.plan.variants]}
    refused = []
    for name in OTHERS:
        if name == own or not planned.study.tricks:
            continue
        study = replace(planned.study, designs=(DesignUse(name),), variants=(), baseline=None)
        try:
            plan = across.make_plan(study, planned.registry, planned.task, planned.plan.sources)
        except StudyError as error:
            refused.append(f"Not {name}: {error.problems[0].message}")
        else:
            designs[name] = [variant.name for variant in plan.variants]
    return designs, refused
