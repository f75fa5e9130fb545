"""Published factorials to their printed digits, brute force as oracle, and refusals of what cannot be estimated."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from ablate.analysis import comparisons, factorial
from ablate.analysis.comparisons import compare
from ablate.analysis.crossed import Factor, layout, missing

NAN = math.nan


def standard_order(k):
    """The cells of a 2^k factorial, the first factor changing fastest."""
    return np.array([[i >> j & 1 for j in range(k)] for i in range(1 << k)], dtype=np.int64)


def estimated(cells, values, names="abcdefgh"):
    cells = np.asarray(cells)
    design = layout([Factor(name) for name in names[: cells.shape[1]]], cells)
    return factorial.estimate(design, comparisons.fit(np.asarray(values, float).reshape(len(cells), -1)))


def by_name(terms):
    return {"".join(term.tricks): term for term in terms}


def estimates(found, digits=6):
    return {name: round(t.estimate, digits) for name, t in by_name([*found.effects, *found.interactions]).items()}


# ------------------------------------------------------------------------------------------------------------ published

# Montgomery, Design and Analysis of Experiments, 8th ed., table 6.10: filtration rate of a 2^4 experiment, one run per
# cell, in standard order; the effects are those of table 6.12.
FILTRATION = [45, 71, 48, 65, 68, 60, 80, 65, 43, 100, 45, 104, 75, 86, 70, 96]


def test_montgomerys_filtration_rate_effects():
    expected = {
        "a": 21.625, "b": 3.125, "c": 9.875, "d": 14.625, "ab": 0.125, "ac": -18.125, "ad": 16.625, "bc": 2.375,
        "bd": -0.375, "cd": -1.125,
    }  # fmt: skip
    assert expected == estimates(estimated(standard_order(4), FILTRATION))


def test_montgomerys_filtration_rate_by_lenths_method():
    # Section 6.5: PSE = 2.625; the limit of 15 contrasts is 2.16 (Ye and Hamada 2000), not t's 2.571.
    found = estimated(standard_order(4), FILTRATION)
    assert "lenth" == found.method
    a = by_name(found.effects)["a"]
    assert 2.625 == a.se
    assert 2.16 == round((a.ci_high - a.estimate) / 2.625, 2)
    significant = {"".join(t.tricks) for t in [*found.effects, *found.interactions] if t.p < 0.05}
    assert {"a", "c", "d", "ac", "ad"} == significant


def test_lenths_contrasts_are_all_fifteen_of_the_filtration_rate():
    cells = standard_order(4)
    design = layout([Factor(n) for n in "abcd"], cells)
    found = factorial.all_contrasts(design, np.array(FILTRATION, float))
    expected = [21.625, 3.125, 9.875, 14.625, 0.125, -18.125, 16.625, 2.375, -0.375, -1.125, 1.875, 4.125, -1.625]
    expected += [-2.625, 1.375]  # table 6.12: ABC, ABD, ACD, BCD, ABCD
    assert sorted(map(abs, expected)) == sorted(np.abs(found).tolist())


# Montgomery section 6.2: yield of a chemical process, a 2^2 in three replicates; table 7.1 runs them as three blocks.
YIELD = [[28, 25, 27], [36, 32, 32], [18, 19, 23], [31, 30, 29]]


def printed_f(terms, mean_square):
    """F as the book prints it: of the error's mean square after rounding. Twelve runs: a sum of squares is 3 effect^2."""
    return {name: round(3 * term.estimate**2 / mean_square, 2) for name, term in terms.items()}


def test_montgomerys_chemical_process_as_a_blocked_factorial():
    # Section 7.2: error mean square 4.14 on 6 df; F = 50.32 (P 0.0004), 18.12 (P 0.0053), 2.01 (P 0.2060).
    found = estimated(standard_order(2), YIELD)
    assert {"a": 8.33, "b": -5.0, "ab": 1.67} == estimates(found, 2)
    assert 6 == found.df
    terms = by_name([*found.effects, *found.interactions])
    assert {"a": 50.32, "b": 18.12, "ab": 2.01} == printed_f(terms, 4.14)
    assert (0.0004, 0.0053) == (round(terms["a"].p, 4), round(terms["b"].p, 4))
    assert 0.206 == round(terms["ab"].p, 3), "printed with a fourth digit that is of the rounded F"
    assert 4.14 == round(comparisons.fit(np.array(YIELD, float)).mse, 2)


