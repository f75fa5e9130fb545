"""The sentences under a table: how it was tested, what is missing, what must be read with care. Pure.

Always in this order, and equal results give equal sentences. Names stand in them as they are; a table's format escapes
them. Long lists are cut and say by how many.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ablate.analysis.comparisons import (
    ALPHA,
    MINIMUM_N,
    CellMeans,
    pooled_error,
)
from ablate.analysis.inert import ENOUGH
from ablate.analysis.measured import Measured
from ablate.analysis.results import PROVENANCE
from ablate.analysis.shrunken import MOST_ROWS, least, simulated_error
from ablate.analysis.tuned import split
from ablate.analysis.verdicts import best, direction
from ablate.records import COSTS, Row, RowKind
from ablate.study import changes
from ablate.study.record import PlanRecord
from ablate.tables import adaptive, beyond
from ablate.tables.cautions import collapsed, spreads, unpaired
from ablate.tables.missing import failures, lopsided, unfinished
from ablate.text import Note, decimals, fixed, joined, listed, many, one_of

if TYPE_CHECKING:
    from ablate.store.stored import StoredCell


def notes(
    rows: Sequence[Row],
    measured: Measured,
    record: PlanRecord,
    cells: Sequence[StoredCell],
    provenance: Mapping[str, Mapping[str, int]],
    saved: int = 0,
) -> list[str]:
    """Every sentence that this table needs. saved: how many runs of the full plan adaptive seeds did not need."""
    once = list({(row.variant, row.compared_with): row for row in rows}.values())
    return [
        *_tests(once, measured),
        *adaptive.under_table(once, measured, saved, saved + len({cell.run for cell in cells})),
        _numbers(once, measured),
        *_verdicts(once, measured),
        *beyond.under_table(once, measured),
        *failures(cells, measured),
        *lopsided(once),
        *unfinished(cells),
        *_inert(once, measured),
        *_degenerate(measured),
        *_without_spread(once, measured),
        *collapsed(once, measured),
        *unpaired(measured),
        *_best(once, measured, "untuned " * bool(split(record)[0])),
        *_costs(measured),
        *_mixed(provenance),
        *_registered(record, cells),
        *([f"Left out: {listed((why.rstrip('.') for why in record.left_out), '; ')}."] if record.left_out else []),
        *planned(record),
    ]


_HOW = re.compile(
    r"\d+ rows share \d+ variants: |\d+ of the rows have a control: |taken away: |with .* goes? [\d.]+ % of "
    r"|control of .*: [\d,]+ parameters "
)
"""Notes of a plan that tell how it was made, and limit no claim."""


def planned(record: PlanRecord) -> list[str]:
    """What the plan noted."""
    return [Note(text) if _HOW.match(text) else text for text in record.notes]


def of_view(
    measured: Measured,
    record: PlanRecord,
    cells: Sequence[StoredCell],
    provenance: Mapping[str, Mapping[str, int]],
) -> list[str]:
    """What every view of a study must say besides its own method: what failed, is missing, is mixed, was noted."""
    return [
        *adaptive.under_view(measured),
        *failures(cells, measured),
        *unfinished(cells),
        *_degenerate(measured),
        *_mixed(provenance),
        *_registered(record, cells),
        *planned(record),
    ]


def _tests(rows: Sequence[Row], measured: Measured) -> list[str]:
    family = len(measured.family)
    if not family:
        return ["The study declares no comparison: nothing is tested."]
    if _single(measured):
        return ["One run of each variant: nothing is tested, and no difference has an interval."]
    error = pooled_error(measured.values[measured.metric.name]) if measured.pools else None
    welch = [row for row in rows if row.test == "Welch t"]
    only = bool(welch) and len(welch) == sum(bool(row.test) for row in rows)
    how = _how(measured, error, only)
    sentences: list[str] = [
        Note(
            f"{how}; p is adjusted by Holm over the {many(family, 'comparison')} of {measured.metric.name} "
            f"{'that the study declares' if measured.declared else 'of this view'}{apart(measured.sizes)}.",
        )
    ]
    if error is not None:
        uneven = _uneven(measured, error)
        sentences += [
            Note(
                f"{uneven} A pooled error is wrong then; without `error: pooled` each row stands alone.",
                "! spreads differ by more than chance: the pooled error is wrong",
            )
        ] * bool(uneven)
    if measured.given is None:
        none = [row.named for row in welch if not row.pairs] if not only else []
        few = [f"{row.named} ({row.pairs})" for row in welch if row.pairs]
        how_few = f"ewer than {MINIMUM_N} seeds shared with the comparison, so Welch's t test over all runs of both: "
        no_seed = "o seed shared with the comparison, so Welch's t test of the two means: "
        for first, said, named in (("N", no_seed, none), ("F", how_few, few)):
            short = f"! {first.lower()}{said}{listed(named, most=3)}"
            sentences += [Note(f"{first}{said}{listed(named)}.", short)] * bool(named)
    return sentences


def _open(measured: Measured, rows: Sequence[Row]) -> str:
    """How many comparisons Holm's next step counts for the rows that say how many seeds they need."""
    found = {(row.variant, row.compared_with): row.p_adjusted for row in rows if row.p_adjusted is not None}
    counted = measured.open_rows(np.array([found.get(pair, math.nan) for pair in measured.family]))
    asking = {(row.variant, row.compared_with) for row in rows if row.more_seeds is not None}
    return _either({int(n) for pair, n in zip(measured.family, counted, strict=True) if pair in asking})


