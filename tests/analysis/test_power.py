"""Power against published tables and statsmodels; what a budget buys; the two options of `ablate plan`."""

import json
import math

import called
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from ablate.analysis import across, power
from ablate.analysis.across import Beyond
from ablate.analysis.power import Proposal

# -------------------------------------------------------------------------------------------------------------- numbers


def test_power_as_published():
    # Cohen 1988, table 2.3.5 gives .48 for two groups; for one sample of n = 50, d = 0.4: 0.7918 (G*Power 3.1 manual's
    # t tests; R: power.t.test(n = 50, delta = 0.4, type = "one.sample")).
    found = power.power(np.array(0.4), np.array(50.0), np.array(49.0))
    assert found == pytest.approx(TTestPower().power(0.4, 50, 0.05), abs=1e-9)
    assert 0.79 == round(float(found), 2)


def test_the_smallest_visible_effect_of_ten_pairs():
    # R: power.t.test(n = 10, power = 0.8, type = "paired") prints delta = 0.9962 (strict = TRUE).
    assert 0.9960 == round(power.visible_effect(10), 4)


@settings(max_examples=40)
@given(st.integers(3, 200), st.integers(1, 50))
def test_the_smallest_visible_effect_has_the_power_and_a_smaller_one_has_not(n, family):
    alpha = 0.05 / family
    effect = power.visible_effect(n, alpha)
    reached = [
        float(power.power(np.array(e), np.array(float(n)), np.array(n - 1.0), alpha)) for e in (effect, 0.99 * effect)
    ]
    assert reached[0] >= 0.80 > reached[1]


def test_two_seeds_show_nothing():
    assert math.inf == power.visible_effect(2)


@settings(max_examples=60)
@given(st.floats(0.1, 500), st.integers(1, 1000))
def test_seeds_needed_is_the_first_n_with_the_power_at_any_level(effect, family):
    alpha = 0.05 / family
    n = float(power.seeds_needed(np.array([effect]), alpha=alpha)[0])
    if math.isinf(n):
        return
    assert power.power(np.array(effect), np.array(n), np.array(n - 1), alpha) >= 0.80
    if n > 2:
        assert power.power(np.array(effect), np.array(n - 1), np.array(n - 2), alpha) < 0.80


def test_a_huge_effect_has_power_one_and_an_unknown_one_none():
    found = power.power(np.array([1e6, math.nan]), np.array([5.0, 5.0]), np.array([4.0, 4.0]))
    assert 1.0 == found[0]
    assert math.isnan(found[1])


def test_a_standard_deviations_upper_limit_covers_four_of_five_samples():
    samples = np.random.default_rng(5).normal(size=(20_000, 4))
    upper = power.upper_std(samples.std(axis=1, ddof=1), np.full(20_000, 3.0))
    assert 0.79 <= (upper > 1).mean() <= 0.81
    assert upper[0] == pytest.approx(samples[0].std(ddof=1) * math.sqrt(3 / stats.chi2.ppf(0.2, 3)))


# ------------------------------------------------------------------------------------------------------ before spending


def test_a_comparison_without_a_spread_takes_the_median_of_the_others():
    found = power.visible([("a", "base", 1.0, 5), ("b", "base", 3.0, 5), ("c", "base", None, 0)], 10, 1.0)
    assert [1.0, 3.0, 2.0] == [row.std for row in found]
    assert [5, 5, 0] == [row.pairs for row in found]
    assert found[0].alone == pytest.approx(0.996, abs=1e-3)
    assert found[0].corrected > found[0].alone
    assert 10 == found[0].seeds == math.ceil(TTestPower().solve_power(1.0, power=0.8, alpha=0.05))
    assert found[0].seeds_corrected == math.ceil(TTestPower().solve_power(1.0, power=0.8, alpha=0.05 / 3))


def test_nothing_is_said_without_any_spread_and_no_verdict_comes_from_two_seeds():
    assert [] == power.visible([("a", "base", None, 0)], 10, 1.0)
    assert 3 == power.visible([("a", "base", 0.001, 5)], 10, 100.0)[0].seeds


@pytest.mark.parametrize("spreads", [(1.0, 1.0), (0.3, 1.0, 3.0)])
@pytest.mark.parametrize("on_examples", [False, True])
def test_a_mean_over_settings_finds_what_is_visible_in_four_studies_of_five(spreads, on_examples):
    rows, n, studies, rng = 4, 3, 4000, np.random.default_rng(5)
    std = np.tile(spreads, (rows, 1))
    noise, add, df = 0.2, 0.1, 399.0
    further = power.Further(np.full(rows, add), np.full(rows, noise), np.full(rows, df)) if on_examples else None
    effect = power.visible_mean(std, n, 0.05 / rows, further)

    runs = rng.normal(size=(n, studies, *std.shape)) * std
    beyond = Beyond(
        np.full((studies, rows, 1), add + noise / n), np.full((studies, rows, 1), noise / n), np.array([df])
    )
    other = rng.normal(size=(studies, rows, 1)) * np.sqrt(add) if on_examples else 0.0
    means, v = runs.mean(axis=0) + other + effect[:, None], runs.var(axis=0, ddof=1) / n
    found = across.mean(means, v, np.full(v.shape, n - 1.0), beyond if on_examples else None).p < 0.05 / rows
    assert found.mean() == pytest.approx(0.80, abs=0.015)


