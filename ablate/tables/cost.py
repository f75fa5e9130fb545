"""`table --view cost`: what each variant takes, and which row is cheaper than its comparison and not worse.

Hours and energy are of every attempt, failed ones too; the sizes of the networks are what runs report.

Not worse is tested, not assumed: one-sided, that the row is less than the minimum effect worse (non-inferiority). So is
cheaper: two-sided, paired over seeds, on the logarithm of seconds. A row needs both, so its p is the larger of the two
(an intersection-union test: Berger 1982); Holm over the rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from ablate.analysis.comparisons import ALPHA, Array, compare, holm
from ablate.analysis.results import Results
from ablate.records import Json, Row
from ablate.runs import spent
from ablate.runs.spent import Compute, Hours
from ablate.tables.factorials import Shown, made
from ablate.tables.table import Chance, ViewData
from ablate.text import decimals, fixed, joined, many

CHEAPER = "cheaper, not worse"


def cost_view(results: Results) -> ViewData:
    """A row each: seconds a run, the ratio to its comparison, what all its attempts took, how large its network is."""
    rows = list({(row.variant, row.compared_with): row for row in results.rows}.values())
    seconds, of = _seconds(results)
    ratios = [_ratio(row, seconds) for row in rows]
    p = holm(np.array([_p(row, seconds, results) for row in rows], dtype=float))
    compute = spent.compute(results.spent(), results.study)
    sizes = _sizes(results)
    digits = decimals((row.std for row in rows), (row.mean for row in rows))
    spents = [compute.by_variant.get(row.variant, Hours()) for row in rows]
    means = [_mean(seconds.get(row.variant)) for row in rows]
    in_cells = [
        _column(means), _column([took.core_s / 3600 or None for took in spents]),
        _column([took.gpu_s / 3600 or None for took in spents]), _column([took.kwh for took in spents]),
    ]  # fmt: skip
    several = len({row.compared_with for row in rows if row.compared_with}) > 1
    shown: list[Shown] = []
    records: list[dict[str, Json]] = []
    for i, (row, mean, took) in enumerate(zip(rows, means, spents, strict=True)):
        verdict = CHEAPER if p[i] < ALPHA and ratios[i][0] is not None and (ratios[i][0] or 1) < 1 else ""
        flops, parameters = (sizes[name].get(row.variant) for name in SIZES)
        quality = "–" if row.mean is None else fixed(row.mean, digits)
        took_s, *hours_and_energy = (column[i] for column in in_cells)
        shown.append(
            (
                row.label or row.variant, *[row.compared_with or ""] * several, quality, took_s, _shown(ratios[i]),
                Chance(None if np.isnan(p[i]) else float(p[i])), verdict, *hours_and_energy,
                *("–" if size is None else f"{size:,.0f}" for size in (flops, parameters)),
            )
        )  # fmt: skip
        records.append(
            {
                "variant": row.variant, "compared_with": row.compared_with, "mean": row.mean, "seconds": mean,
                "ratio": ratios[i][0], "ratio_ci_low": ratios[i][1], "ratio_ci_high": ratios[i][2],
                "p_adjusted": None if np.isnan(p[i]) else float(p[i]), "verdict": verdict or None,
                "attempts": took.attempts, "gpu_hours": took.gpu_s / 3600, "cpu_hours": took.core_s / 3600,
                "energy_kwh": took.kwh, "flops": flops, "parameters": parameters,
            }
        )  # fmt: skip
    columns = [
        ("variant", False), *[("vs", False)] * several, (results.measured.metric.name, True), ("s a run", True),
        ("ratio (95 % CI)", True), ("p (Holm)", True), ("verdict", False), ("cpu_hours", True), ("gpu_hours", True),
        ("energy_kwh", True), ("flops", True), ("parameters", True),
    ]  # fmt: skip
    said = [*_sentences(results, compute, of), *_of_energy(compute), *_of_sizes(results, sizes)]
    return made(results, "cost", "what it costs", columns, shown, records, said)


SIZES = ("flops", "parameters")
"""What runs say of their network, which is the same for every seed."""


def _sizes(results: Results) -> dict[str, dict[str, float]]:
    """name -> variant -> its mean over the counted runs that report it."""
    reported: dict[str, dict[str, list[float]]] = {name: {} for name in SIZES}
    for variant, _, name, value in results.reported(SIZES):
        if value is not None:
            reported[name].setdefault(variant, []).append(value)
    return {name: {v: float(np.mean(values)) for v, values in of.items()} for name, of in reported.items()}


def _column(values: Sequence[float | None]) -> list[str]:
    """Amounts below each other: three digits of the largest, a smaller one with one of its own at least."""
    largest = max((value for value in values if value), default=1.0)
    places = min(max(2 - math.floor(math.log10(largest)), 0), 7)
    cells = ["–" if value is None else fixed(value, places) for value in values]
    return [
        f"{value:.1g}" if value and not cell.strip("0.") else cell for cell, value in zip(cells, values, strict=True)
    ]


def _seconds(results: Results) -> tuple[dict[str, Array], str]:
    """Of each variant what a run took by seed, and what that is: training alone where every run says so."""
    measured = results.measured
    own = measured.values.get("train_seconds")
    if own is not None and np.isfinite(own).sum() == np.isfinite(measured.values[measured.metric.name]).sum():
        return dict(zip(measured.variants, own, strict=True)), "train_seconds"
    by = {
        name: np.array([results.took.get((name, seed), np.nan) for seed in measured.seeds], dtype=float)
        for name in measured.variants
    }
    return by, "from the claim of a run to its result, its start included"


def _mean(seconds: Array | None) -> float | None:
    if seconds is None or not np.isfinite(seconds).any():
        return None
    return float(np.nanmean(seconds)) or None  # of imported runs nothing is known


Ratio = tuple[float | None, float | None, float | None]


def _logs(row: Row, seconds: dict[str, Array]) -> tuple[Array, Array] | None:
    if row.compared_with is None or row.variant not in seconds or row.compared_with not in seconds:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        one, other = (np.log(seconds[name])[None, :] for name in (row.variant, row.compared_with))
    return np.where(np.isfinite(one), one, np.nan), np.where(np.isfinite(other), other, np.nan)


def _ratio(row: Row, seconds: dict[str, Array]) -> Ratio:
    """How many times as long a run of the row takes as one of its comparison, with its 95 % interval."""
    logs = _logs(row, seconds)
    if logs is None:
        return None, None, None
    told = compare(*logs)
    values = (told.estimate[0], told.ci_low[0], told.ci_high[0])
    first, low, high = (float(np.exp(value)) if np.isfinite(value) else None for value in values)
    return first, low, high


def _shown(ratio: Ratio) -> str:
    estimate, low, high = ratio
    if estimate is None:
        return ""
    return f"{estimate:.2f}" + (f" ({low:.2f} to {high:.2f})" if low is not None and high is not None else "")


def _p(row: Row, seconds: dict[str, Array], results: Results) -> float:
    """That the row is cheaper, and less than the minimum effect worse; NaN where one of both cannot be tested."""
    margin, measured = results.measured.metric.minimum_effect, results.measured
    logs = _logs(row, seconds)
    if margin is None or logs is None or row.compared_with is None or measured.given is not None:
        return float("nan")
    place = {name: i for i, name in enumerate(measured.variants)}
    values = measured.values[measured.metric.name]
    sign = 1 if measured.metric.better == "higher" else -1
    quality = compare(sign * values[[place[row.variant]]], sign * values[[place[row.compared_with]]])
    cost = compare(*logs)
    not_worse = special.stdtr(quality.df[0], -(quality.estimate[0] + margin) / quality.se[0])
    cheaper = cost.p[0] if cost.estimate[0] < 0 else 1.0
    return float(max(not_worse, cheaper))


def _sentences(results: Results, compute: Compute, of: str) -> list[str]:
    margin = results.measured.metric.minimum_effect
    metric = results.measured.metric.name
    said = [f"s a run: mean over counted runs, {of}; ratio: to the comparison's, paired over seeds, on logarithms."]
    if margin is None:
        said.append("Nothing is called cheaper and not worse: the study says no `minimum_effect` that would be worse.")
    else:
        said.append(
            f"{CHEAPER}: less time, and less than {margin:g} worse in {metric}; each tested, p is the larger of both, "
            "Holm over the rows. It speaks of the row, not of the trick."
        )
    kinds = [
        f"{spent.KINDS[kind]} {spent.amount(took.wall_s)}" for kind, took in compute.by_kind.items() if took.attempts
    ]
    more = [
        f"{what} {spent.in_words(took)}"
        for what, took in (("earlier plans", compute.nobodys), ("other studies", compute.others))
        if took.gpu_s or took.core_s
    ]
    if kinds:
        said.append(
            f"cpu_hours, gpu_hours, energy_kwh: every attempt of the variant, failed ones too. The study in all: "
            f"{spent.in_words(compute.study)} ({joined(kinds)}); a CPU hour is one of a thread that a run was given."
            + f" In the same database: {joined(more)}."
            * bool(more)
        )
    said.append("Runs that shared a processor or a GPU took longer than alone.")
    return said


def _of_energy(compute: Compute) -> list[str]:
    """What was measured of electricity and how, and why the rest was not."""
    study, said = compute.study, []
    if study.kwh is not None:
        of = [("processors", study.cpu_kwh, study.cpu_metered), ("GPUs", study.gpu_kwh, study.gpu_metered)]
        parts = [f"{spent.energy(kwh)} of {what} in {many(n, 'attempt')}" for what, kwh, n in of if n]
        said.append(
            f"energy_kwh: an estimate; the study in all {joined(parts)} of {study.attempts}. Counters speak of a whole "
            "processor (RAPL) or GPU (NVML): a run has the share of its CPU time in all that the host computed "
            "meanwhile, idle power included, and an equal share of a GPU with the runs beside it."
        )
    said += [
        f"No energy{' of all parts' if study.kwh is not None else ''} for {many(n, 'attempt')} of {study.attempts}: "
        f"{why}."
        for why, n in compute.unread.items()
    ]
    return said


def _of_sizes(results: Results, sizes: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What flops are, or why there are none."""
    if sizes["flops"]:
        return ["flops: as the runs report them; of `classify`, one forward pass of one image, as torch counts."]
    by_hand = f"; `ablate show {results.measured.variants[0]} --model` counts them" * bool(results.record.facts.example)
    return [f"flops: no run reports any{by_hand}."]