def _corrected_for(measured: Measured, rows: Sequence[Row]) -> str:
    """`18 comparisons`: how many there are in the families of these rows."""
    pairs = {(row.variant, row.compared_with) for row in rows}
    sizes = {len(places) for places in measured.families if any(measured.family[i] in pairs for i in places)}
    return f"{_either(sizes)} comparison{'s' * (sizes != {1})}"


def _either(numbers: Collection[int]) -> str:
    return one_of(str(number) for number in sorted(numbers))


def families(sizes: Mapping[RowKind, int]) -> str:
    """`6, 6 and 6: parts, their controls, parts against these`; empty where all comparisons are one family."""
    whole = "parts" if "control" in sizes or "beyond" in sizes else "what is trained anew"
    beyond = f"parts against {'these' if 'control' in sizes else 'their controls'}"
    names = {"": whole, "control": "their controls", "beyond": beyond, "trained": "trained weights"}
    return f"{joined(sizes.values())}: {', '.join(names[kind] for kind in sizes)}" * (len(sizes) > 1)


def apart(sizes: Mapping[RowKind, int]) -> str:
    """How many comparisons each of several families has."""
    return f", which are families of {said}" if (said := families(sizes)) else ""


def _how(measured: Measured, error: CellMeans | None, only_welch: bool) -> str:
    """How rows are tested. only_welch: none of them has pairs."""
    if measured.given is not None:
        return "Only means, standard deviations and n are known, so each row is tested by Welch's t test of two means"
    if error is not None:
        blocks = ", seeds as blocks" if error.blocks else ""
        return (
            "Each row is tested against one error pooled over all variants, as the study declares (`error: pooled`; "
            f"cell means{blocks}; {error.df} degrees of freedom), two-sided t"
        )
    if measured.shrinks:
        rows, n = len(measured.family), least(measured.tested.differences)
        errs = f", {simulated_error(min(rows, MOST_ROWS), n):.0%}".replace("%", " %") if n else ""
        return (
            "Each row is tested by its own pairs with its variance shrunken towards those of all rows, as the study "
            "declares (`error: shrunken`; moderated t, Smyth 2004), two-sided; some false verdict is not in 5 % of "
            f"such studies but, simulated for {many(rows, 'row')} of {many(n, 'seed')} in the worst of three kinds of "
            f"spreads{errs}"
        )
    if only_welch:
        return "Each row is tested by Welch's two-sided t test over all runs of it and of its comparison"
    if measured.flips:
        return (
            "Each row is tested by its own pairs, as the study declares (`test: sign_flip`): an exact two-sided "
            "sign-flip test of its differences over the seeds that it shares with its comparison"
        )
    return (
        "Each row is tested by its own pairs: a two-sided paired t test over the seeds that it shares with its "
        "comparison"
    )


def _single(measured: Measured) -> bool:
    """Whether no variant has, or is to have, a second run."""
    return max(measured.planned, default=0) <= 1


def _uneven(measured: Measured, error: CellMeans) -> str:
    """What there is to say of unequal spreads, with the seeds taken out where they are blocks."""
    values = measured.values[measured.metric.name]
    there = np.isfinite(values).any(axis=1)
    named = [measured.variants[i] for i in np.flatnonzero(there)]
    return spreads(named, error, measured.summary.std[there])


