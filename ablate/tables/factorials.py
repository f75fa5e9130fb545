"""Views of a factorial: main effects, interactions of two tricks, exact Shapley values. What a study has of one.

It finds the factorial or the fraction among a study's variants, has factorial.py estimate it, and lays it out as
columns for people and records for programs (table.ViewData), with its method, family and n in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.analysis import crossed
from ablate.analysis import factorial as effects
from ablate.analysis.comparisons import ALPHA, MINIMUM_N, Array, CellMeans, summarise
from ablate.analysis.crossed import Factor, Factorial, Signs
from ablate.analysis.examples import contrasts
from ablate.analysis.factorial import Estimated, Term
from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Interaction, Json, Quarter
from ablate.tables import cautions, notes
from ablate.tables.table import Chance, Measure, ViewData
from ablate.text import listed

Shown = tuple[str | Measure | Chance, ...]
"""A row of a view."""


def made(
    results: Results,
    view: str,
    of: str,
    columns: Sequence[tuple[str, bool]],
    rows: Sequence[Shown],
    records: Sequence[Mapping[str, Json]],
    sentences: Sequence[str],
) -> ViewData:
    """columns: titles, and whether they hold numbers. sentences: the view's own notes; the study's follow."""
    measured = results.measured
    further = notes.of_view(measured, results.record, results.cells, results.provenance)
    header, numeric = zip(*columns, strict=True)
    return ViewData(
        view, of, results.study, measured.metric.name, measured.metric.better, header, numeric, tuple(rows),
        tuple(records), (*sentences, *further),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ factorial


@dataclass(frozen=True)
class Measured:
    """The variants of a study that form a factorial, and their means. names: in the order of design.cells.

    shared: their values at the seeds that all of them have, by which each term is tested; None: by one pooled error.
    beyond: what their examples say of contrasts, where the table's verdicts speak of other examples.
    """

    design: Factorial
    names: tuple[str, ...]
    fitted: CellMeans
    shared: Array | None
    flips: bool
    notes: tuple[str, ...]
    beyond: effects.Beyond | None = None

    @property
    def estimated(self) -> Estimated:
        return effects.estimate(self.design, self.fitted, self.shared, flips=self.flips, beyond=self.beyond)

    @property
    def mean(self) -> Array:
        """Of each cell, as the terms are estimated from it."""
        return self.fitted.mean if self.shared is None else np.asarray(self.shared.mean(axis=1))


def factors_of(found: Results) -> tuple[Factor, ...]:
    """The study's tricks, as a factorial switches them."""
    return tuple(Factor(trick.name, trick.levels) for trick in found.record.tricks)


def own_base(results: Results) -> list[int]:
    """The variants on the study's own base, without those that change it by hand, a placebo and controls."""
    variants = enumerate(results.record.variants)
    return [i for i, variant in variants if not (variant.of or variant.placebo or variant.control)]


def cells_of(results: Results, chosen: Sequence[int]) -> Signs:
    return crossed.settings(factors_of(results), [results.measured.tricks[i] for i in chosen])


def _factorial(results: Results, view: str) -> Measured:
    """The factorial or fraction that the study has: by its design, else by what its variants make up together."""
    measured = results.measured
    factors, whole = factors_of(results), own_base(results)
    index = {name: i for i, name in enumerate(measured.variants)}
    designs = dict.fromkeys(declared.design for declared in measured.asked)
    by_design = [
        list(dict.fromkeys(index[declared.variant] for declared in measured.asked if declared.design == design))
        for design in designs
    ]
    for chosen in sorted([whole, *(set_ for set_ in by_design if set(set_) <= set(whole))], key=len, reverse=True):
        design = crossed.layout(factors, cells_of(results, chosen))
        if design is not None:
            break
    else:
        lacking = crossed.missing(factors, cells_of(results, whole))
        named = listed((" + ".join(choices) or "none of them" for choices in lacking), most=6)
        raise AblateError(
            f"{view} need a factorial: all combinations of the tricks, or a regular fraction of them (`designs: "
            f"factorial` or `fractional`). Of the combinations, {results.study} lacks {named}. What it has: --view "
            "variants, or --view compare for each trick in every context.",
            page="how-the-table-is-made",
        )
    values = measured.values[measured.metric.name][chosen]
    names = tuple(measured.variants[i] for i in chosen)
    empty = [name for name, row in zip(names, values, strict=True) if not np.isfinite(row).any()]
    if empty:
        raise AblateError(
            f"{view} need every combination, and there is no result yet of {listed(empty)}: `ablate run`, or "
            "--retry-failed where they failed.",
            page="how-the-table-is-made",
        )
    fitted, shared = measured.fit(chosen), _shared(results, values)
    if shared is None and not fitted.connected:
        raise AblateError(
            f"{view} need seeds that tie all variants together; here some variants share seeds and others share none "
            "with them. Finish the study's missing runs first.",
            page="how-the-table-is-made",
        )
    beyond = None if shared is None else _beyond(results, names, values)
    told = (*_factorial_notes(results, design, chosen, fitted, shared), *_speaks(results, beyond))
    return Measured(design, names, fitted, shared, measured.flips, told, beyond)