def test_the_seeds_of_a_mean_over_settings_are_the_first_that_show_the_effect():
    std = np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 4.0]])
    seeds = power.mean_seeds(0.5, std, 0.05)
    assert (power.visible_mean(std, seeds, 0.05) <= 0.5).all()
    assert (power.visible_mean(std, seeds - 1, 0.05) > 0.5).all()
    assert math.ceil((2.8 / 0.5) ** 2 / 3) <= seeds[0] <= 3 + math.ceil((2.8 / 0.5) ** 2 / 3)
    assert np.isinf(power.mean_seeds(0.001, std, 0.05)).all()


def test_a_budget_buys_whole_seeds_of_every_variant():
    designs = {"own": ["base", "a", "b"], "one": ["base"]}
    found = power.proposals(designs, {"base": 10.0, "a": 20.0}, workers=2, budget_s=60)
    # base 10 + a 20 + b 15 (the median) = 45 s a seed on two workers; the third seed of a ends after 65 s.
    assert [Proposal("own", 3, 2, 45.0), Proposal("one", 1, 12, 60.0)] == found
    assert "one" == power.proposed(found).design, "two seeds give no interval"
    assert "own" == power.proposed(power.proposals(designs, {"base": 10.0}, 2, 60)).design
    assert None is power.proposed(power.proposals(designs, {"base": 100.0}, 2, 60))


def test_seeds_of_one_variant_run_side_by_side_and_a_run_is_whole():
    hours = {"base": 3600.0, "a": 3600.0}
    for budget_h, seeds in ((3, 96), (1.5, 32)):
        (own,) = power.proposals({"own": ["base", "a"]}, hours, workers=64, budget_s=budget_h * 3600)
        assert (seeds, int(budget_h) * 3600.0) == (own.seeds, own.seconds)


TASK = """
def train(config, run):
    return {"score": config["x"] + config["y"] + run.seed_for("n", config["x"], config["y"]) % 1000 / 1000}
"""
STUDY = """# Which?
task: t:train
base: {x: 0, y: 0}
tricks: {a: {set: {x: 1}}, b: {set: {y: 1}}}
seeds: 3
metric: {name: score, better: higher, minimum_effect: 0.5}
"""


def ablate(folder, *words):
    return called.ablate(folder, *words)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "t.py").write_text(TASK)
    (tmp_path / "s.yaml").write_text(STUDY)
    return tmp_path


def test_without_results_plan_says_to_run_a_pilot_and_takes_a_given_spread(folder):
    for option in (["--power"], ["--budget", "1h"]):
        done = ablate(folder, "plan", "s.yaml", *option)
        assert 2 == done.returncode
        assert "ablate run ..." in done.stderr
    done = ablate(folder, "plan", "s.yaml", "--power", "--sd", "0.5", "--format", "json")
    rows = json.loads(done.stdout)["power"]
    assert ["base+b", "base+a", "base"] == [row["variant"] for row in rows]
    assert {10} == {row["seeds"] for row in rows}
    assert not (folder / "results").exists(), "a plan leaves no database behind"


@pytest.mark.slow
def test_a_pilot_tells_what_more_seeds_show_and_what_fits(folder):
    assert 0 == ablate(folder, "run", "s.yaml").returncode
    done = ablate(folder, "plan", "s.yaml", "--set", "seeds=8", "--power", "--budget", "1h", "--format", "json")
    found = json.loads(done.stdout)
    assert {3} == {row["pairs"] for row in found["power"]}
    assert all(row["alone"] < row["corrected"] for row in found["power"])
    assert "leave_one_out" == found["budget"][0]["design"]
    assert found["budget"][0]["proposed"]
    text = ablate(folder, "plan", "s.yaml", "--power", "--budget", "1h").stdout
    assert "Proposed: ablate run s.yaml --set seeds=" in text
    done = ablate(folder, "plan", "s.yaml", "--budget", "soon")
    assert (2, True) == (done.returncode, "--budget is 'soon'; it must be a time above 0" in done.stderr)


@pytest.mark.slow
def test_power_over_settings_goes_by_each_settings_own_examples_and_family(tmp_path):
    (tmp_path / "t.py").write_text("""
import numpy as np
def train(config, run):
    rng = np.random.default_rng(run.seed_for("n", config["x"], config["y"]))
    correct = rng.random(80) < np.linspace(0.2, 0.9, 80) + 0.1 * config["x"]
    run.examples(ids=[f"{config['of']}{i}" for i in range(80)], correct=correct)
    return {"score": 100 * correct.mean()}
""")
    base = STUDY.replace("base: {x: 0, y: 0}", "base: {x: 0, y: 0, of: a}\nacross: {one: {}, other: {of: b}}")
    (tmp_path / "s.yaml").write_text(base)
    assert 0 == ablate(tmp_path, "run", "s.yaml").returncode
    rows = json.loads(ablate(tmp_path, "plan", "s.yaml", "--power", "--format", "json").stdout)["power"]
    means = [row for row in rows if not row["compared_with"]]
    assert (9, ["mean: - a", "mean: - b", "mean: base"]) == (len(rows), [row["variant"] for row in means])
    assert all(row["floor"] is not None for row in rows)
    ends = {"mean: - a": "/base+b", "mean: - b": "/base+a", "mean: base": "/base"}
    for mean in means:
        of = [row for row in rows if row["compared_with"] and row["variant"].endswith(ends[mean["variant"]])]
        assert mean["floor"] <= max(row["floor"] for row in of)
        assert mean["corrected"] < max(row["corrected"] for row in of)
    text = ablate(tmp_path, "plan", "s.yaml", "--power").stdout
    assert "at 0.05 / 3, the first of the 3 comparisons of a setting" in text
    assert "speaks of other examples, too" in text
