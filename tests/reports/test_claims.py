"""What a report says of each verdict: the estimate, its interval, n and p, and no more."""

import pytest
from test_tables import row

from ablate.analysis.bases import MEAN
from ablate.reports.claims import Names, claims, decided, tally

NAMED = Names(
    "dev_accuracy", "higher", "%", 0.5, {"bn": "batch norm", "opt=adamw": "optimizer: adamw"},
    {"full": "", "full-bn": "", "base": "", "base+opt=adamw": "", "A": "A", "B": "B"},
    {"full": ("bn", "mixup"), "full-bn": ("mixup",), "base": (), "base+opt=adamw": ("opt=adamw",), "A": ("bn",), "B": ("bn",)},
)  # fmt: skip


def said(variant, reference, **more):
    """The sentence about one comparison among rows whose spread shows one decimal."""
    (claim,) = claims([row(reference, std=1.2), row(variant, reference, std=1.2, **more)], NAMED)
    return claim.text


def test_a_trick_that_was_taken_away_and_helped_is_said_with_estimate_interval_n_and_p():
    expected = (
        "batch norm helps in full: without it, dev_accuracy changes by −3.5 points "
        "(95 % CI −4.1 to −2.9, n = 10, p < 0.001)."
    )
    assert expected == said("full-bn", "full", differs=("bn",))


def test_a_trick_that_was_added_and_hurt_is_called_by_its_level():
    told = said("base+opt=adamw", "base", verdict="hurts", p_adjusted=0.012)
    assert "optimizer: adamw hurts on base: with it, dev_accuracy changes by −3.5 points" in told
    assert "p = 0.012" in told


def test_equivalence_names_the_margin():
    at = {"delta": 0.1, "delta_ci_low": -0.2, "delta_ci_high": 0.4, "p_adjusted": 0.9}
    assert "batch norm makes no difference as large as ±0.5 points in full: " in said(
        "full-bn", "full", verdict="equivalent", **at
    )


def test_what_is_not_decided_is_never_called_no_effect():
    at = {"delta": 0.1, "delta_ci_low": -1.2, "delta_ci_high": 1.4, "p_adjusted": 0.9, "more_seeds": 7}
    told = said("full-bn", "full", verdict="inconclusive", **at)
    assert told.startswith("Not decided for batch norm in full: ")
    assert "the interval holds gains and losses; about 7 more seeds would show an effect of 0.5." in told


def test_an_interval_without_0_that_does_not_survive_correction_says_so():
    told = said("full-bn", "full", verdict="inconclusive", p_adjusted=0.08)
    assert "the interval alone leaves out 0, but the difference does not survive correction" in told


def test_two_seeds_give_their_range_and_no_p():
    at = {"delta_ci_low": None, "delta_ci_high": None, "p_adjusted": None, "pairs": 2, "verdict": "inconclusive"}
    told = said("full-bn", "full", delta_low=-4.0, delta_high=-3.0, **at)
    assert "(−4.0 to −3.0, n = 2); with fewer than 3 seeds nothing is tested." in told


def test_a_trick_that_does_nothing_has_no_estimate():
    told = said("full-bn", "full", verdict="inert", delta=0.0)
    assert "batch norm does nothing in full: every output is the same bit for bit (n = 10)." == told


def test_variants_on_different_bases_are_compared_as_variants_not_as_tricks():
    assert said("B", "A", delta=8.0).startswith(
        "B is better than A: in place of A, dev_accuracy changes by +8.0 points"
    )


def test_the_same_tricks_with_tuned_settings_are_compared_as_variants():
    rows = [row("A (untuned)", tricks=("bn",)), row("A (tuned)", "A (untuned)", tricks=("bn",), delta=3.5)]
    (claim,) = claims(rows, NAMED)
    assert claim.text.startswith(
        "A (tuned) is better than A (untuned): in place of A (untuned), dev_accuracy changes by"
    )


def test_several_tricks_are_judged_together():
    told = said("base", "full", differs=("bn", "mixup"))
    assert told.startswith("batch norm and mixup together help in full: without them, ")


def test_a_placebo_that_is_decided_is_a_false_alarm_and_nothing_that_helps():
    rows = [row("full"), row("placebo", "full", placebo=True)]
    (claim,) = claims(rows, NAMED)
    assert claim.text.startswith("A false alarm, for the placebo changes nothing: ")
    assert [] == decided([claim], "helps")


def test_a_collapsed_seed_is_said_beside_the_mean():
    assert said("full-bn", "full", collapsed=(3,)).endswith("; seed 3 of full-bn collapsed, so mean and t say little.")


def test_a_verdict_among_finished_runs_is_said_so_and_counted_apart():
    rows = [row("full"), row("full-bn", "full", qualifier="among finished runs, by less than 0.5")]
    (claim,) = claims(rows, NAMED)
    assert claim.lopsided
    assert claim.head == "batch norm helps in full among finished runs, by less than 0.5 points"
    assert "Of 1 comparison, 1 helps; of these verdicts 1 holds among finished runs only." == tally([claim])
    assert ["batch norm among finished runs"] == decided([claim], "helps")


def test_equivalence_is_said_with_its_own_interval_and_p():
    at = {
        "delta": 0.1,
        "p_adjusted": 0.9,
        "p_equivalent": 0.012,
        "equivalence_ci_low": -0.2,
        "equivalence_ci_high": 0.4,
    }
    told = said("full-bn", "full", verdict="equivalent", **at)
    assert "+0.1 points (90 % CI −0.2 to +0.4, n = 10, p of equivalence = 0.012)" in told


def test_a_row_without_a_result_is_said_to_have_none():
    at = {"delta": None, "delta_ci_low": None, "delta_ci_high": None, "p": None, "p_adjusted": None, "verdict": None}
    assert "Not measured, batch norm in full: no result of it yet." == said("full-bn", "full", n=0, mean=None, **at)


def test_the_tally_counts_every_comparison_once():
    rows = [row("full"), row("full-bn", "full"), row("full-bn", "full", design="again"), row("base", "full")]
    assert "Of 2 comparisons, 2 help." == tally(claims(rows, NAMED))


@pytest.mark.parametrize("context", [("full",), ("full", "A")])
def test_what_helps_is_named_once_with_its_contexts_where_there_are_several(context):
    tricks = {**NAMED.tricks, "A-bn": ()}
    named = Names(*list(vars(NAMED).values())[:5], {**NAMED.bases, "A-bn": "A"}, tricks)
    of = {"full": "full-bn", "A": "A-bn"}
    found = claims([row(of[reference], reference) for reference in context], named)
    assert decided(found, "helps") == (["batch norm"] if len(context) == 1 else ["batch norm (in full, in A)"])


@pytest.mark.parametrize(("kind", "said"), [
    ("", "batch norm helps on the mean over A and B: without it,"),
    ("trained", "Trained weights rely on batch norm on the mean over A and B: without it in the same weights,"),
    ("beyond", "batch norm matters beyond its size on the mean over A and B: with as much taken from the other parts"),
])  # fmt: skip
def test_a_mean_over_bases_says_what_its_rows_ask(kind, said):
    name = "batch norm, in A and B"
    mean = row(name, "each of them", design=MEAN, label=f"- {name}", differs=("bn",), kind=kind)
    (claim,) = claims([mean], NAMED)
    assert claim.text.startswith(said)