def _beyond(results: Results, names: Sequence[str], values: Array) -> effects.Beyond | None:
    """What the examples say of these variants at the seeds that all of them have."""
    measured = results.measured
    if measured.source is None or not measured.tested.evidence.of_both:
        return None
    whole = np.flatnonzero(np.isfinite(values).all(axis=0))
    return contrasts(measured.source, names, [measured.seeds[i] for i in whole])


def _speaks(results: Results, beyond: effects.Beyond | None) -> list[str]:
    evidence = results.measured.tested.evidence
    return [
        f"Intervals and p speak of other seeds and of other {evidence.word}s like these {evidence.counted}: the widest "
        f"and the largest of three, over seeds, over {evidence.word}s, and over both."
    ] * (beyond is not None)


def _shared(results: Results, values: Array) -> Array | None:
    """The values by which each term is tested for itself, unless the study declares one pooled error."""
    return None if results.measured.pools or results.measured.given is not None else effects.shared_by_all(values)


def _factorial_notes(
    results: Results, design: Factorial, chosen: Sequence[int], fitted: CellMeans, shared: Array | None
) -> list[str]:
    """Which runs the view rests on, and what to hold against one pooled error."""
    measured = results.measured
    n = sorted(set(fitted.n.tolist()))
    shape = "all" if design.full else "a regular fraction of"
    each = f"n = {n[0]}" if len(n) == 1 else f"n = {n[0]} to {n[-1]}"
    seeds = "seeds as blocks" if fitted.blocks else "no shared seeds"
    sentences = [
        f"From {shape} the combinations of {listed(design.tricks)}: {len(chosen)} variants, {each} each "
        f"({int(fitted.n.sum())} runs), {seeds}."
    ]
    counted = np.isfinite(measured.values[measured.metric.name][list(chosen)])
    if shared is not None and not counted[:, counted.any(axis=0)].all():
        sentences.append(
            f"Runs are missing: everything here is of the {shared.shape[1]} seeds that all these variants have."
        )
    elif shared is None and fitted.blocks and len(n) > 1:
        sentences.append("Runs are missing, so the means are least squares over variants and seeds.")
    if shared is None and fitted.blocks and not measured.pools and fitted.df >= effects.MINIMUM_DF:
        sentences.append(
            f"Fewer than {MINIMUM_N} seeds that all these variants have, so one error pooled over all of them."
        )
    others = [name for i, name in enumerate(measured.variants) if i not in chosen]
    if others:
        sentences.append(f"Not part of it: {listed(others)}.")
    constant = [f.name for i, f in enumerate(design.factors) if i not in design.varied]
    if constant:
        sentences.append(f"The same in all of these variants, so without an effect here: {listed(constant)}.")
    names = [measured.variants[i] for i in chosen]
    spread = cautions.spreads(names, fitted, measured.summary.take(chosen).std) if shared is None else ""
    return [*sentences, *([f"{spread} The effects pool their errors: read them with care."] if spread else [])]


# -------------------------------------------------------------------------------------------------------------- effects


def effects_view(results: Results) -> ViewData:
    factorial = _factorial(results, "effects")
    estimated = factorial.estimated
    family = f"Holm over the {len(estimated.effects)} effects of this view"
    sentences = [
        "Effect = mean with the trick minus mean without it, over all settings of the others, in the unit of "
        f"{results.measured.metric.name} ({results.measured.metric.better} is better); one ±1 model.",
        *_method(estimated, family),
        *_confounding(estimated, factorial.design, estimated.effects),
        *factorial.notes,
    ]
    return _terms(results, "effects", "main effects on", estimated.effects, "p (Holm)", sentences)


