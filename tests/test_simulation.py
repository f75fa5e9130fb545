"""The promises about error rates on simulated studies: a small part here, all of it in tests/benchmarks/error_rates.py."""

import numpy as np
import pytest
from benchmarks import error_rates as simulation

from ablate import comparisons

CASES = {"equal spreads": "a", "one row of 6 x the spread": "b", "a baseline of 2 x the spread": "c"}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_own_pairs_cover_95_percent_and_err_in_one_study_of_twenty(case):
    found = simulation.simulate(case, seeds=5, rows=8, studies=6000)
    # 48,000 intervals of 6,000 studies: the standard error of the coverage is below 0.2 %, of the error rate 0.28 %.
    assert [] == simulation.broken(case, found)


def test_pooling_fails_where_one_row_has_six_times_the_spread():
    pooled = simulation.simulate("b", seeds=5, rows=8, studies=3000)["pooled"]
    assert pooled.odd < 0.80, "the row that is spread out is called far too often"
    assert pooled.others > 0.99, "and all others hide in its noise"


def test_the_simulations_pooled_error_is_the_programs():
    rng = np.random.default_rng(7)
    values = rng.normal(size=(5, 4))
    row, base = values[1:], np.repeat(values[:1], 4, axis=0)
    error = comparisons.pooled_error(values)
    found = comparisons.pool(comparisons.compare(row, base), row, base, error)
    centred = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    assert found.se.tolist() == pytest.approx([np.sqrt((centred**2).sum() / 12 * 2 / 4)] * 4)
    assert 12 == error.df


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("seeds", simulation.SEEDS)
@pytest.mark.parametrize("rows", simulation.ROWS)
def test_every_case_keeps_its_promises_in_20000_studies(case, seeds, rows):
    assert [] == simulation.broken(case, simulation.simulate(case, seeds, rows, 20_000))
