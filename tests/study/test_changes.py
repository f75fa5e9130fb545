"""What was planned before results were seen: `run` after `run`, and what the notes say of it."""

from dataclasses import replace

from plans import bare

from ablate.records import Metric
from ablate.study.changes import SEEDS_ADDED, register, sentence
from ablate.study.record import TrickRecord


def plan(tricks="ab", seeds=3, **more):
    return bare(tricks=tuple(TrickRecord(name=name) for name in tricks), seeds=tuple(range(seeds)), **more)


def after(*plans, seen=9, known=0):
    """What is stored with the last of several plans, each run after the one before had results."""
    stored = None
    for now in plans:
        stored = replace(now, registered=register(stored, now, seen=seen if stored is not None else 0, already=known))
    return sentence(stored.registered, 12)


def test_a_plan_that_never_changes_was_fixed_before_the_first_run():
    assert "Plan fixed before the first run." == after(plan())
    assert "Plan fixed before the first run." == after(plan(), plan(), plan())


def test_what_changes_before_any_result_is_no_addition():
    assert "Plan fixed before the first run." == after(plan("a"), plan("abc", 5), seen=0)


def test_one_result_compares_nothing_so_what_changes_after_it_is_no_addition_and_said():
    fixed = "Plan fixed when one run had a result, which compares nothing."
    assert fixed == after(plan(seeds=1), plan(seeds=3, metric=Metric("m")), seen=1)
    assert fixed == after(plan(seeds=1), plan(seeds=3), plan(seeds=3), seen=1)
    assert "Plan fixed before the first run." == after(plan(), plan(), seen=1)


def test_tricks_and_seeds_that_are_added_after_results_are_counted_and_stay_said():
    said = f"2 tricks (c, d) and 5 seeds added after results were seen. {SEEDS_ADDED}"
    assert "the p-values no longer hold (5 % becomes 8 to 15 %)" in said
    assert said == after(plan("ab", 3), plan("abcd", 8))
    assert said == after(plan("ab", 3), plan("abc", 5), plan("abcd", 8), plan("abcd", 8))
    assert f"1 seed added after results were seen. {SEEDS_ADDED}" == after(plan(seeds=3), plan(seeds=4))


def test_what_is_dropped_or_judged_otherwise_after_results_is_said_as_well():
    assert "1 trick (b) dropped after results were seen." == after(plan("ab"), plan("a"))
    assert "metric changed after results were seen." == after(plan(), plan(metric=Metric("m", minimum_effect=1)))
    said = after(plan("ab", 3), plan("a", 4, analysis={"error": "pooled"}))
    assert f"1 seed added, 1 trick (b) dropped and analysis changed after results were seen. {SEEDS_ADDED}" == said


def test_looks_belong_to_the_plan_so_what_they_add_is_no_addition_but_other_looks_are_a_change():
    first, other = (plan(seeds=10, analysis={"looks": looks}) for looks in ([3, 5, 10], [4, 10]))
    assert "Plan fixed before the first run." == after(first, first)
    assert "looks changed after results were seen." == after(first, other)
    said = f"7 seeds added and looks changed after results were seen. {SEEDS_ADDED}"
    assert said == after(plan(seeds=3, analysis={}), first)


def test_an_added_trick_that_goes_again_is_no_addition_and_a_dropped_one_that_returns_is_one():
    assert "1 trick (c) dropped after results were seen." == after(plan("ab"), plan("abc"), plan("ab"))
    assert "1 trick (b) added after results were seen." == after(plan("ab"), plan("a"), plan("ab"))


def test_results_of_other_studies_that_a_first_plan_finds_are_said():
    assert "Plan made when 4 of its 12 runs had results already, from other studies." == after(plan(), known=4)


def test_where_the_earlier_plan_was_stored_without_nothing_is_claimed():
    assert "" == sentence(register(plan(), plan("abc"), seen=9, already=0), 12)