def interactions_view(results: Results) -> ViewData:
    factorial = _factorial(results, "interactions")
    estimated = factorial.estimated
    if not estimated.interactions and len(factorial.design.varied) < 2:
        raise AblateError(
            "an interaction takes two tricks, and this study varies one only.", page="how-the-table-is-made"
        )
    family = (
        f"Benjamini and Hochberg over the {len(estimated.interactions)} interactions of this view, a family of their "
        "own: exploratory"
    )
    sentences = [
        "Interaction = half the difference of the differences: half of what the first trick does with the second minus "
        f"what it does without, in the unit of {results.measured.metric.name}; one ±1 model.",
        *_method(estimated, family),
        *_confounding(estimated, factorial.design, estimated.interactions),
        *factorial.notes,
    ]
    return _terms(results, "interactions", "interactions on", estimated.interactions, "p (BH)", sentences)


def interactions_of(results: Results) -> tuple[Interaction, ...]:
    """Every interaction of two tricks, with the means that an interaction plot joins; the largest evidence first.

    A quarter's interval: t over the seeds that all of its cells have, each seed's value the mean over those cells.
    AblateError where the study has no factorial, or one trick only.
    """
    factorial = _factorial(results, "interactions")
    terms = factorial.estimated.interactions
    if not terms:
        raise AblateError(
            "an interaction takes two tricks that can be told apart, and this study has none.",
            page="how-the-table-is-made",
        )
    chosen = [results.measured.variants.index(name) for name in factorial.names]
    values = results.measured.values[results.measured.metric.name][chosen]
    ranked = sorted(terms, key=lambda term: (2.0 if term.p is None else term.p, -abs(term.estimate)))
    return tuple(_interaction(factorial, values, term) for term in ranked)


def _interaction(factorial: Measured, values: Array, term: Term) -> Interaction:
    first, second = (_sides(factorial.design, choice) for choice in term.tricks)
    quarters = []
    for a, b in ((False, False), (True, False), (False, True), (True, True)):
        cells = np.flatnonzero(first[a] & second[b])
        if len(cells):
            mean = float(factorial.mean[cells].mean())
            own = summarise(values[cells].mean(axis=0, keepdims=True))  # NaN where a cell lacks the seed
            half = float(own.ci_high[0] - own.mean[0])
            tested = np.isfinite(half)
            quarters.append(Quarter(a, b, mean, mean - half if tested else None, mean + half if tested else None))
    return Interaction(
        (term.tricks[0], term.tricks[1]), tuple(quarters), term.estimate, term.ci_low, term.ci_high, term.p_adjusted,
        tuple(_joined(tricks) for _, tricks in term.aliases),
    )  # fmt: skip


def _sides(design: Factorial, choice: str) -> dict[bool, NDArray[np.bool_]]:
    """Which cells have a choice on, and which have its trick off (at its first setting)."""
    for i in design.varied:
        off, *levels = np.unique(design.cells[:, i]).tolist()
        for level in levels:
            if design.factors[i].choice(level) == choice:
                return {True: design.cells[:, i] == level, False: design.cells[:, i] == off}
    raise AssertionError(f"{choice} is no trick that varies")


def _method(estimated: Estimated, family: str) -> list[str]:
    if estimated.method == "own":
        return [
            f"Each is tested by its own values, one of each seed: 95 % t intervals, {estimated.df:g} degrees of "
            f"freedom; p adjusted by {family}."
        ]
    if estimated.method == "sign flip":
        return [
            "Each is tested by sign flips of its own values, one of each seed, as the study declares: exact 95 % "
            f"intervals; p adjusted by {family}."
        ]
    if estimated.method == "model":
        return [f"95 % t intervals, {estimated.df:g} degrees of freedom of the error; p adjusted by {family}."]
    if estimated.method == "lenth":
        return [
            "One run per variant, so there is no error to test against: Lenth's method takes it from the smaller half "
            f"of all contrasts, which holds if most effects are nothing. 95 % intervals are {estimated.limit:.3g} of "
            f"his standard errors, simulated for this number of contrasts; p adjusted by {family}."
        ]
    if estimated.method == "few":
        return [
            "One run per variant, so there is no error to test against, and three contrasts are too few for Lenth's "
            "method to take it from: nothing here can be shown; no interval, no p."
        ]
    return ["There are too few runs, or no spread between them, for an error to test against: no interval, no p."]


def _confounding(estimated: Estimated, design: Factorial, terms: Sequence[Term]) -> list[str]:
    """What a fraction cannot tell apart. Nothing where every combination was run."""
    if design.full:
        return []
    sentences = ["A fraction: interactions of three and more tricks are taken as zero."]
    mixed = [_with_aliases(term) for term in terms if term.aliases]
    if mixed:
        sentences.append(f"Cannot be told apart (the estimate is of the sum): {listed(mixed, '; ')}.")
    if estimated.confounded:
        sentences.append(f"Cannot be estimated here: {listed(estimated.confounded, '; ')}.")
    return sentences


