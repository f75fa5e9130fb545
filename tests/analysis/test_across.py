"""Several settings: the formulas against hand-made numbers, published examples and other libraries; simulated errors."""

import math

import numpy as np
import pytest
from benchmarks import settings as simulation
from scipy import optimize, stats
from statsmodels.stats.oneway import anova_oneway

from ablate.analysis import across
from ablate.analysis.joined import squares
from ablate.analysis.settings import _no_mean

E = np.array([[1.0, 2.0, 6.0], [0.5, -0.5, 0.3]])
V = np.array([[0.1, 0.2, 9.0], [0.3, 0.2, 0.9]])
DF = np.full((2, 3), 2.0)


def test_the_mean_has_its_settings_variances_and_the_smaller_of_two_degrees_of_freedom():
    found = across.mean(E, V, DF)
    own = 9.3**2 / ((0.1**2 + 0.2**2 + 9.0**2) / 2)
    average = 5.35**2 / ((0.2**2 + 0.2**2 + 4.95**2) / 2)
    assert [3.0, 0.1] == pytest.approx(found.estimate.tolist())
    assert [math.sqrt(9.3) / 3, math.sqrt(1.4) / 3] == pytest.approx(found.se.tolist())
    assert min(own, average) == pytest.approx(found.df[0])
    assert average == pytest.approx(found.df[1]), "a row that is quiet in the loud setting by luck gets no more"
    half = stats.t.ppf(0.975, found.df) * found.se
    assert (found.estimate - half).tolist() == pytest.approx(found.ci_low.tolist())


def test_examples_make_no_interval_narrower_and_no_p_smaller():
    beyond = across.Beyond(np.full((2, 1), 0.5), np.full((2, 1), 0.1), np.array([99.0]))
    seeds, both = across.mean(E, V, DF), across.mean(E, V, DF, beyond)
    assert (both.p >= seeds.p).all()
    assert (both.ci_low <= seeds.ci_low).all()
    v = 1.4 / 9 + 0.4
    df = v**2 / ((1.4 / 9) ** 2 / seeds.df[1] + 0.4**2 / 99)
    assert stats.t.sf(0.1 / math.sqrt(v), df) * 2 == pytest.approx(both.p[1])


def test_what_several_settings_say_of_one_example_is_averaged_before_it_is_squared():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 50))
    names = tuple(f"i{k}" for k in range(50))
    scaled = [(b - b.mean()) / 50 * math.sqrt(50 / 49) for b in (one, other)]
    averaged = (one + other) / 2
    assert averaged.var(ddof=1) / 50 == pytest.approx(squares([(names, scaled[0]), (names, scaled[1])]) / 4)
    apart = squares([(names, scaled[0]), (tuple(f"j{k}" for k in range(50)), scaled[1])]) / 4
    assert (one.var(ddof=1) + other.var(ddof=1)) / 50 / 4 == pytest.approx(apart), "of different examples they add"


def test_settings_like_these_are_a_t_over_the_differences_and_need_five():
    e = np.array([[0.2, 0.5, -0.1, 0.4, 0.9]])
    found, expected = across.like_these(e), stats.ttest_1samp(e[0], 0)
    assert expected.pvalue == pytest.approx(found.p[0])
    assert list(expected.confidence_interval(0.95)) == pytest.approx([found.ci_low[0], found.ci_high[0]])
    reach = stats.t.ppf(0.975, 4) * e.std(ddof=1) * math.sqrt(1.2)
    assert e.mean() + reach == pytest.approx(found.next_high[0])
    assert np.isnan(across.like_these(e[:, :4]).p).all()


def test_tau_is_where_the_restricted_likelihood_is_largest():
    rng = np.random.default_rng(1)
    for v in (np.array([0.1, 0.5, 0.2, 1.0, 0.05]), np.full(5, 0.3)):
        e = rng.normal(size=5) * 1.5

        def minus(between, e=e, v=v):
            w = 1 / (v + between)
            centre = (w * e).sum() / w.sum()
            return 0.5 * (np.log(v + between).sum() + np.log(w.sum()) + (w * (e - centre) ** 2).sum())

        best = optimize.minimize_scalar(minus, bounds=(0, 20), method="bounded", options={"xatol": 1e-12}).x
        assert math.sqrt(best) == pytest.approx(float(across.tau(e[None], v[None])[0]), rel=1e-4)
    assert [0.0] == across.tau(np.array([[1.0, 1.1, 0.9]]), np.full((1, 3), 5.0)).tolist()


