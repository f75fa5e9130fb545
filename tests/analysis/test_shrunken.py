"""Shrunken variances: the prior that was drawn from, rows that stick out, and the price that the notes print."""

import numpy as np
import pytest
from plans import bare
from plans import measured as study

from ablate.analysis import shrunken, verdicts
from ablate.tables import notes


def test_variances_shrink_towards_the_prior_that_they_were_drawn_from():
    rng = np.random.default_rng(0)
    scale, prior_df, df, rows = 2.0, 12.0, 4, 2000
    drawn = scale * prior_df / rng.chisquare(prior_df, rows) * rng.chisquare(df, rows) / df
    made, total = shrunken.shrink(drawn[None], np.full((1, rows), float(df)))
    kept = total[0] == df  # rows that stick out
    assert 0.04 < kept.mean() < 0.13
    expected = (prior_df * scale + df * drawn) / (prior_df + df)
    assert np.median(np.abs(made[0] / expected - 1)[~kept]) < 0.1


def test_a_row_that_sticks_out_keeps_its_own_variance():
    variance = np.array([[1.0, 1.2, 0.9, 1.1, 400.0]])
    made, df = shrunken.shrink(variance, np.full((1, 5), 2.0))
    assert (400.0, 2.0) == (made[0, 4], df[0, 4])
    # The others agree: all get their geometric mean, less what a log of chi squared over two has on average.
    assert made[0, :4] == pytest.approx((1.2 * 0.9 * 1.1) ** 0.25 * np.exp(np.euler_gamma))
    assert [8.0] * 4 == df[0, :4].tolist()  # as many as the four have together


def test_two_rows_show_no_prior_and_stay_as_they_are():
    made, df = shrunken.shrink(np.array([[1.0, 2.0]]), np.full((1, 2), 2.0))
    assert ([1.0, 2.0], [2.0, 2.0]) == (made[0].tolist(), df[0].tolist())


def test_a_study_that_declares_it_finds_more_with_three_seeds_and_its_notes_print_the_price():
    rng = np.random.default_rng(4)
    base = rng.normal(size=3)
    rows = {"base": base, **{f"t{i}": base + rng.normal(size=3) + 6 * (i < 4) for i in range(8)}}
    own, declared = study(rows), study(rows, analysis={"error": "shrunken"})
    found = [sum(row.verdict == "helps" for row in verdicts.rows(one)) for one in (own, declared)]
    assert [1, 4] == found
    first = notes.notes(verdicts.rows(declared), declared, bare(), (), {})[0]
    assert "(`error: shrunken`; moderated t, Smyth 2004)" in first
    assert "simulated for 8 rows of 3 seeds in the worst of three kinds of spreads, 1" in first
    assert 0.08 < shrunken.simulated_error(8, 3) < 0.15
