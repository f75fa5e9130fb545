"""What may be said of each comparison, in plain sentences made from verdicts. Pure; never praise.

A sentence names the estimate, its interval, n and the adjusted p, and says no more than these allow. The table's own
notes, on how it was tested and what is missing, are notes.py's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ablate.analysis.bases import MEAN
from ablate.analysis.comparisons import MINIMUM_N
from ablate.analysis.tuned import MARK, TUNED
from ablate.records import Better, Row, Verdict
from ablate.study.record import PlanRecord
from ablate.text import decimals, equals, in_words, number, percent, typeset

ORDER: tuple[Verdict | None, ...] = ("helps", "hurts", "equivalent", "inert", "inconclusive", None)
"""Verdicts as a report lists them; None: rows without any difference to judge."""

HEADINGS: Mapping[Verdict | None, str] = {
    "helps": "Helps",
    "hurts": "Hurts",
    "equivalent": "Equivalent",
    "inert": "Inert",
    "inconclusive": "Not decided",
    None: "Not measured",
}


@dataclass(frozen=True)
class Claim:
    """What may be said of one comparison. subject: of what; where: ` in full`; brief: both with the numbers.

    head and rest: the sentence, which a colon parts. delta: the row's difference, 0 where there is none. lopsided: more
    runs failed on one side than on the other, so it holds among finished runs only. how and amount: `without it` and
    `−15.2 points (−18.7 to −11.6)`. interval: whether it has one; corrected: it leaves out 0, and the correction
    decides. never: no seed of the row trained.
    """

    verdict: Verdict | None
    variant: str
    compared_with: str
    subject: str
    where: str
    brief: str
    head: str
    rest: str
    delta: float = 0.0
    lopsided: bool = False
    how: str = ""
    amount: str = ""
    interval: bool = False
    corrected: bool = False
    never: bool = False

    @property
    def text(self) -> str:
        return f"{self.head}: {self.rest}"


@dataclass(frozen=True)
class Names:
    """How a study calls things. unit: of the metric. labels: of a choice of tricks. bases: of each variant the
    hand-listed one whose base it stands on, empty for the study's own. tricks: of each variant the choices that are on.
    """

    metric: str
    better: Better
    unit: str
    minimum_effect: float | None
    labels: Mapping[str, str]
    bases: Mapping[str, str]
    tricks: Mapping[str, tuple[str, ...]]

    @property
    def points(self) -> str:
        """The unit of a difference, after a space: of percentages, points."""
        return " points" if self.unit == "%" else f" {self.unit}" if self.unit else ""

    def label(self, choice: str) -> str:
        return self.labels.get(choice, choice)

    def named(self, choices: Iterable[str]) -> str:
        return in_words([self.label(choice) for choice in choices])


PLACEBO = "the placebo"
"""What a sentence calls a row that changes nothing but the random streams."""

TOGETHER = 3
"""Tricks that a sentence names one by one; more are counted."""


def words(record: PlanRecord, unit: str) -> Names:
    """How the study with this stored plan calls its tricks."""
    labels: dict[str, str] = {}
    for trick in record.tricks:
        labels |= {f"{trick.name}={level}": f"{trick.shown}: {level}" for level in trick.levels}
        labels[trick.name] = trick.shown
    metric = record.metric
    return Names(
        metric.name, metric.better, unit, metric.minimum_effect, labels,
        {variant.name: variant.of for variant in record.variants},
        {variant.name: variant.tricks for variant in record.variants},
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------- claims


def claims(rows: Sequence[Row], named: Names) -> tuple[Claim, ...]:
    """A claim for every comparison, once, by verdict (ORDER), then in the plan's order."""
    once = list({(row.variant, row.compared_with): row for row in rows if row.compared_with is not None}.values())
    digits = decimals((row.std for row in rows), (row.mean for row in rows))
    named = replace(named, tricks={**{row.variant: row.tricks for row in rows}, **named.tricks})
    return tuple(sorted((_claim(row, named, digits) for row in once), key=lambda claim: ORDER.index(claim.verdict)))


