"""Scores on one scale, against the definitions of rliable (Agarwal et al. 2021) written out over the same resamples."""

import numpy as np
import pytest
from scipy import stats

from ablate.analysis import scores

RNG = np.random.default_rng(7)
MEANS = (0.2, 0.9, 0.5, 1.3)
X = RNG.normal(MEANS, 0.3, size=(5, 4))
Y = np.round(RNG.normal(MEANS, 0.3, size=(6, 4)), 1)
X[0] = np.round(X[0], 1)  # so that some are equal
X[1, 2] = Y[3, 2]


def each(runs):
    return [runs[:, task] for task in range(runs.shape[1])]


RLIABLE = {
    "iqm": lambda runs: stats.trim_mean(runs, proportiontocut=0.25, axis=None),
    "median": lambda runs: np.median(np.mean(runs, axis=0)),
    "mean": lambda runs: np.mean(np.mean(runs, axis=0)),
    "optimality_gap": lambda runs: 1.0 - np.mean(np.minimum(runs, 1.0)),
}
"""rliable.metrics, of scores (runs, tasks)."""


def improvement(x, y):
    """rliable.metrics.probability_of_improvement."""
    by_task = []
    for task in range(x.shape[1]):
        u, _ = stats.mannwhitneyu(x[:, task], y[:, task], alternative="greater")
        by_task.append(u / (len(x) * len(y)))
    return np.mean(by_task)


def resampled(runs, side, count):
    """The resamples of a side, as arrays (runs, tasks): in each task the places that ours draw."""
    rng = np.random.default_rng([scores.SEED, side])
    drawn = [rng.integers(len(runs), size=(count, len(runs))) for _ in range(runs.shape[1])]
    return [np.stack([runs[at[k], task] for task, at in enumerate(drawn)], axis=1) for k in range(count)]


@pytest.mark.parametrize("name", RLIABLE)
def test_an_aggregate_and_its_interval_are_rliables(name):
    assert RLIABLE[name](X) == pytest.approx(float(scores.AGGREGATES[name](each(X))), abs=1e-12)
    found = scores.interval(scores.AGGREGATES[name], each(X), resamples=200)
    expected = np.percentile([RLIABLE[name](runs) for runs in resampled(X, 0, 200)], [2.5, 97.5])
    assert expected.tolist() == pytest.approx([float(end) for end in found], abs=1e-12)


def test_the_probability_of_improvement_and_its_interval_are_rliables():
    assert improvement(X, Y) == pytest.approx(float(scores.improvement(each(X), each(Y))), abs=1e-12)
    found = scores.interval(scores.improvement, each(X), each(Y), resamples=100)
    pairs = zip(resampled(X, 0, 100), resampled(Y, 1, 100), strict=True)
    expected = np.percentile([improvement(x, y) for x, y in pairs], [2.5, 97.5])
    assert expected.tolist() == pytest.approx([float(end) for end in found], abs=1e-12)


def test_a_profile_is_the_share_of_runs_above_each_score():
    tau = np.array([0.0, 0.5, 1.0, X[0, 0]])
    assert [np.mean(at < X) for at in tau] == scores.profile(each(X), tau).tolist()


def test_pieces_that_fit_into_memory_come_to_about_the_same_interval(monkeypatch):
    whole = scores.interval(scores.iqm, each(X), resamples=4000)
    monkeypatch.setattr(scores, "AT_ONCE", 20 * 300)
    assert [float(end) for end in scores.interval(scores.iqm, each(X), resamples=4000)] == pytest.approx(
        [float(end) for end in whole], abs=0.03
    )


def test_two_seeds_in_a_setting_have_no_interval():
    assert scores.interval(scores.iqm, [X[:2, 0], X[:, 1]]) is None