def _with_aliases(term: Term) -> str:
    signs = {1: "+", -1: "−"}
    return _joined(term.tricks) + "".join(f" {signs[sign]} {_joined(tricks)}" for sign, tricks in term.aliases)


def _joined(tricks: Sequence[str]) -> str:
    return " × ".join(tricks)


def _terms(
    results: Results, view: str, of: str, terms: Sequence[Term], title: str, sentences: Sequence[str]
) -> ViewData:
    rows: list[Shown] = []
    for term in terms:
        survives = term.p_adjusted is not None and term.p_adjusted < ALPHA
        estimate = Measure(term.estimate, term.ci_low, term.ci_high, bold=survives)
        rows.append((_with_aliases(term), estimate, Chance(term.p), Chance(term.p_adjusted)))
    records = [
        {
            "tricks": list(term.tricks), "estimate": term.estimate, "ci_low": term.ci_low, "ci_high": term.ci_high,
            "p": term.p, "p_adjusted": term.p_adjusted, "se": term.se,
            "aliases": [{"sign": sign, "tricks": list(tricks)} for sign, tricks in term.aliases],
        }
        for term in terms
    ]  # fmt: skip
    first = "trick" if view == "effects" else "tricks"
    columns = [(first, False), (f"{view[:-1]} (95 % CI)", True), ("p", True), (title, True)]
    return made(results, view, f"{of} {results.measured.metric.name}", columns, rows, records, sentences)


# -------------------------------------------------------------------------------------------------------------- shapley


def shapley_view(results: Results) -> ViewData:
    shares, sentences = shapley_of(results)
    metric = results.measured.metric
    sentences = [
        f"Shapley value = a trick's mean contribution to {metric.name} ({metric.better} is better) over every order in "
        "which the tricks could be added, exactly; ±: its standard error. They sum to full minus base: "
        f"{sum(share.value for share in shares):.5g}.",
        *sentences,
    ]
    rows = [(share.trick, Measure(share.value, se=share.se)) for share in shares]
    records = [{"trick": share.trick, "value": share.value, "se": share.se} for share in shares]
    columns = [("trick", False), ("Shapley value ± se", True)]
    return made(results, "shapley", f"Shapley values of {metric.name}", columns, rows, records, sentences)


def shapley_of(results: Results) -> tuple[tuple[effects.Share, ...], list[str]]:
    """The values, and what to say of them. Tricks of several levels stand at their first."""
    measured = results.measured
    factors = factors_of(results)
    own = own_base(results)
    first = [i for i in own if cells_of(results, [i]).max(initial=0) <= 1]
    cells = cells_of(results, first)
    varied = [i for i in range(len(factors)) if cells[:, i].any()] if len(first) else []
    full = len(np.unique(cells[:, varied], axis=0)) == len(first) == 1 << len(varied)
    if not varied or not full:
        combinations = cells[:, varied] if varied else cells
        lacking = crossed.missing([factors[i] for i in varied], combinations) if varied else []
        why = (
            f"it lacks {listed((' + '.join(choices) or 'base' for choices in lacking), most=6)}"
            if lacking
            else "its variants are not those of one factorial"
        )
        raise AblateError(
            "Shapley values need every combination of the tricks (`designs: factorial`), and "
            f"{results.study} has no full factorial: {why}.",
            page="how-the-table-is-made",
        )
    values = measured.values[measured.metric.name][first]
    empty = [measured.variants[i] for i, row in zip(first, values, strict=True) if not np.isfinite(row).any()]
    fitted = None if empty else measured.fit(first)
    design = crossed.layout(factors, cells)
    tied = fitted is not None and (fitted.connected or _shared(results, values) is not None)
    if fitted is None or not tied or design is None:
        missing = listed(empty) if empty else "seeds that the variants share"
        raise AblateError(
            f"Shapley values need a result of every combination; missing: {missing}.", page="how-the-table-is-made"
        )
    shared = _shared(results, values)
    beyond = None if shared is None else _beyond(results, [measured.variants[i] for i in first], values)
    sentences = [*_factorial_notes(results, design, first, fitted, shared), *_speaks(results, beyond)]
    if any(len(factor.levels) > 1 for factor in factors):
        sentences.append("Tricks of several levels stand at their first level.")
    if shared is None and fitted.df < effects.MINIMUM_DF:
        sentences.append("One run per variant, or too few: no standard errors.")
    return effects.shapley(design, fitted, shared, beyond), sentences