BCG = """
4 119 11 128  6 300 29 274  3 228 11 209  62 13536 248 12619  33 5036 47 5761  180 1361 372 1079  8 2537 10 619
505 87886 499 87892  29 7470 45 7232  17 1699 65 1600  186 50448 141 27197  5 2493 3 2338  27 16886 29 17825
"""
"""Tuberculosis with and without, of the vaccinated and of the others, in 13 trials: Colditz et al. 1994, JAMA 271:698."""


def test_reml_with_hartung_and_knapp_gives_what_metafor_prints_of_the_bcg_trials():
    """`rma(yi, vi, data=dat, test="knha")` of dat.bcg, in metafor's documentation (Viechtbauer 2010, JSS 36(3)).

    It stands for the nickel of 17 laboratories (IUPAC's guide to uncertainty 2023, example 4F: tau 0.0463, 2.0428, 2.0091
    to 2.0765), whose values were not to be had.
    """
    a, b, c, d = np.array(BCG.split(), dtype=float).reshape(-1, 4).T
    e, v = np.log(a / (a + b) / (c / (c + d)))[None], (1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))[None]
    found = across.reml(e, v)
    shown = [across.tau(e, v) ** 2, found.estimate, found.se, found.p, found.ci_low, found.ci_high]
    assert [0.3132, -0.7145, 0.1808, 0.0019, -1.1084, -0.3206] == [round(float(one[0]), 4) for one in shown]


def test_welchs_f_is_that_of_statsmodels_and_standardised_is_stouffers():
    rng = np.random.default_rng(2)
    groups = [rng.normal(size=5) * scale + shift for scale, shift in ((1, 0), (3, 1), (0.5, 2))]
    e = np.array([[g.mean() for g in groups]])
    v = np.array([[g.var(ddof=1) / 5 for g in groups]])
    expected = anova_oneway(groups, use_var="unequal", welch_correction=True)
    assert expected.pvalue == pytest.approx(float(across.welch_f(e, v, np.full((1, 3), 4.0))[0]))
    p = np.array([[0.03, 0.2, 0.6]])
    z, together = across.standardised(np.array([[1.0, 2.0, -0.1]]), p)
    one_sided = stats.combine_pvalues([0.015, 0.1, 0.7], method="stouffer")
    assert (one_sided.statistic, 2 * one_sided.pvalue) == pytest.approx((float(z[0]), float(together[0])))


def test_demsars_four_classifiers_on_fourteen_data_sets():
    """Demšar 2006, JMLR 7:1, from his mean ranks: chi² 9.28, F 3.69, and a critical difference of 1.25 at 0.05."""
    found = across.friedman(np.array([3.143, 2.000, 2.893, 1.964]), 14)
    assert ["9.28", "3.69"] == [f"{found.chi2:.2f}", f"{found.f:.2f}"]
    assert "1.25" == f"{across.critical_difference(4, 14):.2f}"
    values = np.array([[0.9, 0.8, 0.8], [0.5, 0.7, 0.6]])
    assert [stats.rankdata(-row).tolist() for row in values] == across.ranks(values, higher=True).tolist()


@pytest.mark.parametrize(("spread", "settings", "seeds"), [("one 10 x", 3, 3), ("lognormal", 5, 5), ("equal", 10, 3)])
def test_verdicts_over_settings_err_in_one_study_of_twenty(spread, settings, seeds):
    found = simulation.simulate(spread, settings, seeds, 1000)
    assert [] == list(simulation.broken(found, settings, seeds))


def test_settings_that_share_images_err_where_their_images_were_added_up():
    found = simulation.on_images(5, 3, 500, common=1.0)
    assert found.share("averaged").holds
    assert found.share("added").value > 0.2


@pytest.mark.parametrize("how", ["standardised", "reml"])
def test_what_takes_settings_for_independent_has_no_mean_where_they_share_examples(how):
    assert "settings that share examples are not independent" in _no_mean(how, {""}, sharing=True)
    assert ["", ""] == [_no_mean(how, {""}, sharing=False), _no_mean("mean", {""}, sharing=True)]


def test_ranks_find_less_than_the_mean_where_settings_are_few_and_as_much_where_they_are_many():
    few, many = across.found_by_ranks(3, 6, 5), across.found_by_ranks(20, 6, 5)
    assert few == pytest.approx((0.15, 0.79), abs=0.03)
    assert many == (1.0, 1.0)
    assert across.found_by_ranks(3, 2, 2)[1] == 0, "two seeds have no p of the mean"
