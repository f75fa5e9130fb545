"""What a search came to, as the stored plan keeps it, and what the table says of it: rows on fresh seeds, notes. Pure.

The value by which a winner won is the best of many noisy ones, so it flatters; the table shows what winner and untuned
variant reach on seeds that the search did not see. These rows are a family of their own: a study's other p-values do
not change because something was tuned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ablate.identity import canonical_json
from ablate.records import Better, Json, Row, in_a_sentence
from ablate.study.record import PlanRecord, RowRecord, Tuned
from ablate.text import Note, many

MARK = "§"
TUNED, BEFORE, AFTER = "tuned", "before tuning", "after tuning"
"""The designs of these rows."""


def tuned_name(variant: str) -> str:
    return f"{variant} (tuned)"


def untuned_name(variant: str) -> str:
    return f"{variant} (untuned)"


def split(record: PlanRecord) -> tuple[list[Tuned], list[Tuned]]:
    """The searches that a stored plan has: those of variants as they are now, and those of variants that changed."""
    if not record.tuned:
        return [], []
    now = {variant.name: variant.identity for variant in record.variants}
    current = [entry for entry in record.tuned if now.get(entry.variant) == entry.of]
    return current, [entry for entry in record.tuned if entry not in current]


def variants(entries: Iterable[Tuned], tricks: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """The variants that were trained on fresh seeds, each with its tricks."""
    return {
        name(e.variant): tuple(tricks[e.variant]) for e in entries for name in (untuned_name, tuned_name)
    }  # fmt: skip


def in_sentences(asked: Sequence[RowRecord]) -> dict[str, str]:
    """What a sentence calls each variant of a study's own rows."""
    return {
        row.variant: in_a_sentence(row.variant, row.label, row.compared_with) or row.variant for row in reversed(asked)
    }


def asked_rows(entries: Sequence[Tuned], asked: Sequence[RowRecord]) -> tuple[RowRecord, ...]:
    """The rows: each winner against its untuned variant; of several variants, the ablation before and after.

    asked: the study's own rows, which say how a variant is called in a sentence.
    """
    compared = [(row.variant, row.compared_with, row.differs) for row in asked if row.compared_with is not None]
    called = in_sentences(asked)
    rows = []
    for e in entries:
        untuned, tuned = untuned_name(e.variant), tuned_name(e.variant)
        name = called.get(e.variant, e.variant)
        rows.append(RowRecord(TUNED, untuned, None, (), f"{untuned_name(name)} {MARK}"))
        rows.append(RowRecord(TUNED, tuned, untuned, (), f"{tuned_name(name)} {MARK}"))
    names = [e.variant for e in entries]
    pairs = [pair for pair in compared if pair[0] in names and pair[1] in names]
    pairs = list({(one, other): (one, other, differs) for one, other, differs in pairs}.values())
    for design, named in ((BEFORE, untuned_name), (AFTER, tuned_name)):
        rows += [
            RowRecord(design, named(one), named(other), tuple(differs), f"{named(called.get(one, one))} {MARK}")
            for one, other, differs in pairs
        ]
    return tuple(rows)


# --------------------------------------------------------------------------------------------------------------- notes


def notes(
    entries: Sequence[Tuned], stale: Sequence[Tuned], rows: Sequence[Row], metric: str, called: Mapping[str, str]
) -> list[str]:
    """What must be said of these rows, and of searches whose variant has changed since. called: `in_sentences`."""
    sentences: list[str] = []
    if rows:
        family = len({(row.variant, row.compared_with) for row in rows if row.compared_with is not None})
        fresh = entries[0].fresh
        alone = f"{'this comparison' if family == 1 else f'these {family} comparisons'} alone"
        sentences.append(
            Note(
                f"{MARK} Trained anew on fresh seeds ({_span(fresh)}), which no search saw and no row above has; "
                f"p is adjusted by Holm over {alone}. In a tuned row the verdict speaks of the tuning.",
                f"{MARK} trained anew on fresh seeds; p by Holm over {alone}; the verdict is about the tuning",
            )
        )
    sentences += [_search(e, metric, called.get(e.variant, e.variant)) for e in entries]
    if len(entries) > 1:
        same = len({(e.trials, e.seeds) for e in entries}) == 1
        trials = ", ".join(f"{called.get(e.variant, e.variant)} {e.trials}" for e in entries)
        unlike = f"hese variants did not get the same number of trials: {trials}"
        sentences.append(
            Note(f"Each of these variants got the same search budget: {entries[0].trials} trials.")
            if same
            else Note(f"T{unlike}.", f"! t{unlike}")
        )
    sentences += [
        f"{called.get(e.variant, e.variant)} was tuned, and has changed since: `ablate tune` again." for e in stale
    ]  # fmt: skip
    return sentences


def _search(e: Tuned, metric: str, name: str) -> Note:
    untuned, states = e.untuned, e.states
    seeds = f"seed {e.seeds[0]}" if len(e.seeds) == 1 else f"seeds {_span(e.seeds)}"
    ended = ", ".join(f"{count} {state}" for state, count in states.items() if state != "done")
    text = f"{tuned_name(name)}: {_changes(e)}. "
    text += f"The best of {many(e.trials, 'trial')} by {e.sampler} on {seeds}" + (f" ({ended})" if ended else "")
    text += f", {many(e.runs, 'run')} in all; its {metric} there, {e.value:.5g}"
    text += "" if untuned.value is None else f" (untuned: {untuned.value:.5g})"
    text += ", is selection-biased: the best of many, chosen for being so."
    text += " The untuned variant got no search: its settings are the study file's."
    if len(e.winners) > 1:
        text += (
            f" It is winner number {len(e.winners)}: the search was gone on with after a winner had been seen on "
            "these seeds."
        )
    return Note(text, f"! tuned {name}: the best of {many(e.trials, 'trial')}; the untuned variant got no search")


def _changes(e: Tuned) -> str:
    """`optimizer.lr 0.08 → 0.21`, and what stayed."""
    own = e.untuned.settings
    changed = [f"{key} {_short(own[key])} → {_short(value)}" for key, value in e.settings.items() if value != own[key]]
    return ", ".join(changed) if changed else "the untuned settings themselves, for no trial was better"


def _short(value: Json) -> str:
    return (
        f"{value:.4g}" if isinstance(value, float) else str(value) if isinstance(value, int) else canonical_json(value)
    )


def _span(seeds: Sequence[int]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"


@dataclass(frozen=True)
class TunedTrial:
    """One trial of a search, in the glossary's words a run of role `tune`. value: None where it has none.

    state: done, pruned, failed or running.
    """

    number: int
    value: float | None
    state: Literal["done", "pruned", "failed", "running"]
    parameters: Mapping[str, Json]


@dataclass(frozen=True)
class TuningHistory:
    """A search as `tune` did it. importance: parameter -> share, by Optuna's evaluator; empty where it cannot tell.

    log: the parameters that were searched on a log scale. baseline: the untuned variant's value, where it is known.
    """

    variant: str
    metric: str
    better: Better
    trials: tuple[TunedTrial, ...]
    importance: Mapping[str, float] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    baseline: float | None = None
