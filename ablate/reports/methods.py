"""The statistics paragraph of a paper, and what a study's numbers cannot say. Pure; made from the plan and the rows.

The notes under a table (notes.py) explain its cells; this says the same as running text, for a methods section, and
adds the limits that every reader should hold against the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ablate.analysis.arrays import NO_VALUE
from ablate.analysis.comparisons import MINIMUM_N
from ablate.analysis.measured import Measured
from ablate.analysis.verdicts import best
from ablate.records import COMMAND, Row
from ablate.study import changes
from ablate.study.record import PlanRecord
from ablate.tables import adaptive
from ablate.tables.notes import families
from ablate.text import in_words, listed, number, seeds_in_words

if TYPE_CHECKING:
    from ablate.store.stored import StoredCell, TestUse

Provenance = Mapping[str, Mapping[str, int]]
"""Of each kind of provenance the values found, and how many counted runs have each."""


def paragraph(
    record: PlanRecord,
    measured: Measured,
    rows: Sequence[Row],
    cells: Sequence[StoredCell],
    provenance: Provenance,
    *,
    factorial: bool = False,
    brief: bool = False,
) -> str:
    """How the numbers were made and tested. factorial: effects and interactions are reported too. brief: without what
    the title, the setting and the paragraph on training say."""
    sentences = [
        *[_runs(record, measured, cells)] * (not brief),
        *_pairs(record, measured),
        *_tests(measured, rows),
        *_equivalence(measured),
        *_factorial(factorial, measured),
        *_missing(measured, cells, bool(record.imported)),
        *_plan(record, cells),
        *(_made_with(record, provenance) if not brief else ()),
    ]
    return " ".join(sentences)


def _runs(record: PlanRecord, measured: Measured, cells: Sequence[StoredCell]) -> str:
    metric = measured.metric
    at = {"last": "after the last epoch" if record.facts.epochs else "at the end of each run"}.get(
        str(metric.at), "at each run's best epoch" if metric.at == "best" else f"at epoch {metric.at}"
    )
    variants = len(measured.variants)
    runs = len({cell.run for cell in cells})
    counted = f"{variants} variant{'s' * (variants != 1)}"
    if measured.given is not None:
        return (
            f"We compare {counted} by {metric.name} ({metric.better} is better) from means, standard deviations and n."
        )
    if record.imported and not shared_seeds(measured):
        n = sorted(set(measured.planned))
        each = f"{n[0]} run{'s' * (n[0] != 1)}" if len(n) == 1 else f"{n[0]} to {n[-1]} runs"
        return f"We compare {counted} by {metric.name} ({metric.better} is better), each with {each}: {runs} in all."
    each = adaptive.each_trained_with(measured) or seeds_in_words(measured.seeds)
    return (
        f"We compare {counted} by {metric.name} ({metric.better} is better) {at}, each trained with "
        f"{each}: {runs} run{'s' * (runs != 1)}."
    )


def shared_seeds(measured: Measured) -> bool:
    """Whether any two variants have a seed in common; lines that name no seed are numbered, and share none."""
    values = measured.values[measured.metric.name]
    return bool((np.isfinite(values).sum(axis=0) > 1).any())


def _pairs(record: PlanRecord, measured: Measured) -> list[str]:
    if not record.facts.pairs or len(measured.seeds) < 2:
        return []
    after = list(dict.fromkeys(row.variant for row in measured.asked if row.kind == "trained"))
    alone = (
        f"Not trained {'is' if len(after) == 1 else 'are'} {listed(after, most=8)}: the final weights of the "
        "comparison's run of the same seed, measured without a part. It shows what trained weights rely on, not what a "
        "training can do without."
    )
    return [
        "Runs of equal seeds share the initialisation of all parameters that they have in common and the order of "
        "their batches, so seeds form pairs.",
        *[alone] * bool(after),
    ]


def _tests(measured: Measured, rows: Sequence[Row]) -> list[str]:
    family = len(measured.family)
    if not family:
        return ["Nothing is compared and nothing tested."]
    tests = {row.test for row in rows if row.test and row.p is not None}
    if not tests:
        return [f"With fewer than {MINIMUM_N} seeds per comparison nothing is tested; differences are described."]
    against = {row.compared_with for row in rows if row.compared_with is not None}
    reference = f"with {next(iter(against))}" if len(against) == 1 else "with its reference"
    how = {
        "sign flip": "an exact two-sided sign-flip test over the seeds that both share",
        "paired t": "a two-sided paired t test over the seeds that both share",
        "Welch t": "Welch's two-sided t test where fewer than three seeds are shared",
        "moderated t": "a two-sided moderated t test over the seeds that both share, each variance shrunken towards "
        "those of all comparisons (Smyth 2004), which errs more often than 5 % with few seeds",
        "pooled t": "a two-sided t test against the error pooled over all variants, seeds as blocks",
    }
    if tests == {"Welch t"}:
        how["Welch t"] = "Welch's two-sided t test"
    named = " and ".join(text for test, text in how.items() if test in tests)
    sizes, _, names = families(measured.sizes).partition(": ")
    apart = f", in families of {sizes} ({names})" if names else ""
    several = f"the {family} p-values are adjusted by Holm's method (Holm 1979){apart}, and " if family > 1 else ""
    return [
        f"Each variant is compared {reference} by {named}; {several}a difference counts as established where "
        f"{'the adjusted p' if several else 'p'} < 0.05.",
        *adaptive.in_methods(measured),
        f"Intervals are {adaptive.interval(measured)} {'sign-flip' if 'sign flip' in tests else 't'} intervals of the "
        "mean difference, not adjusted for the number of comparisons.",
        *_examples(measured),
    ]


def _examples(measured: Measured) -> list[str]:
    """How other examples enter; nothing where the verdicts speak of seeds alone."""
    evidence = measured.tested.evidence
    if not evidence.of_both:
        return []
    over = f"{evidence.n} {evidence.word}s" + " (counted by their groups)" * bool(evidence.groups)
    return [
        f"Every difference is judged over seeds and over the {over}, by the components of its two-way layout "
        "(Cornfield and Tukey 1956; degrees of freedom by Satterthwaite 1946): p is the largest and the interval the "
        f"widest of three, over seeds, over {evidence.word}s, and over both."
    ]


def _equivalence(measured: Measured) -> list[str]:
    margin = measured.metric.minimum_effect
    if not margin or not measured.family:
        return []
    return [
        f"Two variants count as equivalent where two one-sided tests (Schuirmann 1987), adjusted by Holm's method over "
        f"all comparisons, put their difference within ±{number(margin)}."
    ]


def _factorial(factorial: bool, measured: Measured) -> list[str]:
    if not factorial:
        return []
    pooled = measured.pools or not shared_seeds(measured)
    error = "one error pooled over all variants" if pooled else "its own values, one of each seed"
    return [
        f"Main effects and interactions over the factorial are estimated by one ±1 model, each tested by {error}; "
        "effects are adjusted by Holm's method, interactions by that of Benjamini and Hochberg (1995), as exploratory."
    ]


def _missing(measured: Measured, cells: Sequence[StoredCell], imported: bool) -> list[str]:
    """What did not enter. imported: a file does not tell what failed elsewhere."""
    failed = len({cell.run for cell in cells if cell.state == "failed"})
    todo = len({cell.run for cell in cells if cell.state in ("todo", "running")})
    valueless = sum(counts.get(NO_VALUE, 0) for counts in measured.failures)
    sentences = []
    if failed:
        sentences.append(f"{failed} run{'s' * (failed > 1)} failed and {_enter(failed)} no mean, interval or test.")
    if valueless:
        sentences.append(
            f"{valueless} run{'s' * (valueless > 1)} lacked {measured.metric.name} and {_enter(valueless)} none either."
        )
    if todo:
        sentences.append(f"{todo} run{'s' * (todo > 1)} had not been made when this was written.")
    return sentences or ["No run failed or was left out."] * (not imported)


def _enter(count: int) -> str:
    return "enters" if count == 1 else "enter"


def _plan(record: PlanRecord, cells: Sequence[StoredCell]) -> list[str]:
    sentence = changes.sentence(record.registered, len({cell.run for cell in cells}))
    fixed = "Plan fixed before the first run."
    return (
        ["Variants, seeds, metric and analysis were fixed before the first run."]
        if sentence == fixed
        else [sentence] * bool(sentence)
    )


def _made_with(record: PlanRecord, provenance: Provenance) -> list[str]:
    if record.imported:
        return ["The runs were trained elsewhere; ablate analysed them."]
    versions = [f"{name} {_known(provenance, kind)}" for kind, name in _SOFTWARE.items() if _known(provenance, kind)]
    processor = _known(provenance, "processor")
    processor = in_words([name for name in (_known(provenance, "gpu"), processor) if name])
    where = f" on {processor}" if processor else ""
    if COMMAND in record.task.params:  # what is installed for a program is known, not what it uses
        python, beside = f"Python {_known(provenance, 'python')}", in_words(versions[:-1])
        there = f", {beside} installed" if beside else ""
        return [f"Runs executed the study's own program with {python}{there}{where}; ablate analysed them."]
    return [f"Runs and analysis were made with ablate, {in_words(versions)}{where}."] if versions else []


_SOFTWARE = {"torch": "PyTorch", "numpy": "NumPy", "python": "Python"}


def _known(provenance: Provenance, kind: str) -> str:
    """The values that counted runs have of a kind of provenance: `2.4.1`, or `2.4.1 and 2.5.0`."""
    return in_words([found for found in provenance.get(kind, {}) if found != "unknown"])


# --------------------------------------------------------------------------------------------------------------- limits


def limits(
    record: PlanRecord,
    measured: Measured,
    rows: Sequence[Row],
    uses: Sequence[TestUse] = (),
    *,
    tuned: bool = False,
) -> list[str]:
    """What these numbers do not show, in sentences. tuned: the study searched hyperparameters, too."""
    return [
        *_lopsided(rows),
        *_not_decided(rows),
        *_designs(measured, record),
        *_chosen(rows, measured),
        *_dev(record, measured, rows, uses),
        *_scope(record, measured, tuned),
    ]


def _lopsided(rows: Sequence[Row]) -> list[str]:
    """Verdicts between sides that lost different numbers of runs."""
    named = list(dict.fromkeys(row.spoken for row in rows if row.lopsided))
    return [
        f"What is said of {in_words(named)} holds among finished runs: more runs failed on one side than on the other, "
        "and how those would have ended is not known."
    ] * bool(named)


def _not_decided(rows: Sequence[Row]) -> list[str]:
    said = ["A difference that is not decided is no evidence that there is none."]
    said *= any(row.verdict == "inconclusive" for row in rows)
    early = "Differences that stopped their row early are biased: outward where found, towards zero where equivalent."
    return said + [early] * any(row.stopped_early for row in rows)


_SHOWS = {
    "leave_one_out": "Leave-one-out shows what a trick adds to all the others, not what it does alone.",
    "add_one_in": "Add-one-in shows what a trick does alone, not what it adds to the others.",
    "cumulative": "What a cumulative step adds depends on the order of the steps.",
}


def _designs(measured: Measured, record: PlanRecord) -> list[str]:
    designs = {row.design for row in measured.asked if row.compared_with is not None}
    sentences = [text for design, text in _SHOWS.items() if design in designs]
    bases = {variant.name: variant.of for variant in record.variants}
    apart = [a for a in measured.asked if a.compared_with and bases.get(a.variant) != bases.get(a.compared_with)]
    if apart:
        sentences.append(
            "Variants on different bases differ in more than tricks; which part of their difference is the model's, "
            "the training's or a trick's cannot be told."
        )
    return sentences


def _chosen(rows: Sequence[Row], measured: Measured) -> list[str]:
    leading = best(rows, measured.metric.better)
    if leading is None or len({row.variant for row in rows}) < 2 or measured.degenerate is not None:
        return []
    chosen = f"{leading.spoken} was chosen as the best mean by the numbers shown here, so its own mean is optimistic"
    others = [row for row in rows if row.variant != leading.variant]
    second = best(others, measured.metric.better)
    against = {leading.variant, second.variant} if second else set()
    tested = next((r for r in rows if {r.variant, r.compared_with} == against and r.p_adjusted is not None), None)
    if tested is None or second is None:
        return [f"{chosen}; whether it is better than the next best was not tested."]
    return [f"{chosen}; its difference from the next best, {second.spoken}, is {_SAID[tested.verdict or '']}."]


_SAID = {
    "helps": "established", "hurts": "established", "equivalent": "within the minimum effect", "inert": "nothing",
    "inconclusive": "not decided", "": "not decided",
}  # fmt: skip


def _dev(record: PlanRecord, measured: Measured, rows: Sequence[Row], uses: Sequence[TestUse]) -> list[str]:
    called = {row.variant: row.spoken for row in reversed(rows)}
    said = []
    if record.facts.dev(measured.metric.name):
        said.append("Every number is of the dev set; none is of the test set.")
    if uses:
        variants = in_words(list(dict.fromkeys(called.get(use.variant, use.variant) for use in uses)))
        times = "once" if len(uses) == 1 else f"{len(uses)} times"
        said.append(f"The test set was predicted {times} (by {variants}); a choice between predictions is no test.")
    return said


def _scope(record: PlanRecord, measured: Measured, tuned: bool) -> list[str]:
    if measured.given is not None or record.imported:
        return ["Nothing is shown for other data, models or budgets than those of the runs."]
    evidence = measured.tested.evidence
    about = f"seeds and {evidence.word}s like these" if evidence.of_both else "seeds"
    said = [f"The intervals are about {about}: other data, another split, model or budget may show other effects."]
    if not tuned and record.facts.epochs and len(record.variants) > 1:
        said.append("No variant was tuned for itself; one that wants another learning rate is shown at a disadvantage.")
    return said
