"""All that the analysis sees of a study, and its family of comparisons tested, by seeds and by examples. Pure.

Every comparison is tested by its own pairs (comparisons.py), unless the study declares `error: pooled`; what its
verdict speaks of is judge.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ablate.analysis import comparisons
from ablate.analysis.comparisons import (
    ALPHA,
    Array,
    CellMeans,
    Differences,
    Summary,
    compare,
    compare_summaries,
    pool,
    pooled_error,
    summarise,
)
from ablate.analysis.components import Spreads, spreads
from ablate.analysis.examples import Evidence, Sides, Source, gather
from ablate.analysis.judge import Judged, by_both, by_sign_flip, by_t
from ablate.analysis.looks import Course, Flags, Look, Wanted, follow, levels, wanted
from ablate.analysis.shrunken import moderated
from ablate.records import Better, Metric, RowKind
from ablate.study.record import RowRecord


@dataclass(frozen=True)
class Measured:
    """All that the analysis sees of a study.

    tricks: of each variant, the tricks that are on. values: metric -> (variants, seeds), NaN where a run is not
    counted. planned: runs asked of each variant. failures: of each variant, reason -> runs. inert: comparisons
    (variant, compared_with) whose outputs are bit-identical for every shared seed; alike: those whose every logged
    number is equal, and these are too few to show it. given: mean, standard deviation and n of each variant where no
    single value is known; `values` then holds the means. declared: whether the study asked for these rows, or a view
    did afterwards. looks: of adaptive seeds, the same by the seeds of each look alone, with `over`: (variants, seeds),
    whether a run is done or has failed for good. source: per-example results of the counted runs; None: there are none.
    """

    variants: tuple[str, ...]
    tricks: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    values: Mapping[str, Array]
    planned: tuple[int, ...]
    failures: tuple[Mapping[str, int], ...]
    asked: tuple[RowRecord, ...]
    metric: Metric
    also: Mapping[str, Better] = field(default_factory=dict)
    inert: frozenset[tuple[str, str]] = frozenset()
    alike: frozenset[tuple[str, str]] = frozenset()
    analysis: Mapping[str, Any] = field(default_factory=dict)
    given: Summary | None = None
    declared: bool = True
    looks: tuple[Measured, ...] = ()
    over: Flags | None = None
    source: Source | None = None

    @property
    def summary(self) -> Summary:
        """Of the primary metric, by variant."""
        return summarise(self.values[self.metric.name], self.alpha) if self.given is None else self.given

    @property
    def alpha(self) -> float:
        """The level of one test; ALPHA, but for adaptive seeds the look's that has these seeds, else the last one's.

        The rows' intervals cover 1 - alpha.
        """
        sizes = self.analysis.get("looks") or []
        k = sizes.index(len(self.seeds)) if len(self.seeds) in sizes else -1
        return float(levels(sizes)[k]) if sizes else ALPHA

    @property
    def last_alpha(self) -> float:
        """The level of one test with all seeds: of adaptive seeds, at the last look."""
        sizes = self.analysis.get("looks") or []
        return float(levels(sizes)[-1]) if sizes else ALPHA

    def open_rows(self, p_adjusted: Array) -> Array:
        """Of each comparison how many Holm's next step counts in its family: all that are not found yet."""
        still = np.ones(len(self.family))
        for places in map(list, self.families):
            still[places] = max(len(places) - int((p_adjusted[places] < ALPHA).sum()), 1)
        return still

    @cached_property
    def sides(self) -> tuple[list[int], list[int]]:
        """Of each comparison of the family the place of its variant, and of what it is compared with."""
        index = {name: i for i, name in enumerate(self.variants)}
        return [index[variant] for variant, _ in self.family], [index[reference] for _, reference in self.family]

    @cached_property
    def tested(self) -> Tested:
        """The family, tested; read and computed once."""
        return _tested(self)

    @cached_property
    def course(self) -> Course:
        """What the looks of adaptive seeds settled so far."""
        return follow([look(part) for part in self.looks], families=self.families)

    @cached_property
    def wanted(self) -> Wanted:
        """How many seeds adaptive seeds ask of each variant."""
        sizes = [len(part.seeds) for part in self.looks]
        return wanted(self.course, sizes, *self.sides, len(self.variants))

    def compare(self, of: Sequence[int], against: Sequence[int], alpha: float = ALPHA) -> Differences:
        """The primary metric of variants against that of as many others, each by its own pairs."""
        if self.given is not None:
            return compare_summaries(self.given.take(of), self.given.take(against))
        values = self.values[self.metric.name]
        return compare(values[list(of)], values[list(against)], alpha)

    def judge(self, name: str, of: Sequence[int], against: Sequence[int]) -> tuple[Differences, Judged]:
        """A metric of variants against that of as many others, by own pairs and the test that the study declares,
        nothing corrected and nothing pooled."""
        if name == self.metric.name:
            tested = self.compare(of, against)
        else:
            tested = compare(self.values[name][list(of)], self.values[name][list(against)])
        if self.flips:
            return tested, by_sign_flip(tested, self.values[name][of], self.values[name][against], ALPHA, None)
        return tested, by_t(tested, ALPHA, None)

    def fit(self, chosen: Sequence[int]) -> CellMeans:
        """The cell-means model of these variants, each of which has a value, with shared seeds as blocks."""
        if self.given is not None:
            part = self.given.take(chosen)
            return comparisons.from_summaries(part.mean, part.std, part.n)
        return comparisons.fit(self.values[self.metric.name][list(chosen)])

    @property
    def family(self) -> tuple[tuple[str, str], ...]:
        """Every comparison that the study declares, once, in the plan's order: (variant, compared_with)."""
        return tuple(dict.fromkeys((a.variant, a.compared_with) for a in self.asked if a.compared_with is not None))

    @property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """The places in `family` that are corrected together: of what the study declares anyway, of controls, of parts
        against their controls, and of trained weights without a part."""
        return tuple(self.by_kind.values())

    @property
    def sizes(self) -> dict[RowKind, int]:
        """How many comparisons each family has."""
        return {kind: len(places) for kind, places in self.by_kind.items()}

    @property
    def by_kind(self) -> dict[RowKind, tuple[int, ...]]:
        """The families, by what their rows ask."""
        kinds: dict[tuple[str, str | None], RowKind] = {}
        for row in self.asked:
            kinds.setdefault((row.variant, row.compared_with), row.kind)
        of = [kinds[pair] for pair in self.family]
        return {one: tuple(i for i, kind in enumerate(of) if kind == one) for one in dict.fromkeys(of)}

    @property
    def pools(self) -> bool:
        """Whether the study declares one pooled error."""
        return self.analysis.get("error") == "pooled"

    @property
    def shrinks(self) -> bool:
        """Whether the study declares variances that are shrunken towards those of all rows."""
        return self.analysis.get("error") == "shrunken" and self.given is None

    @property
    def flips(self) -> bool:
        """Whether the study declares the sign-flip test."""
        return self.analysis.get("test") == "sign_flip" and self.given is None

    @property
    def degenerate(self) -> float | None:
        """The value that every counted run reports, where two variants and three runs report nothing else."""
        values = self.values[self.metric.name]
        if self.given is not None:
            return None
        counted = values[np.isfinite(values)]
        rows = int(np.isfinite(values).any(axis=1).sum())
        return float(counted[0]) if rows >= 2 and len(counted) >= 3 and bool((counted == counted[0]).all()) else None


