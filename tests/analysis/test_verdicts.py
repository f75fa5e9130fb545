"""Published examples to their printed digits, scipy and statsmodels as oracles, and a simulation of what is promised."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plans import measured as study
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from ablate.analysis import comparisons, power, sign_flip, verdicts
from ablate.records import Metric
from ablate.study.record import RowRecord

NAN = math.nan

# Student 1908, "The probable error of a mean", Biometrika 6; hours of extra sleep of ten patients under two drugs, as in
# R's data set `sleep`, whose help page prints the results below.
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def one(row, reference):
    """The comparison of two lists of values as plain numbers."""
    found = comparisons.compare(np.array([row], float), np.array([reference], float))
    return {name: value[0] for name, value in vars(found).items() if value is not None}


def row(measured, variant):
    return next(row for row in verdicts.rows(measured) if row.variant == variant)


# ------------------------------------------------------------------------------------------------------------ published


def test_students_sleep_data_paired():
    found = one(DRUG_1, DRUG_2)
    assert (-4.0621, 9, 0.002833) == (
        round(found["estimate"] / found["se"], 4),
        found["df"],
        round(found["p"], 6),
    )
    assert (-2.4598858, -0.7001142) == (round(found["ci_low"], 7), round(found["ci_high"], 7))
    assert found["estimate"] == pytest.approx(-1.58)


def test_students_sleep_data_as_two_groups_by_welch():
    # R: t.test(extra ~ group, data = sleep) prints t = -1.8608, df = 17.776, p-value = 0.07939, -3.3654832 0.2054832
    found = one(DRUG_1 + [NAN] * 10, [NAN] * 10 + DRUG_2)
    assert not found["paired"]
    assert (-1.8608, 17.776, 0.07939) == (
        round(found["estimate"] / found["se"], 4),
        round(found["df"], 3),
        round(found["p"], 5),
    )
    assert (-3.3654832, 0.2054832) == (round(found["ci_low"], 7), round(found["ci_high"], 7))


def test_holm_published_example():
    # The example of pingouin's documentation of `holm` (Vallat 2018, JOSS 3:1026).
    adjusted = comparisons.holm(np.array([0.50, 0.003, 0.32, 0.054, 0.0003]))
    assert adjusted.tolist() == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015])


def test_seeds_needed_as_in_cohens_conventions():
    # Pairs for a power of 0.80 at two-sided 0.05, d = 0.2, 0.5, 0.8: 199, 34, 15 (G*Power 3.1, "difference between two
    # dependent means"; Cohen 1988, section 2.3).
    assert [199, 34, 15] == power.seeds_needed(np.array([0.2, 0.5, 0.8])).tolist()


# -------------------------------------------------------------------------------------------------------------- oracles

values = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
samples = st.integers(3, 12).flatmap(
    lambda n: st.tuples(st.lists(values, min_size=n, max_size=n), st.lists(values, min_size=n, max_size=n))
)


@given(samples)
def test_paired_t_agrees_with_scipy(pair):
    a, b = map(np.array, pair)
    assume(np.ptp(a - b) > 1e-2)
    found, expected = one(a, b), stats.ttest_rel(a, b)
    interval = expected.confidence_interval()
    assert (found["p"], found["df"]) == pytest.approx((expected.pvalue, expected.df), rel=1e-6)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


@given(st.lists(values, min_size=3, max_size=9), st.lists(values, min_size=3, max_size=9))
def test_welch_agrees_with_scipy(a, b):
    assume(np.ptp(a) > 1e-2 and np.ptp(b) > 1e-2)
    found = one(a + [NAN] * len(b), [NAN] * len(a) + b)
    expected = stats.ttest_ind(a, b, equal_var=False)
    interval = expected.confidence_interval()
    assert (found["p"], found["df"]) == pytest.approx((expected.pvalue, expected.df), rel=1e-6)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


@settings(max_examples=30)  # statsmodels takes 50 ms a call
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 5))
@pytest.mark.slow
def test_holm_agrees_with_statsmodels_where_untested_members_count_as_p_1(p, untested):
    adjusted = comparisons.holm(np.array(p + [NAN] * untested), len(p) + untested)
    expected = multipletests(p + [1.0] * untested, method="holm")[1][: len(p)]
    assert adjusted[: len(p)].tolist() == pytest.approx(expected.tolist())
    assert np.isnan(adjusted[len(p) :]).all()


@given(samples, st.floats(0.1, 500))
def test_equivalence_agrees_with_statsmodels(pair, margin):
    a, b = map(np.array, pair)
    assume(np.ptp(a - b) > 1e-2)
    found = comparisons.compare(a[None], b[None])
    p = comparisons.equivalence(found.estimate, found.se, found.df, margin)[0]
    assert p == pytest.approx(ttost_paired(a, b, -margin, margin)[0], rel=1e-6, abs=1e-12)


@settings(max_examples=50)
@given(st.floats(0.1, 4))  # beyond, statsmodels has no number
def test_seeds_needed_is_the_first_n_with_the_power(effect):
    n = int(power.seeds_needed(np.array([effect]))[0])
    reached = [TTestPower().power(effect, m, 0.05) >= 0.80 for m in (n - 1, n) if m > 1]
    assert reached == ([False, True] if n > 2 else [True])


def test_no_number_of_seeds_shows_an_effect_of_nothing():
    assert np.isnan(power.seeds_needed(np.array([0.0])))[0]
    assert np.isinf(power.seeds_needed(np.array([1e-9])))[0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=10))
def test_a_summary_agrees_with_numpy(sample):
    found = comparisons.summarise(np.array([[*sample, NAN]]))
    assert (found.n[0], found.low[0], found.high[0]) == (len(sample), min(sample), max(sample))
    assert (found.mean[0], found.std[0]) == pytest.approx((np.mean(sample), np.std(sample, ddof=1)), abs=1e-6)


def test_every_statistic_is_plain_where_nothing_was_measured():
    found = comparisons.compare(np.full((2, 3), NAN), np.array([[1.0, 2, 3], [NAN, NAN, NAN]]))
    assert found.pairs.tolist() == [0, 0]
    assert np.isnan(found.estimate).all()
    assert np.isnan(found.p).all()


# ----------------------------------------------------------------------------------------------------------- simulation


@pytest.mark.parametrize("unstable", [1.0, 6.0])
def test_intervals_cover_95_percent_and_one_study_in_twenty_errs_also_with_a_row_of_six_times_the_spread(unstable):
    studies, rows, seeds = 4000, 8, 5
    rng = np.random.default_rng(20250101)
    spread = np.ones(rows + 1)
    spread[1] = unstable
    noise = rng.normal(size=(studies, rows + 1, seeds)) * spread[:, None] + rng.normal(size=(studies, 1, seeds))
    base = np.repeat(noise[:, :1], rows, axis=1).reshape(-1, seeds)
    found = comparisons.compare(noise[:, 1:].reshape(-1, seeds), base)

    covered = ((found.ci_low < 0) & (found.ci_high > 0)).reshape(studies, rows).mean(axis=0)
    assert 0.94 <= covered.mean() <= 0.96
    assert 0.94 <= covered[0] <= 0.96
    errs = [(comparisons.holm(p) < 0.05).any() for p in found.p.reshape(studies, rows)]
    assert np.mean(errs) <= 0.055


# ----------------------------------------------------------------------------------------------------------------- rows


def test_only_shared_seeds_make_pairs():
    measured = study({"base": [1, 2, 3, NAN, 5], "a": [2, 3.5, 4, 9, NAN]})
    found = row(measured, "a")
    assert (found.n, found.pairs, found.delta, found.test) == (4, 3, pytest.approx(3.5 / 3), "paired t")


def test_the_same_comparison_in_two_designs_is_one_member_of_the_family():
    asked = [
        RowRecord("x", "base", None),
        RowRecord("x", "a", "base"),
        RowRecord("y", "a", "base"),
        RowRecord("y", "b", "base"),
    ]
    values = {"base": [1, 2, 3.0], "a": [3, 3.5, 5.1], "b": [1.5, 2, 3.1]}
    measured = study(values, asked)
    assert measured.family == (("a", "base"), ("b", "base"))
    found = row(measured, "a")
    assert found.p_adjusted == pytest.approx(2 * found.p)


def test_a_comparison_without_numbers_still_counts_in_the_family():
    measured = study({"base": [1, 2, 3.0], "a": [3, 3.5, 5.1], "b": [NAN, NAN, NAN]})
    assert row(measured, "a").p_adjusted == pytest.approx(2 * row(measured, "a").p)
    assert row(measured, "b").delta is None
    assert row(measured, "b").verdict is None


def test_removing_what_helped_reads_helps():
    values = {"full": [90.1, 90.2, 90.0, 90.3], "full-bn": [86.1, 86.3, 86.1, 86.2]}
    measured = study(values, tricks={"full": ("bn", "mixup"), "full-bn": ("mixup",)})
    found = row(measured, "full-bn")
    assert found.delta < -3.5
    assert found.verdict == "helps"


def test_adding_what_hurts_reads_hurts_and_a_lower_loss_is_better():
    values = {"base": [90.1, 90.2, 90.0, 90.3], "a": [86.1, 86.3, 86.1, 86.2]}
    assert row(study(values), "a").verdict == "hurts"
    assert row(study(values, better="lower"), "a").verdict == "helps"


def test_a_swap_speaks_of_the_rows_level():
    values = {"full": [80, 80.2, 80.1, 80.3], "swap": [90.1, 90.2, 90.0, 90.3]}
    measured = study(values, tricks={"full": ("optimizer=sgd",), "swap": ("optimizer=adamw",)})
    assert row(measured, "swap").verdict == "helps"


def test_several_tricks_taken_away_are_judged_together():
    values = {"full": [90.1, 90.2, 90.0, 90.3], "base": [80, 80.2, 80.1, 80.3]}
    measured = study(values, tricks={"full": ("a", "b"), "base": ()})
    assert row(measured, "base").verdict == "helps"


def test_parts_their_controls_and_parts_against_these_are_families_and_the_last_say_beyond_its_size():
    values = {
        "full": [90.0, 90.3, 90.1, 90.4], "full-a": [87.1, 87.0, 87.3, 87.2], "full-b": [89.1, 90.3, 89.5, 90.0],
        "full-a:control": [90.1, 90.2, 90.0, 90.5], "full-b:control": [89.0, 89.5, 89.2, 89.2],
    }  # fmt: skip
    tricks = dict.fromkeys(values, ("a", "b")) | {"full-a": ("b",), "full-b": ("a",)}
    rows = [RowRecord("leave_one_out", "full", None)]
    rows += [RowRecord("leave_one_out", f"full-{name}", "full", (name,)) for name in "ab"]
    rows += [RowRecord("leave_one_out", f"full-{name}:control", "full", kind="control") for name in "ab"]
    rows += [RowRecord("b", f"full-{x}", f"full-{x}:control", (x,), kind="beyond") for x in "ab"]
    measured = study(values, rows, tricks=tricks)
    assert measured.families == ((0, 1), (2, 3), (4, 5))
    judged = verdicts.rows(measured)
    assert judged[5].p_adjusted == pytest.approx(2 * judged[5].p)
    assert [one.judged for one in judged[1:]] == [
        "helps", "inconclusive", "inconclusive", "its size matters", "matters beyond its size", "inconclusive",
    ]  # fmt: skip
    assert verdicts.best(judged, "higher").variant == "full"
    assert list(measured.open_rows(np.array([0.01, 0.5, 0.5, 0.5, 0.5, 0.5]))) == [1, 1, 2, 2, 2, 2]


def test_equivalent_needs_a_minimum_effect():
    values = {"base": [90.0, 90.2, 90.1, 90.3, 90.2], "a": [90.1, 90.1, 90.1, 90.4, 90.1]}
    assert row(study(values), "a").verdict == "inconclusive"
    assert row(study(values, minimum_effect=0.5), "a").verdict == "equivalent"


def test_bit_identical_outputs_are_inert_whatever_else_holds():
    values = {"base": [1, 2, 3.0], "a": [1, 2, 3.0]}
    found = row(study(values, minimum_effect=0.5, inert=frozenset({("a", "base")})), "a")
    assert (found.verdict, found.identical, found.p, found.delta) == ("inert", True, None, 0.0)


def test_identical_values_have_no_p_and_no_verdict_but_inconclusive():
    found = row(study({"base": [1, 2, 3.0], "a": [1, 2, 3.0]}, minimum_effect=0.5), "a")
    assert (found.identical, found.delta, found.delta_ci_low, found.p, found.p_adjusted, found.verdict) == (
        True, 0.0, None, None, None, "inconclusive",
    )  # fmt: skip


def test_differences_that_are_all_equal_have_no_p_even_where_rounding_hides_it():
    # 90.3 - 90.1 and 80.3 - 80.1 differ in the last bit; a naive t test gives p < 1e-30.
    found = row(study({"base": [90.1, 80.1, 70.1], "a": [90.3, 80.3, 70.3]}), "a")
    assert (found.no_spread, found.p, found.delta_ci_low, found.verdict) == (True, None, None, "inconclusive")
    assert found.delta == pytest.approx(0.2)


def test_a_run_that_does_not_depend_on_its_seed_has_no_interval():
    found = row(study({"base": [0.1, 0.1, 0.1], "a": [1, 2, 3.0]}), "base")
    assert (found.mean, found.std, found.ci_low) == (0.1, 0.0, None)


@pytest.mark.parametrize(("n", "std_there"), [(1, False), (2, True)])
def test_fewer_than_three_seeds_have_no_interval_and_no_p(n, std_there):
    found = row(study({"base": [1.0, 2.5][:n], "a": [2.0, 3.1][:n]}), "a")
    assert (found.n, found.pairs, found.ci_low, found.delta_ci_low, found.p, found.p_adjusted, found.more_seeds) == (
        n, n, None, None, None, None, None,
    )  # fmt: skip
    assert (found.std is not None) == std_there
    assert found.delta is not None
    assert found.verdict == "inconclusive"


def test_all_at_chance_is_a_degenerate_metric():
    assert study({"base": [10.0] * 3, "a": [10.0] * 3}).degenerate == 10.0
    assert study({"base": [10.0] * 3, "a": [10.0, 10.0, 10.1]}).degenerate is None
    assert study({"base": [10.0], "a": [10.0]}).degenerate is None


def test_more_seeds_are_those_beyond_the_pairs_that_are_there():
    values = {"base": [90.0, 90.2, 90.1, 90.9, 90.2], "a": [90.3, 89.9, 90.4, 90.7, 90.8]}
    found = row(study(values, minimum_effect=0.3), "a")
    deviation = np.std(np.subtract(values["a"], values["base"]), ddof=1)
    most = deviation * math.sqrt(4 / stats.chi2.ppf(0.2, 4))  # the spread's upper limit, 80 % confidence
    needed = math.ceil(TTestPower().solve_power(0.3 / most, power=0.8, alpha=0.05))
    assert (found.verdict, found.more_seeds) == ("inconclusive", needed - 5)
    assert row(study(values), "a").more_seeds is None, "no minimum effect, no aim"


def test_more_seeds_are_counted_at_the_level_that_holm_asks_of_an_open_row():
    base = [90.0, 90.2, 90.1, 90.9, 90.2]
    values = {"base": base, "a": [90.3, 89.9, 90.4, 90.7, 90.8], "b": [x + 20 for x in (0.1, 0.3, 0, 0.9, 0.3)]}
    values |= {name: [90.1, 90.0, 90.6, 90.4, 90.9] for name in "cd"}
    measured = study(values, minimum_effect=0.3)
    assert row(measured, "b").verdict == "hurts"
    most = np.std(np.subtract(values["a"], base), ddof=1) * math.sqrt(4 / stats.chi2.ppf(0.2, 4))
    needed = math.ceil(TTestPower().solve_power(0.3 / most, power=0.8, alpha=0.05 / 3))  # a, c and d are open
    assert row(measured, "a").more_seeds == needed - 5


def test_the_seeds_that_a_row_asks_for_find_the_minimum_effect_in_four_of_five_studies():
    rng = np.random.default_rng(6)
    rows = 4
    found = []
    for _ in range(300):
        pilot = rng.normal(size=(rows, 5)) + 1
        tested = study({"base": [0.0] * 5, **{f"r{i}": v for i, v in enumerate(pilot)}}, minimum_effect=1.0)
        asked = row(tested, "r0").more_seeds
        if asked is not None:
            whole = np.concatenate([pilot[0], rng.normal(size=asked) + 1])
            found.append(stats.ttest_1samp(whole, 0).pvalue < 0.05 / rows)
    assert np.mean(found) > 0.8


def test_a_row_that_is_decided_asks_for_no_more_seeds():
    assert row(study({"base": [1, 2, 3.0], "a": [11, 12.1, 13]}), "a").more_seeds is None


def test_a_collapsed_seed_is_named_and_signs_are_counted():
    values = {
        "full": [91.0, 91.4, 90.8, 91.2, 91.1, 90.9, 91.3, 91.0],
        "a": [90.0, 90.5, 89.8, 90.1, 90.2, 89.9, 90.4, 37.0],
        "b": [91.1, 91.3, 90.9, 91.2, 91.0, 91.0, 91.2, 91.1],
    }
    measured = study(values)
    assert (row(measured, "a").collapsed, row(measured, "a").seeds_worse) == ((7,), 8)
    assert row(measured, "b").collapsed == ()
    assert row(measured, "a").p_adjusted > 0.05, "one collapsed seed hides from t what eight signs show"


def test_a_failed_run_is_out_of_n_and_its_row_is_never_the_best():
    measured = study({"base": [1, 2, 3.0], "a": [9, 9.5, NAN]})
    measured = replace(measured, failures=({}, {"diverged": 1}))
    found = verdicts.rows(measured)
    assert (found[1].n, found[1].planned, found[1].failed) == (2, 3, 1)
    assert verdicts.best(found, "higher").variant == "base"


def test_ties_for_the_best_go_to_fewer_tricks():
    values = {"full": [1, 2, 3.0], "a": [1, 2, 3.0]}
    found = verdicts.rows(study(values, tricks={"full": ("a", "b"), "a": ("a",)}))
    assert verdicts.best(found, "higher").variant == "a"


def test_rows_are_numbers_that_json_can_hold():
    for found in verdicts.rows(study({"base": [1, NAN, 3.0], "a": [NAN, NAN, NAN], "b": [1, 2, 3.0]})):
        for value in vars(found).values():
            assert not (isinstance(value, float) and math.isnan(value))
            assert not isinstance(value, np.generic)


# --------------------------------------------------------------------------------------------------------------- pooled

POOLED = {"error": "pooled"}

# Box, Hunter and Hunter, Statistics for Experimenters, 2nd ed., table 4.4: yield of penicillin by four processes in
# five blends (blocks); the analysis of variance prints a residual mean square of 18.8 on 12 df.
PENICILLIN = {
    "A": [89, 84, 81, 87, 79],
    "B": [88, 77, 87, 92, 81],
    "C": [97, 92, 87, 89, 80],
    "D": [94, 79, 85, 84, 88],
}


def test_pooled_errors_are_those_of_the_penicillin_example():
    error = comparisons.pooled_error(np.array(list(PENICILLIN.values()), float))
    assert (18.8, 12) == (round(error.mse, 1), error.df)
    found = row(study(PENICILLIN, analysis=POOLED), "C")
    assert (5.0, "pooled t") == (found.delta, found.test)
    half = stats.t.ppf(0.975, 12) * math.sqrt(2 * error.mse / 5)
    assert (found.delta_ci_low, found.delta_ci_high) == pytest.approx((5 - half, 5 + half))
    assert found.p == pytest.approx(2 * stats.t.sf(5 / math.sqrt(2 * error.mse / 5), 12))


def test_pooling_changes_no_estimate_and_is_never_the_default():
    own, pooled = study(PENICILLIN), study(PENICILLIN, analysis=POOLED)
    assert [r.delta for r in verdicts.rows(own)] == [r.delta for r in verdicts.rows(pooled)]
    assert row(own, "C").test == "paired t"


def test_pooled_without_shared_seeds_is_the_one_way_analysis_of_variance():
    values = {"a": [1, 2, 4] + [NAN] * 6, "b": [NAN] * 3 + [2, 5, 6] + [NAN] * 3, "c": [NAN] * 6 + [1, 1, 3]}
    error = comparisons.pooled_error(np.array(list(values.values()), float))
    groups = [[x for x in v if x == x] for v in values.values()]
    assert (error.df, error.mse) == (6, pytest.approx(np.mean([np.var(g, ddof=1) for g in groups])))
    assert row(study(values, analysis=POOLED), "b").test == "pooled t"


def test_pooled_leaves_two_pairs_without_a_p_and_a_row_that_shares_no_seed_with_welch():
    values = {"a": [1, 2, 4, 3, NAN, NAN, NAN], "b": [2, 5, NAN, NAN, 1, 1, 1], "c": [1.5, 1, 3, 3, 2, 5, 4]}
    values["d"] = [NAN, NAN, NAN, NAN, 3, 4, 8]
    values["e"] = [1, 2, NAN, NAN, NAN, NAN, NAN]
    measured = study(values, analysis=POOLED)
    assert (row(measured, "e").pairs, row(measured, "e").p) == (2, None)
    assert row(measured, "b").test == "Welch t", "two shared seeds, and five runs of its own"
    assert row(measured, "c").test == "pooled t"
    assert row(measured, "d").test == "Welch t"


def test_pooled_gives_a_row_of_equal_differences_the_error_of_the_others_but_identical_ones_none():
    values = {"a": [1, 2, 4, 3], "b": [2, 3, 5, 4], "c": [1, 2, 4, 3], "d": [2, 1, 5, 6]}
    measured = study(values, analysis=POOLED)
    assert row(measured, "b").p is not None
    assert not row(measured, "b").no_spread
    assert (row(measured, "c").identical, row(measured, "c").p) == (True, None)


def test_a_row_with_settings_of_its_own_is_judged_as_what_it_is_and_not_by_the_trick_it_lacks():
    values = {"small": [80, 80.2, 80.1, 80.3], "wide": [90.1, 90.2, 90.0, 90.3]}
    rows = [RowRecord("variants", "small", None), RowRecord("variants", "wide", "small", ("bn", "width"))]
    measured = study(values, rows, tricks={"small": ("bn",), "wide": ()})
    assert row(measured, "wide").verdict == "helps"


# ------------------------------------------------------------------------------------------------------ what is claimed


@pytest.mark.parametrize("shared", [1, 2])
def test_one_or_two_shared_seeds_are_tested_by_welch_over_all_runs(shared):
    ours, theirs = [1.0, 1.2, 0.9, 1.1], [2.0, 2.3, 1.9, 2.2]
    reference = ours + [NAN] * (4 - shared)
    values = [NAN] * (4 - shared) + theirs
    found = row(study({"base": reference, "a": values}), "a")
    expected = stats.ttest_ind(theirs, ours, equal_var=False)
    assert (found.test, found.pairs, found.p) == ("Welch t", shared, pytest.approx(expected.pvalue))
    assert found.delta == pytest.approx(np.mean(theirs) - np.mean(ours))


def test_a_verdict_between_sides_that_differ_in_failures_holds_among_finished_runs():
    values = {"base": [1, 2, 3.0, 4, 5], "a": [11, 12.1, 13, NAN, NAN]}
    failed = study(values, failures=({}, {"diverged": 2}))
    assert ("helps", "among finished runs") == (row(failed, "a").verdict, row(failed, "a").qualifier)
    both = study(values, failures=({"oom": 2}, {"diverged": 2}))
    assert row(both, "a").qualifier is None


def test_an_effect_below_the_minimum_effect_helps_by_less_than_that():
    base = [90.0, 90.2, 90.1, 90.3, 90.2]
    found = row(
        study(
            {"base": base, "a": [x + d for x, d in zip(base, (0.08, 0.1, 0.09, 0.07, 0.08), strict=True)]},
            minimum_effect=0.5,
        ),
        "a",
    )
    assert ("helps, by less than 0.5", "by less than 0.5") == (found.judged, found.qualifier)


def test_equivalence_is_adjusted_by_holm_over_the_tests_of_all_rows():
    base = [90.0, 90.2, 90.1, 90.9, 90.2]
    values = {"base": base, "a": [90.3, 89.9, 90.4, 90.7, 90.5], "b": [90.1, 90.1, 90.2, 90.9, 90.1]}
    margin = 0.5
    raw = sorted(ttost_paired(np.array(values[name]), np.array(base), -margin, margin)[0] for name in "ab")
    measured = study(values, minimum_effect=margin)
    assert [row(measured, "b").p_equivalent, row(measured, "a").p_equivalent] == pytest.approx([2 * raw[0], raw[1]])
    difference = np.subtract(values["b"], base)
    half = stats.t.ppf(0.95, 4) * stats.sem(difference)
    found = row(measured, "b")
    assert (found.equivalence_ci_low, found.equivalence_ci_high) == pytest.approx(
        (difference.mean() - half, difference.mean() + half)
    )


def test_a_row_at_chance_in_every_seed_is_collapsed_whatever_its_neighbours_do():
    accuracy = study({"base": [97.0, 97.4, 96.9], "a": [10.0] * 3, "b": [10.0] * 3, "c": [9.0, 11.0, 10.0]})
    accuracy = replace(accuracy, metric=Metric("dev_accuracy"), values={"dev_accuracy": accuracy.values["m"]})
    assert [(), (0, 1, 2), (0, 1, 2), ()] == [found.collapsed for found in verdicts.rows(accuracy)]
    loss = study({"base": [0.1, 0.2, 0.15], "a": [2.3026, 2.3031, 2.3019], "b": [2.3026, 2.28, 2.31]}, better="lower")
    loss = replace(loss, metric=Metric("loss", "lower"), values={"loss": loss.values["m"]})
    assert [(), (0, 1, 2), ()] == [found.collapsed for found in verdicts.rows(loss)]


# ------------------------------------------------------------------------------------------------------------ sign flips


def test_darwins_maize_by_fishers_exact_test():
    # Fisher 1935, The Design of Experiments, section 21: of 2^15 sign patterns 863 have a sum at least as large on one
    # side, 1,726 on both: p = 0.05267. (Differences in eighths of an inch, self- against cross-fertilised plants.)
    darwin = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48], float)
    assert 863 / 2**15 == sign_flip.above(darwin)
    assert 1726 / 2**15 == sign_flip.two_sided(darwin)


@given(
    st.lists(st.floats(-100, 100).map(lambda x: round(x, 2)), min_size=6, max_size=9, unique=True), st.floats(-50, 50)
)
def test_the_sign_flip_interval_is_what_its_test_does_not_reject(sample, value):
    sample = np.array(sample)
    low, high = sign_flip.interval(sample, 0.05)
    assume(min(abs(value - low), abs(value - high)) > 1e-6)
    assert (low < value < high) == (sign_flip.two_sided(sample - value) > 0.05)


def test_with_more_seeds_than_patterns_can_be_counted_p_is_near_the_exact_one():
    sample = np.random.default_rng(1).normal(0.4, 1, size=30)
    expected = stats.permutation_test((sample,), np.mean, permutation_type="samples", n_resamples=60_000, rng=1).pvalue
    assert sign_flip.two_sided(sample) == pytest.approx(expected, abs=0.01)


def test_a_study_can_declare_the_sign_flip_test_and_five_seeds_find_nothing():
    base = [90.0, 90.2, 90.1, 90.3, 90.2, 90.4, 90.1, 90.0, 90.3, 90.2]
    worse = [86.0, 86.3, 85.9, 86.6, 86.1, 86.2, 10.0, 86.4, 86.0, 86.3]
    flips = {"test": "sign_flip"}
    found = row(study({"base": base, "a": worse}, analysis=flips), "a")
    assert ("sign flip", 2 / 2**10, "hurts") == (found.test, found.p, found.verdict), "t: p = 0.17"
    assert found.delta_ci_high < 0
    few = row(study({"base": base[:5], "a": worse[:5]}, analysis=flips), "a")
    assert (2 / 2**5, None, "inconclusive") == (few.p, few.delta_ci_low, few.verdict)