def _claim(row: Row, named: Names, digits: int) -> Claim:
    subject, where, how = _subject(row, named)
    reference = row.compared_with or ""
    if row.delta is None:
        why = "no result of it yet." if not row.n else f"no result of {reference} to hold it against."
        head = f"Not measured, {subject}{where}"
        return Claim(None, row.variant, reference, subject, where, subject + where, head, why)
    amount = f"{typeset(row.delta, digits, sign=True)}{named.points} ({_numbers(row, digits)})"
    change = f"{how}, {named.metric} changes by {amount}"
    rest = f"every output is the same bit for bit (n = {row.pairs})" if row.verdict == "inert" else change
    verdict: Verdict = row.verdict or "inconclusive"  # None: before the first look of adaptive seeds is over
    stopped = [f"settled at look {row.look}, so it got no further seeds"] if row.stopped_early else []
    parts = [rest, *_open(row, named), *stopped, *_collapsed(row)]
    head = _head(row, subject, where, named) + _qualified(row, named)
    brief = f"{subject}{where}{_qualified(row, named)}, {how} {amount}"
    text = f"{'; '.join(parts)}."
    low, high = row.delta_ci_low, row.delta_ci_high
    ends = f" ({_range(low, high, digits)})" if low is not None and high is not None else ""
    return Claim(
        verdict, row.variant, reference, subject, where, brief, head, text, row.delta, row.lopsided,
        how, f"{typeset(row.delta, digits, sign=True)}{named.points}{ends}", bool(ends), row.corrected_away,
        bool(row.collapsed) and len(row.collapsed) == row.n,
    )  # fmt: skip


def _subject(row: Row, named: Names) -> tuple[str, str, str]:
    """Of what a verdict speaks, where, and what is compared: ("batch norm", " in full", "without it")."""
    reference = row.compared_with or ""
    ours, theirs = named.tricks.get(row.variant, row.tricks), named.tricks.get(reference, ())
    gone, come = [t for t in theirs if t not in ours], [t for t in ours if t not in theirs]
    it = "it" if len(gone or come) == 1 else "them"
    how = {
        "beyond": "with as much taken from the other parts in its place",
        "trained": "without it in the same weights",
    }
    if row.design == TUNED:
        of = (row.label or row.variant).removesuffix(f" {MARK}").removesuffix(" (tuned)")
        return f"tuning {of}", "", "with it"
    if row.design == MEAN:
        bases = row.variant.rpartition(", in ")[2]
        without = f"with{'out' * row.label.startswith('-')} it"
        return named.named(row.differs), f" on the mean over {bases}", how.get(row.kind, without)
    if row.kind == "beyond":
        return named.named(gone or come), "", how["beyond"]
    if row.kind == "trained" and (gone or come):
        return named.named(gone or come), f" in the trained {reference}", how["trained"]
    if row.placebo:
        return PLACEBO, "", f"with other random streams than {reference} and nothing else"
    if _is_variant(row, named):
        return row.variant, "", f"in place of {reference}"
    if gone and come:
        return f"{named.named(come)} in place of {named.named(gone)}", "", f"in {row.variant} against {reference}"
    if len(gone + come) > TOGETHER:
        subject = f"{len(gone + come)} tricks together"
        return subject, "", f"from {reference} to {row.variant}"
    subject = named.named(gone or come) + (" together" if it == "them" else "")
    return (subject, f" in {reference}", f"without {it}") if gone else (subject, f" on {reference}", f"with {it}")


def _numbers(row: Row, digits: int) -> str:
    """`95 % CI −10.6 to −2.8, n = 10, p = 0.019`; what n forbids is left out."""
    parts = []
    if row.verdict == "equivalent" and row.equivalence_ci_low is not None and row.equivalence_ci_high is not None:
        covers = percent(2 * row.confidence - 1)
        parts.append(f"{covers} CI {_range(row.equivalence_ci_low, row.equivalence_ci_high, digits)}")
    elif row.delta_ci_low is not None and row.delta_ci_high is not None:
        parts.append(f"{percent(row.confidence)} CI {_range(row.delta_ci_low, row.delta_ci_high, digits)}")
    elif row.pairs == 2 and row.delta_low is not None and row.delta_high is not None:
        parts.append(_range(row.delta_low, row.delta_high, digits))
    parts.append(f"n = {row.n}, unpaired" if row.test == "Welch t" or not row.pairs else f"n = {row.pairs}")
    p = row.p_equivalent if row.verdict == "equivalent" else row.p_adjusted
    if p is not None:
        of = " of equivalence" if row.verdict == "equivalent" else ""
        parts.append(f"p{of} {equals(p)}")
    return ", ".join(parts)


def _range(low: float, high: float, digits: int) -> str:
    return f"{typeset(low, digits, sign=True)} to {typeset(high, digits, sign=True)}"