@dataclass(frozen=True)
class Tested:
    """A family of comparisons, in its order. differences: with the error over seeds that the study declares; here: what
    that error alone shows; judged: what verdicts, p and intervals speak of, which is `here` where evidence is lacking.
    """

    differences: Differences
    here: Judged
    judged: Judged
    evidence: Evidence

    @property
    def spread(self) -> Spreads:
        """What other numbers of seeds and examples would leave."""
        return spreads(self.differences.se**2, self.differences.df, self.evidence.parts)


def _tested(measured: Measured) -> Tested:
    """Every comparison of the family, by its own pairs or as the study declares; then by its examples."""
    values, margin, alpha = measured.values[measured.metric.name], measured.metric.minimum_effect, measured.alpha
    of, against = measured.sides
    tested = measured.compare(of, against, alpha)
    error = pooled_error(values) if measured.pools else None
    if error is not None:
        tested = pool(tested, values[of], values[against], error)
    elif measured.shrinks:
        tested = moderated(tested)
    if measured.flips:
        here = by_sign_flip(tested, values[of], values[against], alpha, margin)
    else:
        here = by_t(tested, alpha, margin)
    evidence = _evidence(measured, tested)
    judged = by_both(here, tested, evidence.parts, alpha, margin) if evidence.of_both else here
    return Tested(tested, here, judged, evidence)


def _evidence(measured: Measured, tested: Differences) -> Evidence:
    """What per-example results say of the family, or why nothing."""
    if not measured.declared:
        return Evidence("rows that a view asked for afterwards are tested over seeds")
    if measured.analysis.get("generalise") == "seeds":
        return Evidence("the study declares it (`analysis: {generalise: seeds}`)")
    if measured.given is not None:
        return Evidence("only means, standard deviations and n are known")
    if measured.source is None:
        return Evidence("no run has results for each of them")
    return gather(measured.source, measured.family, sides_of(measured, tested))


def sides_of(measured: Measured, tested: Differences) -> list[Sides]:
    """Of each comparison of the family which seeds are compared."""
    counted = np.isfinite(measured.values[measured.metric.name])
    seeds = np.array(measured.seeds)
    shared = []
    for one, other, paired in zip(*measured.sides, tested.paired.tolist(), strict=True):
        both = counted[one] & counted[other]
        sides = (both, both) if paired else (counted[one], counted[other])
        row, reference = (tuple(seeds[side].tolist()) for side in sides)
        shared.append(Sides(row, reference, paired))
    return shared


def look(part: Measured) -> Look:
    """What one look of adaptive seeds shows."""
    tested = part.tested
    judged, here = tested.judged, tested.here
    assert part.over is not None, "a look knows which runs are over"
    over: Flags = np.all(part.over, axis=1)
    of, against = part.sides
    inert = np.array([pair in part.inert for pair in part.family], dtype=bool)
    beyond = np.zeros(len(inert), dtype=bool)
    if tested.evidence.of_both:
        floor = tested.spread.floor(tested.evidence.parts.units, part.last_alpha)
        beyond = np.asarray(floor > np.abs(tested.differences.estimate))
    return Look(
        len(part.seeds), judged.p, judged.p_equivalent, inert, over[of] & over[against], here.p, here.p_equivalent,
        beyond,
    )  # fmt: skip