def _numbers(rows: Sequence[Row], measured: Measured) -> Note:
    """What a cell says: n, direction, interval."""
    metric = measured.metric
    at = {"last": "the last value of each run", "best": "each run's best epoch"}.get(
        str(metric.at), f"epoch {metric.at}"
    )
    planned = {row.planned for row in rows}
    seeds = (
        many(planned.pop(), "seed")
        if len(planned) == 1
        else f"{min(planned, default=0)} to {max(planned, default=0)} seeds"
    )
    interval = adaptive.interval(measured) + (" sign-flip" if measured.flips else " t")
    shared = any(row.pairs for row in rows if row.test != "Welch t")
    difference = "the mean difference over shared seeds" if shared else "the difference of the means"
    text = f"{metric.name} ({metric.better} is better) at {at}; {seeds} planned per variant. n: seeds that are done; "
    text += (
        f"Δ: {difference} (row - comparison)."
        if _single(measured)
        else f"±: their standard deviation; Δ: {difference} (row - comparison) with its own {interval} interval, not "
        "adjusted for the number of rows."
    )
    if metric.at == "best":
        text += " The best epoch was chosen on the same data that it is judged by, so every mean is optimistic."
    few = not _single(measured) and any(
        0 < row.n < MINIMUM_N or (row.delta is not None and row.test != "Welch t" and row.pairs < MINIMUM_N)
        for row in rows
    )
    if few:
        text += f" Fewer than {MINIMUM_N} values give no interval and no p; two give their range."
    if measured.also:
        text += " Further columns are described, not tested."
    lines = ["! the best epoch was chosen on the same data: every mean is optimistic"] * (metric.at == "best")
    lines += [f"! fewer than {MINIMUM_N} shared seeds have no interval and no p; two have their range"] * few
    return Note(text, "\n".join(lines))


def _verdicts(rows: Sequence[Row], measured: Measured) -> list[str]:
    if not measured.family:
        return []
    margin = measured.metric.minimum_effect
    text = (
        "A verdict speaks of the trick that differs, not of the row: helps = with it the metric is better (adjusted "
        "p < 0.05), hurts = worse"
    )
    if margin:
        text += (
            f"; equivalent = two one-sided tests put the difference within ±{margin:g} (p < {ALPHA:g} by Holm over the "
            f"tests of all rows{' of its family' * (len(measured.families) > 1)})"
        )
        if any(row.verdict == "equivalent" for row in rows):
            text += ", and Δ stands there with the interval that these tests speak of"
    else:
        text += "; without a minimum_effect in the study nothing can be called equivalent"
    sentences: list[str] = [] if _single(measured) else [Note(text + ".")]
    if any(row.more_seeds is not None for row in rows):
        sentences.append(
            Note(
                f"(+k seeds): with k more seeds the verdict would find an effect of {margin:g} with a power of 80 %, "
                f"at {measured.last_alpha:.2g} / {_open(measured, rows)} as Holm asks of an open row, and with a "
                "spread at the upper limit of what these seeds leave open (80 % confidence)."
            )
        )
    away = [row for row in rows if row.corrected_away]
    if away:
        over = _corrected_for(measured, away)
        sentences.append(
            Note(
                f"° the interval of the row by itself leaves out 0, but p corrected for {over} is no evidence: the "
                f"correction decides ({listed(row.named for row in away)}).",
                f"° its interval leaves out 0, p corrected for {over} is no evidence",
            )
        )
    tricks = dict(zip(measured.variants, measured.tricks, strict=True))
    if any(row.several for row in rows):
        sentences.append(
            Note(
                "‡ differs from its comparison by several tricks: the verdict is about them together; where some come "
                "and others go, about what the row has instead.",
                f"‡ {_together(rows)}",
            )
        )
    own = [
        f"{row.variant} ({', '.join(settings)})"
        for row in rows
        if (settings := _settings(row, tricks[row.variant], tricks.get(row.compared_with or "", ())))
    ]
    if own:
        said = "ers by settings of its own too, and the verdict is about the row as a whole"
        sentences.append(Note(f"Diff{said}: {listed(own)}.", f"! diff{said}: {listed(own, most=3)}"))
    if any(len(row.differs) == 1 and _swaps(tricks[row.variant], tricks.get(row.compared_with or "")) for row in rows):
        sentences.append(Note("Where one level takes another's place, the verdict speaks of the row's level."))
    return sentences


def _together(rows: Sequence[Row]) -> str:
    """`base: 5 tricks differ, and the verdict is about them together`."""
    several = [row for row in rows if row.several]
    names = listed((row.spoken for row in several), most=4)
    what = f"{len(several[0].differs)} tricks differ" if len(several) == 1 else "several tricks differ"
    return f"{names}: {what}, and the verdict is about them together"