def test_montgomerys_chemical_process_without_blocks():
    # Table 6.1: error mean square 3.92 on 8 df; F = 53.15 (P 0.0001), 19.13 (P 0.0024), 2.13 (P 0.1826).
    unshared = np.full((4, 12), NAN)
    for cell, row in enumerate(YIELD):
        unshared[cell, 3 * cell : 3 * cell + 3] = row
    found = estimated(standard_order(2), unshared)
    assert 8 == found.df
    terms = by_name([*found.effects, *found.interactions])
    assert 3.92 == round(comparisons.fit(unshared).mse, 2)
    assert {"a": 53.15, "b": 19.13, "ab": 2.13} == printed_f(terms, 3.92)
    assert (0.0001, 0.0024) == (round(terms["a"].p, 4), round(terms["b"].p, 4))
    assert 0.183 == round(terms["ab"].p, 3), "printed with a fourth digit that is of the rounded F"


def test_each_term_is_tested_by_its_own_values_one_of_each_seed():
    values = np.array(YIELD, float)
    design = layout([Factor(n) for n in "ab"], standard_order(2))
    found = factorial.estimate(design, comparisons.fit(values), factorial.shared_by_all(values))
    per_block = (values[1] + values[3] - values[0] - values[2]) / 2
    expected = stats.ttest_1samp(per_block, 0)
    a = by_name(found.effects)["a"]
    assert ("own", 2) == (found.method, found.df)
    assert (a.estimate, a.p) == pytest.approx((per_block.mean(), expected.pvalue))
    assert a.ci_low == pytest.approx(expected.confidence_interval().low)
    share = factorial.shapley(design, comparisons.fit(values), values)[0]
    assert (share.value, share.se) == pytest.approx((per_block.mean(), stats.sem(per_block)))


def test_a_seed_that_one_cell_lacks_is_in_no_term_and_too_few_leave_one_pooled_error():
    values = np.array([[1.0, 2, 3, NAN], [2, 4, 3, 9]])
    assert [[1, 2, 3], [2, 4, 3]] == factorial.shared_by_all(values).tolist()
    assert factorial.shared_by_all(values[:, 1:]) is None


def test_seven_contrasts_have_the_published_limit_and_three_can_show_nothing():
    assert 2.30 == round(estimated(standard_order(3), [1, 2, 4, 3, 9, 7, 8, 6]).limit, 2)
    few = estimated(standard_order(2), [1, 2, 3, 50])
    assert ("few", None, None) == (few.method, few.effects[0].p, few.effects[0].ci_low)


def test_montgomerys_half_fraction_of_the_filtration_rate_with_its_aliases():
    # Example 8.1: I = ABCD; [A] = 19.00, [B] = 1.50, [C] = 14.00, [D] = 16.50, [AB] = -1.00, [AC] = -18.50, [AD] = 19.00
    cells = standard_order(4)
    half = cells.sum(axis=1) % 2 == 0
    found = estimated(cells[half], np.array(FILTRATION)[half])
    expected = {"a": 19.0, "b": 1.5, "c": 14.0, "d": 16.5, "ab": -1.0, "ac": -18.5, "ad": 19.0}
    assert expected == estimates(found)
    aliases = {"".join(t.tricks): [(s, "".join(n)) for s, n in t.aliases] for t in found.interactions}
    assert {"ab": [(1, "cd")], "ac": [(1, "bd")], "ad": [(1, "bc")]} == aliases
    assert () == found.confounded


def test_benjamini_and_hochbergs_own_example():
    # Benjamini and Hochberg 1995, section 3.2 (15 hypotheses on myocardial infarction): the first four are rejected.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590]
    adjusted = factorial.benjamini_hochberg(np.array([*p, 1.0]))
    assert 4 == (adjusted <= 0.05).sum()
    assert [0.0015, 0.003, 0.0095, 0.035625] == pytest.approx(adjusted[:4].tolist())


def test_shapleys_value_of_the_glove_game():
    # One left glove, two right ones; a pair is worth 1: 2/3, 1/6, 1/6 (Shapley and Shubik's market; Osborne and
    # Rubinstein 1994, A Course in Game Theory, section 14.4).
    worth = np.array([float(bool(c & 1) and bool(c & 6)) for c in range(8)])
    assert [2 / 3, 1 / 6, 1 / 6] == pytest.approx((factorial.shapley_weights(3) @ worth).tolist())