def _head(row: Row, subject: str, where: str, named: Names) -> str:
    """The verdict in words: `batch norm helps in full`."""
    several = subject.endswith(" together")
    if row.placebo and row.verdict in ("helps", "hurts"):
        return "A false alarm, for the placebo changes nothing"
    if _is_variant(row, named) and row.verdict in ("helps", "hurts"):
        return f"{subject} is {'better' if row.verdict == 'helps' else 'worse'} than {row.compared_with}"
    if row.kind == "beyond" and row.verdict in ("helps", "hurts"):
        more = "matters beyond its size" if row.verdict == "helps" else "is worth less than its size"
        return f"{subject} {more}{where}"
    if row.kind == "trained" and row.verdict in ("helps", "hurts"):
        does, do = ("relies on", "rely on") if row.verdict == "helps" else ("is better without", "are better without")
        if row.design == MEAN:
            return f"Trained weights {do} {subject}{where}"
        return f"The trained {row.compared_with} {does} {subject}"
    match row.verdict:
        case "helps" | "hurts":
            return f"{subject} {row.verdict[:-1] if several else row.verdict}{where}"
        case "equivalent":
            margin = f"±{number(named.minimum_effect or 0.0)}{named.points}"
            return f"{subject} make{'' if several else 's'} no difference as large as {margin}{where}"
        case "inert":
            return f"{subject} {'do' if several else 'does'} nothing{where}"
        case _:
            return f"Not decided for {subject}{where}"


def _qualified(row: Row, named: Names) -> str:
    """What a verdict holds for, and that it is smaller than the effect that matters."""
    if row.qualifier is None or row.placebo:
        return ""
    small = f", by less than {number(named.minimum_effect or 0.0)}{named.points}"
    return " among finished runs" * row.lopsided + small * ("by less" in row.qualifier)


def _is_variant(row: Row, named: Names) -> bool:
    """Whether a row is compared as what it is: it stands on another base, or no trick differs."""
    reference = row.compared_with or ""
    same = set(named.tricks.get(row.variant, row.tricks)) == set(named.tricks.get(reference, ()))
    return (
        not row.placebo
        and row.design not in (MEAN, TUNED)
        and (same or named.bases.get(row.variant) != named.bases.get(reference))
    )


def _open(row: Row, named: Names) -> list[str]:
    """Why a row is not decided, and what it would take; nothing of a decided one."""
    if row.verdict is None:
        return ["the first look is not over, so nothing is tested yet"]
    if row.verdict != "inconclusive":
        return []
    if row.identical:
        return ["the metric is the same at every shared seed, which does not show that nothing else differs"]
    if row.no_spread:
        return ["the difference is the same at every seed, so there is no spread to test against"]
    low, high = row.delta_ci_low, row.delta_ci_high
    if low is None or high is None:
        return [f"with fewer than {MINIMUM_N} seeds nothing is tested"]
    uncorrected = "the interval alone leaves out 0, but the difference does not survive correction"
    parts = [uncorrected if row.corrected_away else "the interval holds gains and losses"]
    if row.only_here:
        said = "the two are equivalent" if row.only_here == "equivalent" else f"it {row.only_here}"
        parts.append(f"on these examples alone {said}, which other examples may not show")
    if row.more_seeds is not None:
        size = f"an effect of {number(named.minimum_effect or 0.0)}"
        parts.append(f"about {row.more_seeds} more seed{'s' * (row.more_seeds > 1)} would show {size}")
    return parts


def _collapsed(row: Row) -> list[str]:
    if not row.collapsed:
        return []
    if len(row.collapsed) == row.n:
        return [f"every seed of {row.variant} is at chance"]
    seeds = in_words([f"seed {seed}" for seed in row.collapsed])
    return [f"{seeds} of {row.variant} collapsed, so mean and t say little"]


def tally(comparisons: Sequence[Claim]) -> str:
    """`Of 6 comparisons, 2 help and 4 are not decided.`"""
    count = {verdict: sum(claim.verdict == verdict for claim in comparisons) for verdict in ORDER}
    parts = [f"{count[verdict]} {what[count[verdict] > 1]}" for verdict, what in _TALLY.items() if count[verdict]]
    unsure = sum(claim.lopsided for claim in comparisons)
    if unsure:
        parts[-1] += f"; of these verdicts {unsure} hold{'s' * (unsure == 1)} among finished runs only"
    return f"Of {len(comparisons)} comparison{'s' * (len(comparisons) != 1)}, {in_words(parts)}."


_TALLY: Mapping[Verdict | None, tuple[str, str]] = {
    "helps": ("helps", "help"), "hurts": ("hurts", "hurt"), "equivalent": ("is equivalent", "are equivalent"),
    "inert": ("does nothing", "do nothing"), "inconclusive": ("is not decided", "are not decided"),
    None: ("is not measured", "are not measured"),
}  # fmt: skip


def decided(comparisons: Sequence[Claim], verdict: Verdict) -> list[str]:
    """What has this verdict, each subject once with where: `batch norm (in B, in C)`."""
    where: dict[str, list[str]] = {}
    for claim in comparisons:
        if claim.verdict == verdict and claim.subject != PLACEBO:
            subject = claim.subject + " among finished runs" * claim.lopsided
            where.setdefault(subject, []).append(claim.where.strip())
    alone = len({place for places in where.values() for place in places}) < 2
    return [
        f"{subject} ({', '.join(places)})" if not alone and any(places) else subject
        for subject, places in where.items()
    ]
