"""Two sources of error: the components against statsmodels and a published example, and the rule by which they judge."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.analysis import comparisons, components
from ablate.analysis.judge import by_both, by_t

PENICILLIN = """
27 23 26 23 23 21  27 23 26 23 23 21  25 21 25 24 24 20  26 23 25 23 23 20  25 22 26 22 23 20  24 22 25 23 22 19
24 20 23 21 22 19  26 22 26 24 24 21  24 21 24 22 22 20  24 21 24 23 22 19  26 23 26 24 24 21  25 22 26 24 24 20
26 24 26 24 25 22  26 23 26 23 23 20  26 23 25 24 24 22  25 22 25 23 23 20  25 21 24 23 23 20  25 22 24 23 23 19
24 21 23 21 21 19  26 23 26 24 24 21  25 21 24 22 22 18  25 22 25 22 22 20  24 21 24 22 24 19  24 21 24 22 21 18
"""
"""Diameters (mm) on 24 plates of 6 samples: Davies & Goldsmith 1972, Statistical Methods in Research and Production."""


def table(seeds, examples, seed=0):
    rng = np.random.default_rng(seed)
    shifts = rng.normal(size=(seeds, 1)) + 2 * rng.normal(size=examples)
    return 0.3 + shifts + rng.normal(size=(seeds, examples))


def long(values):
    i, j = np.indices(values.shape)
    return pd.DataFrame({"y": values.ravel(), "seed": i.ravel(), "example": j.ravel()})


def one(values):
    return np.array([float(values)])


def test_the_components_are_the_mean_squares_of_a_two_way_analysis_of_variance():
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    values = table(5, 30)
    ms = anova_lm(ols("y ~ C(seed) + C(example)", long(values)).fit())["sum_sq"] / [4, 29, 4 * 29]
    found = components.of_layout(values)
    assert (ms / values.size).tolist() == pytest.approx(
        [found.v_seeds[0], found.v_examples[0], found.v_noise[0]], rel=1e-10
    )


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ConvergenceWarning")  # gtol is below its reach
def test_where_all_are_positive_they_are_those_of_remls_mixed_model():
    import statsmodels.api as sm

    values = table(6, 12, seed=3)
    frame = long(values)
    model = sm.MixedLM.from_formula(
        "y ~ 1", frame, groups=np.ones(len(frame)), re_formula="0",
        vc_formula={"seed": "0 + C(seed)", "example": "0 + C(example)"},
    )  # fmt: skip
    fitted = model.fit(reml=True, method="bfgs", gtol=1e-10)
    found = components.of_layout(values)
    spread = components.spreads(found.v_seeds, np.array([5.0]), found)
    named = dict(zip(model.exog_vc.names, fitted.vcomp, strict=True))
    assert [named["seed"], named["example"], fitted.scale] == pytest.approx(
        [spread.per_seed[0], spread.per_example[0], spread.per_cell[0]], rel=1e-6
    )


def test_the_penicillin_assay_comes_out_as_printed():
    """Bates et al. 2015, Journal of Statistical Software 67(1), and the lme4 book: REML of the same balanced layout."""
    values = np.array(PENICILLIN.split(), dtype=float).reshape(24, 6)
    found = components.of_layout(values)
    spread = components.spreads(found.v_seeds, np.array([23.0]), found)
    v, _ = components.both(found.v_seeds, np.array([23.0]), found)
    printed = [values.mean(), np.sqrt(v[0]), spread.per_seed[0], spread.per_example[0], spread.per_cell[0]]
    assert [22.9722, 0.8086, 0.7169, 3.7309, 0.3024] == [round(float(x), 4) for x in printed]


def judged(values, margin=None):
    row = values.mean(axis=1)[None]
    tested = comparisons.compare(row, np.zeros_like(row))
    here = by_t(tested, 0.05, margin)
    return tested, here, by_both(here, tested, components.of_layout(values), 0.05, margin)


def test_p_is_the_largest_of_three_and_the_interval_the_widest():
    values = table(4, 25, seed=5)
    tested, here, beyond = judged(values, margin=1.0)
    parts, c = components.of_layout(values), values.mean()
    v, df = components.both(tested.se**2, tested.df, parts)
    sources = [(tested.se[0], 3), (np.sqrt(parts.v_examples[0]), 24), (np.sqrt(v[0]), df[0])]
    assert beyond.p[0] == pytest.approx(max(2 * stats.t.sf(abs(c) / se, d) for se, d in sources))
    assert beyond.ci_high[0] - c == pytest.approx(max(stats.t.ppf(0.975, d) * se for se, d in sources))
    assert beyond.within_high[0] - c == pytest.approx(max(stats.t.ppf(0.95, d) * se for se, d in sources))
    assert beyond.p_equivalent[0] == pytest.approx(max(stats.t.sf((1.0 - abs(c)) / se, d) for se, d in sources))
    assert components.half_width(tested.se**2, tested.df, parts)[0] == pytest.approx(beyond.ci_high[0] - c)
    assert here.p[0] < beyond.p[0]


def test_predictions_at_the_numbers_that_there_are_give_the_interval_that_there_is():
    values = table(4, 25, seed=5)
    tested, _, beyond = judged(values)
    parts = components.of_layout(values)
    spread = components.spreads(tested.se**2, tested.df, parts)
    assert spread.half_width(4.0, 25.0)[0] == pytest.approx(beyond.ci_high[0] - tested.estimate[0])
    assert spread.half_width(1e9, 25.0)[0] == pytest.approx(spread.floor(25.0)[0])


def test_more_seeds_are_advised_where_seeds_decide_and_more_examples_where_these_do():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(5, 200))
    over_seeds = noise + 3 * rng.normal(size=(5, 1))
    over_examples = noise + 20 * rng.normal(size=200)
    for values, expected in ((over_seeds, "seeds"), (over_examples, "examples")):
        parts = components.of_layout(values)
        spread = components.spreads(parts.v_seeds, np.array([4.0]), parts)
        assert [expected] == components.advice(spread, parts)[2]


def test_a_group_is_one_draw_and_groups_of_one_are_the_examples_themselves():
    values = table(3, 40, seed=8)
    twice = np.repeat(values, 3, axis=1)
    grouped = components.by_groups(twice, np.repeat(np.arange(40), 3))
    assert grouped == pytest.approx(values)
    assert components.by_groups(values, np.arange(40)) == pytest.approx(values)
    uneven = np.minimum(np.arange(40), 24)  # the last group holds sixteen
    assert components.by_groups(values, uneven).mean() == pytest.approx(values.mean())


def test_sides_without_a_shared_seed_add_their_seeds_and_keep_their_examples_paired():
    rng = np.random.default_rng(2)
    hard = 10 * rng.normal(size=50)
    row, reference = hard + rng.normal(size=(4, 50)), hard + rng.normal(size=(5, 50))
    found = components.of_two(row, reference)
    alone = components.of_layout(row).v_seeds + components.of_layout(reference).v_seeds
    assert found.v_seeds[0] == pytest.approx(alone[0])
    assert found.v_examples[0] < 0.1 * components.of_layout(row).v_examples[0]


def test_one_seed_has_an_interval_over_examples_only_where_ten_of_them_differ():
    rng = np.random.default_rng(4)
    difference = np.zeros((1, 100))
    difference[0, :12] = rng.choice([-100.0, 100.0], 12)
    low, high = components.these_weights(one(difference.mean()), components.of_layout(difference))
    half = stats.t.ppf(0.975, 99) * difference.std(ddof=1) / 10
    assert [difference.mean() - half, difference.mean() + half] == pytest.approx([low[0], high[0]])
    difference[0, 9:] = 0
    assert np.isnan(components.these_weights(one(difference.mean()), components.of_layout(difference))[0][0])