def _settings(row: Row, ours: Sequence[str], theirs: Sequence[str]) -> Sequence[str]:
    """The keys of the base in which a hand-listed row differs: what follows its tricks in `differs`."""
    return row.differs[len({choice.partition("=")[0] for choice in {*ours} ^ {*theirs}}) :]


def _swaps(row: Sequence[str], reference: Sequence[str] | None) -> bool:
    return reference is not None and direction(row, reference) == 1 and not set(row) >= set(reference)


def _inert(rows: Sequence[Row], measured: Measured) -> list[str]:
    alike = [row for row in rows if (row.variant, row.compared_with) in measured.alike]
    told = [
        Note(
            "identical = every number that the runs logged is equal for every shared seed, but these are too few or "
            f"too coarse to show that nothing changed: {listed(row.named for row in alike)}. {ENOUGH} real numbers "
            "of each run would tell (a loss at every step, a sum of the weights).",
            f"◇ equal numbers, too few to show that nothing changed: {listed((row.spoken for row in alike), most=4)}",
        )
    ] * bool(alike)
    inert = [row for row in rows if row.verdict == "inert"]
    if not inert:
        return [*told]
    pairs = [f"{row.variant} and {row.compared_with}" for row in inert]
    return [
        *told,
        Note(
            "inert = bit-identical outputs for every shared seed: what differs between these changed nothing: "
            f"{listed(pairs, '; ')}.",
            f"◇ bit-identical outputs, so nothing changed: {listed((row.spoken for row in inert), most=4)}",
        ),
    ]


def _degenerate(measured: Measured) -> list[str]:
    value = measured.degenerate
    if value is None:
        return []
    said = f"every counted run reports {value:g}, so nothing is ranked or tested"
    return [Note(f"Degenerate metric: {said}.", f"! {said}")]


def _without_spread(rows: Sequence[Row], measured: Measured) -> list[str]:
    flat = list(dict.fromkeys(row.variant for row in rows if row.no_spread))
    if not flat:
        return []
    if measured.given is not None:
        return [f"no spread = both standard deviations are 0, so there is no t test: {listed(flat)}."]
    said = "no spread = the difference is the same for every seed, so there is no t test"
    asked = "do these runs depend on their seed?"
    return [Note(f"{said}; {asked} {listed(flat)}.", f"! {said}: {asked} {listed(flat, most=3)}")]


def _registered(record: PlanRecord, cells: Sequence[StoredCell]) -> list[str]:
    said = changes.sentence(record.registered, len({cell.run for cell in cells}))
    return [Note(said, changes.line(record.registered))] if said else []


def _best(rows: Sequence[Row], measured: Measured, which: str) -> list[str]:
    if measured.degenerate is not None:
        return []
    leading = best(rows, measured.metric.better)
    of = len({row.variant for row in rows})
    if leading is None or leading.mean is None or of < 2:
        return []
    mean = fixed(leading.mean, decimals((row.std for row in rows), (row.mean for row in rows)))
    return [
        Note(
            f"Best mean of the {which}rows with every planned seed done: {leading.variant} ({mean}, n={leading.n}).",
            f"  best mean: {leading.spoken}, {mean} (of {of}: optimistic)",
        )
    ]


def _costs(measured: Measured) -> list[str]:
    costs = [name for name in measured.also if name in COSTS]
    return [Note(f"Measured cost, different at every execution: {listed(costs)}.")] if costs else []


def _mixed(provenance: Mapping[str, Mapping[str, int]]) -> list[str]:
    texts = []
    for kind, counts in provenance.items():
        if len(counts) > 1:
            values = listed((f"{_short(value)}: {many(n, 'run')}" for value, n in counts.items()), most=4)
            texts.append(f"{len(counts)} {PROVENANCE[kind]} ({values})")
    kinds = [f"{len(counts)} {PROVENANCE[kind]}" for kind, counts in provenance.items() if len(counts) > 1]
    said = Note(f"Mixed: the runs were made with {'; '.join(texts)}.", f"! mixed: {joined(kinds)}")
    return [said] if texts else []


def _short(value: str) -> str:
    """A hash by its first digits; anything else as it is."""
    hashed = len(value) >= 40 and all(c in "0123456789abcdef" for c in value[:40])
    return value[:10] + "+" * value.endswith("+") if hashed else value
