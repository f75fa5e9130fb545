"""The sentences about examples: what a table's verdicts speak of, which rows hold on these examples alone, and what
more seeds or more examples would leave. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ablate.analysis.components import EITHER, advice
from ablate.records import Here, Row
from ablate.text import Note, decimals, equals, fixed, listed, many, percent

if TYPE_CHECKING:
    from ablate.analysis.examples import Evidence
    from ablate.analysis.measured import Measured

BOTH, SEEDS = "seeds_and_examples", "seeds"
"""What the verdicts of a table speak of, as JSON and the study file have it."""


def speaks_of(evidence: Evidence) -> str:
    return BOTH if evidence.of_both else SEEDS


def under_table(rows: Sequence[Row], measured: Measured) -> list[str]:
    """What the verdicts of this table speak of, and what follows. rows: each comparison once."""
    if not measured.family:
        return []
    evidence = measured.tested.evidence
    tested = any(row.p is not None for row in rows)
    awaited = evidence.of_both and max(measured.planned, default=0) > 1  # with one run of each nothing ever is
    return [
        *([_speaks(evidence, measured)] if tested or awaited else []),
        *_shared(evidence),
        *_here(rows, evidence),
        *_more(rows, measured),
        *_stuck(rows, measured),
        *_these_weights(rows, evidence),
    ]


def _speaks(evidence: Evidence, measured: Measured) -> str:
    if not evidence.of_both:
        said = f"erdicts, p and intervals speak of other seeds on these same {evidence.word}s"
        return Note(f"V{said}, for {evidence.why}.", f"! v{said}")
    over = "the sign-flip test over seeds and t tests" if measured.flips else "three tests, over seeds,"
    of = f"erdicts, p and intervals speak of other seeds and of other {evidence.word}s like these {evidence.counted}"
    return Note(
        f"V{of}: p is the largest of {over} over {evidence.word}s and over both, the interval the widest. They do not "
        "speak of another training set.",
        f"  v{of}",
    )


def _shared(evidence: Evidence) -> list[str]:
    less = evidence.of_both and evidence.n < evidence.most
    sets = f"measured on different sets of up to {many(evidence.most, evidence.word)}"
    return [
        Note(
            f"The runs were {sets}; they are paired on the {evidence.n} whose ids every run has.",
            f"! {sets}; paired on the {evidence.n} that every run has",
        )
    ] * less


def _interval(low: float | None, high: float | None, digits: int) -> str:
    return "" if low is None or high is None else f"{fixed(low, digits, sign=True)} to {fixed(high, digits, sign=True)}"


def _here(rows: Sequence[Row], evidence: Evidence) -> list[str]:
    """Which rows hold over seeds on these examples and not beyond them."""
    only = [row for row in rows if row.only_here]
    if not only:
        return []
    digits = decimals(row.std for row in rows)
    texts = []
    for row in only:
        assert row.here is not None, "only_here speaks of it"
        on_these, on_others = (_interval(of.delta_ci_low, of.delta_ci_high, digits) for of in (row.here, row))
        texts.append(f"{row.named}, on these {evidence.word}s {on_these} (p{_said(row.here)}), on others {on_others}")
    seen = many(evidence.n, evidence.word)
    said = f"here: on these {seen} the seeds alone decide (adjusted p < 0.05), on others like them it is open"
    return [Note(f"{said}: {listed(texts, '; ')}.", f"! {said}")]


def _said(here: Here) -> str:
    """` = 0.004`, of what decides it."""
    p = here.p_equivalent if here.verdict == "equivalent" else here.p_adjusted
    assert p is not None, "a verdict comes from it"
    of = " of equivalence" if here.verdict == "equivalent" else ""
    return f"{of} {equals(p)}"


@dataclass(frozen=True)
class Outlook:
    """Of an open row: its half-width, and what to expect of it. seeds: with twice the seeds; examples: with four times
    the examples; floor: with any number of seeds. better: `seeds`, `examples` or `either`."""

    named: str
    now: float
    seeds: float
    examples: float
    floor: float
    better: str


def outlooks(rows: Sequence[Row], measured: Measured) -> list[Outlook]:
    """What more seeds or more examples would leave of each open row, those with a collapsed seed left out."""
    fallen = {row.variant for row in rows if row.collapsed}
    found = []
    for row in rows:
        low, high = row.delta_ci_low, row.delta_ci_high
        if row.verdict != "inconclusive" or low is None or high is None or fallen & {row.variant, row.compared_with}:
            continue
        part = measured.looks[row.look - 1] if measured.looks and row.look else measured
        tested, i = part.tested, part.family.index((row.variant, row.compared_with or ""))
        spread, parts, alpha = tested.spread, tested.evidence.parts, 1 - row.confidence
        more, wider, better = advice(spread, parts, alpha)
        floor = spread.floor(parts.units, alpha)
        now = (high - low) / 2
        found.append(Outlook(row.named, now, float(more[i]), float(wider[i]), float(floor[i]), better[i]))
    return found


def _more(rows: Sequence[Row], measured: Measured) -> list[str]:
    """What to expect of the intervals of open rows; never that they will be settled."""
    evidence = measured.tested.evidence
    found = [of for of in outlooks(rows, measured) if np.isfinite(of.seeds)] if evidence.of_both else []
    if not found:
        return []
    digits = decimals(of.now for of in found)
    ways = f"twice the seeds, four times the {evidence.word}s, any number of seeds on these {evidence.n}"
    texts = []
    for of in found:
        now, *then = (f"±{fixed(x, digits)}" for x in (of.now, of.seeds, of.examples, of.floor))
        texts.append(f"{of.named} {now}, then about {', '.join(then)}" + " (either)" * (of.better == "either"))
    told = f"What to expect of open rows' half-widths with {ways}: {listed(texts, '; ', most=6)}."
    either = f" either: the two ways differ by less than {EITHER:g} x."
    return [Note(told + either * any(of.better == "either" for of in found))]


def _stuck(rows: Sequence[Row], measured: Measured) -> list[str]:
    if not measured.looks:
        return []
    stuck = {pair for pair, is_stuck in zip(measured.family, measured.course.stuck, strict=True) if is_stuck}
    named = [row.named for row in rows if (row.variant, row.compared_with) in stuck]
    word = measured.tested.evidence.word
    said = f"ore seeds cannot settle it, so these rows get none: {listed(named)}"
    return [
        Note(
            f"M{said}. On these {word}s they stand, and other {word}s alone leave more than their difference; they "
            "stay in Holm's number.",
            f"! m{said}",
        )
    ] * bool(named)


def _these_weights(rows: Sequence[Row], evidence: Evidence) -> list[str]:
    """With one or two seeds: what the examples alone say of the weights that there are."""
    digits = decimals(
        (row.examples.ci_high - row.examples.ci_low)
        for row in rows
        if row.examples is not None and row.examples.ci_high is not None and row.examples.ci_low is not None
    )
    texts = [
        f"{row.named} {_interval(row.examples.ci_low, row.examples.ci_high, digits)}"
        for row in rows
        if row.examples is not None and row.examples.ci_low is not None
    ]
    return [
        Note(
            f"These weights, new {evidence.word}s ({percent(0.95)} interval over {evidence.word}s alone): "
            f"{listed(texts, '; ')}. Other seeds may do otherwise, so no verdict and no p comes from it."
        )
    ] * bool(texts)