# -------------------------------------------------------------------------------------------------------------- oracles


@given(st.integers(1, 5).flatmap(lambda k: st.lists(st.floats(-100, 100), min_size=2**k, max_size=2**k)))
def test_shapley_values_are_the_mean_over_all_orders_and_sum_to_full_minus_base(worth):
    k = int(math.log2(len(worth)))
    totals = [0.0] * k
    for order in itertools.permutations(range(k)):
        inside = 0
        for player in order:
            totals[player] += worth[inside | 1 << player] - worth[inside]
            inside |= 1 << player
    found = factorial.shapley_weights(k) @ np.array(worth)
    assert found.tolist() == pytest.approx([t / math.factorial(k) for t in totals], abs=1e-9)
    assert found.sum() == pytest.approx(worth[-1] - worth[0], abs=1e-9)


def test_shapley_standard_errors_are_those_of_the_means_they_are_made_of():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(8, 5))
    design = layout([Factor(n) for n in "abc"], standard_order(3))
    found = factorial.shapley(design, comparisons.fit(values))
    mse = comparisons.fit(values).mse
    for share, weights in zip(found, factorial.shapley_weights(3), strict=True):
        assert share.se == pytest.approx(math.sqrt(mse / 5 * (weights**2).sum()))
    assert sum(s.value for s in found) == pytest.approx(values[7].mean() - values[0].mean())


def test_a_shapley_value_without_replicates_has_no_standard_error():
    design = layout([Factor(n) for n in "ab"], standard_order(2))
    assert [None, None] == [s.se for s in factorial.shapley(design, comparisons.fit(np.array([[1.0], [2], [3], [5]])))]


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 4))
def test_benjamini_hochberg_agrees_with_statsmodels_where_untested_members_count_as_p_1(p, untested):
    adjusted = factorial.benjamini_hochberg(np.array(p + [NAN] * untested), len(p) + untested)
    expected = multipletests(p + [1.0] * untested, method="fdr_bh")[1][: len(p)]
    assert adjusted[: len(p)].tolist() == pytest.approx(expected.tolist())
    assert np.isnan(adjusted[len(p) :]).all()


def least_squares(values):
    """Cell means, error mean square, df and the covariance of cells' means, by brute force over a design matrix."""
    cells, seeds = values.shape
    at = np.argwhere(np.isfinite(values))
    x = np.zeros((len(at), cells + seeds))
    x[np.arange(len(at)), at[:, 0]] = 1
    x[np.arange(len(at)), cells + at[:, 1]] = 1
    y = values[at[:, 0], at[:, 1]]
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    df = len(at) - np.linalg.matrix_rank(x)
    return beta[:cells], ((y - x @ beta) ** 2).sum() / df, df, np.linalg.pinv(x.T @ x)[:cells, :cells]


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(3, 6))
def test_with_missing_runs_contrasts_agree_with_plain_least_squares(seed, cells, seeds):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(cells, seeds)) + rng.normal(size=seeds)
    gone = rng.choice(cells, size=min(cells, seeds) - 1, replace=False)
    values[gone, np.arange(len(gone))] = NAN
    values[:, -1] = rng.normal(size=cells)  # one seed is whole, so that all cells are connected
    found = comparisons.fit(values)
    mean, mse, df, covariance = least_squares(values)
    assert found.connected
    assert (found.df, found.mse) == (df, pytest.approx(mse))
    weights = np.array([[1.0, -1.0] + [0.0] * (cells - 2)])
    assert (weights @ found.mean)[0] == pytest.approx((weights @ mean)[0])
    assert found.se(weights)[0] == pytest.approx(math.sqrt(mse * (weights @ covariance @ weights.T)[0, 0]))


def test_an_effect_of_one_trick_alone_is_the_paired_t_test():
    base, on = np.array([[1.0, 2.0, 4.0]]), np.array([[2.0, 2.5, 6.0]])
    paired = compare(on, base)
    (effect,) = estimated([[0], [1]], np.vstack([base, on])).effects
    assert (effect.estimate, effect.se, effect.p) == pytest.approx((paired.estimate[0], paired.se[0], paired.p[0]))


def test_summaries_of_papers_give_what_their_runs_give():
    values = np.array(YIELD, float)
    unshared = np.full((4, 12), NAN)
    for cell, row in enumerate(values):
        unshared[cell, 3 * cell : 3 * cell + 3] = row
    one = comparisons.fit(unshared)
    other = comparisons.from_summaries(values.mean(axis=1), values.std(axis=1, ddof=1), np.array([3] * 4))
    assert (one.mse, one.df) == (pytest.approx(other.mse), other.df)
    weights = np.array([[1.0, -1, 0, 0]])
    assert one.se(weights) == pytest.approx(other.se(weights))


# --------------------------------------------------------------------------------------------------------------- layout


def test_levels_are_each_compared_with_off():
    factors = [Factor("a"), Factor("opt", ("x", "y"))]
    cells = np.array([[a, o] for o in (0, 1, 2) for a in (0, 1)])
    design = layout(factors, cells)
    found = factorial.estimate(design, comparisons.fit(np.array([[0.0], [1], [10], [13], [20], [25]])))
    assert {("a",): 3.0, ("opt=x",): 11.0, ("opt=y",): 22.0} == pytest.approx(
        {t.tricks: t.estimate for t in found.effects}
    )
    assert {("a", "opt=x"): 1.0, ("a", "opt=y"): 2.0} == pytest.approx(
        {t.tricks: t.estimate for t in found.interactions}
    )
    assert "none" == found.method, "three levels have no orthogonal contrasts for Lenth"


def test_a_leave_one_out_of_three_tricks_is_no_factorial_and_what_is_missing_is_named():
    cells = np.array([[1, 1, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]])
    factors = [Factor(n) for n in "abc"]
    assert layout(factors, cells) is None
    assert [("a",), ("b",), ("c",)] == missing(factors, cells)


def test_a_resolution_3_fraction_says_that_interactions_are_lost_to_effects():
    cells = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 1]])  # c = a*b
    found = estimated(cells, [1, 2, 3, 5])
    assert ["a", "b", "c"] == ["".join(t.tricks) for t in found.effects]
    assert () == found.interactions
    assert ((1, ("b", "c")),) == found.effects[0].aliases
    assert ["a × b (with c)", "a × c (with b)", "b × c (with a)"] == sorted(found.confounded)


def test_the_other_half_turns_the_signs_of_its_aliases():
    cells = np.array([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]])  # c = -a*b
    assert ((-1, ("b", "c")),) == estimated(cells, [1, 2, 3, 5]).effects[0].aliases


def test_tricks_that_always_come_together_cannot_be_told_apart():
    cells = np.array([[0, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]])
    found = estimated(cells, [1, 2, 3, 5])
    assert ["c"] == ["".join(t.tricks) for t in found.effects]
    assert "a and b (with each other)" in found.confounded


def test_a_trick_that_is_always_on_is_no_factor():
    design = layout([Factor("a"), Factor("b")], np.array([[0, 1], [1, 1]]))
    assert ("a",) == design.tricks


def test_two_variants_of_equal_tricks_are_no_factorial():
    assert layout([Factor("a")], np.array([[0], [1], [1]])) is None


@settings(max_examples=30)  # the first one simulates limits
@given(st.integers(0, 1000), st.integers(2, 5))
def test_the_order_of_the_cells_changes_nothing(seed, k):
    rng = np.random.default_rng(seed)
    cells, values = standard_order(k), rng.normal(size=(2**k, 1))
    order = rng.permutation(2**k)
    one, other = estimated(cells, values), estimated(cells[order], values[order])
    for a, b in zip(one.effects + one.interactions, other.effects + other.interactions, strict=True):
        assert (a.tricks, a.estimate, a.se) == (b.tricks, pytest.approx(b.estimate), b.se and pytest.approx(b.se))


@pytest.mark.parametrize("value", [5.0, 0.1])
def test_values_without_any_noise_have_estimates_and_no_p(value):
    found = estimated(standard_order(2), [[value] * 3, [value + 1] * 3, [value] * 3, [value + 1] * 3])
    assert (1.0, None, None) == (round(found.effects[0].estimate, 9), found.effects[0].p, found.effects[0].ci_low)


def test_a_sign_depends_on_context_only_where_both_signs_survive_correction_over_the_contexts():
    assert "depends" == factorial.context([(1, 0.001), (-1, 0.002), (0.5, 0.8)])
    assert "differs" == factorial.context([(1, 0.001), (-1, 0.03), (0.5, 0.8)])
    assert "same" == factorial.context([(1, None), (2, 0.001)])
    assert "" == factorial.context([(1, 0.001)])
