"""Looks as literals: raw p-values go in, what is settled and which seeds come next come out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.analysis.looks import Look, follow, levels, wanted

NAN = float("nan")


def look(seeds, p, equivalent=(), inert=(), over=True):
    """One look. equivalent: places whose two one-sided tests are sure; inert: places without a difference."""
    size, places = len(p), range(len(p))
    within = np.array([0.0001 if i in equivalent else NAN for i in places])
    same = np.array([i in inert for i in places], dtype=bool)
    there = np.full(size, over) if isinstance(over, bool) else np.array(over)
    return Look(seeds, np.array(p, float), within, same, there)


def test_a_row_found_at_one_look_leaves_holms_count_at_the_next():
    course = follow([look(3, [0.001, 0.2, 0.03]), look(5, [0.9, 0.2, 0.012])])
    # Shares of 0.05 by the squares of 3 and 5: 9/34 and 25/34. 0.012 x 2 that are left, over the second look's share.
    assert [0.003 * 34 / 9, 0.2 * 34 / 25, 0.024 * 34 / 25] == pytest.approx(course.p_adjusted.tolist())
    assert [0, 1, 1] == course.at.tolist()
    assert [True, False, True] == course.settled.tolist()


def test_a_row_that_stopped_without_being_found_stays_in_holms_count():
    looks = [look(3, [0.5, 0.2, 0.03], equivalent=[0]), look(5, [0.9, 0.2, 0.02])]
    course = follow(looks)
    assert [1.0, 0.4 * 34 / 25, 0.06 * 34 / 25] == pytest.approx(course.p_adjusted.tolist())
    assert [True, False, False] == course.settled.tolist()
    assert [0, 1, 1] == course.at.tolist()


def test_levels_go_by_the_squares_of_the_seeds_and_sum_to_alpha():
    assert [0.05 * 9 / 134, 0.05 * 25 / 134, 0.05 * 100 / 134] == pytest.approx(levels([3, 5, 10]).tolist())
    assert [0.025, 0.025] == levels([3, 5], spending=0).tolist()


def test_equivalence_is_holms_too_over_what_no_earlier_look_called_equivalent():
    near = [
        replace(look(n, [0.9] * 3), p_equivalent=np.array(p))
        for n, p in ((3, [0.003, 0.2, 0.03]), (5, [NAN, 0.2, 0.01]))
    ]
    course = follow(near)
    assert [0.009 * 34 / 9, 0.2 * 34 / 25, 0.02 * 34 / 25] == pytest.approx(course.p_equivalent.tolist())
    assert [True, False, True] == course.settled.tolist()


def test_inert_rows_are_settled_and_rows_without_a_p_are_open():
    course = follow([look(2, [NAN, NAN], inert=[0]), look(4, [NAN, 0.0001])])
    assert [0, 1] == course.at.tolist()
    assert [True, True] == course.settled.tolist()


def test_one_look_is_plain_holm():
    course = follow([look(5, [0.01, 0.03, 0.04])])
    assert [0.03, 0.06, 0.06] == pytest.approx(course.p_adjusted.tolist())
    assert course.current is None


def test_a_look_that_is_not_over_tests_nothing_and_settled_rows_do_not_hold_it_up():
    first = look(3, [0.0001, 0.3])
    assert 0 == follow([look(3, [0.0001, 0.3], over=[True, False]), first]).current
    waits = follow([first, look(5, [0.0001, 0.0001], over=[True, False])])
    assert (1, [0, 0]) == (waits.current, waits.at.tolist())
    goes_on = follow([first, look(5, [0.9, 0.0001], over=[False, True])])
    assert (None, [0, 1]) == (goes_on.current, goes_on.at.tolist())


def test_the_next_seeds_go_to_open_rows_and_what_they_are_compared_with():
    # Variants 0 to 3: 1 and 2 are compared with 0, which leaves 3 in no comparison.
    of, against, sizes = [1, 2], [0, 0], [3, 5, 10]
    later = look(5, [0.1, 0.1], over=False)
    course = follow([look(3, [0.0001, 0.3]), later, later])
    asked = wanted(course, sizes, of, against, 4)
    assert [5, 3, 5, 3] == asked.now.tolist()
    assert [10, 3, 10, 3] == asked.most.tolist()
    assert [3, 3, 3, 3] == asked.shown.tolist()
    done = follow([look(3, [0.0001, 0.3]), look(5, [0.9, 0.0001]), look(10, [0.9, 0.9])])
    for seeds in (wanted(done, sizes, of, against, 4).now, wanted(done, sizes, of, against, 4).most):
        assert [5, 3, 5, 3] == seeds.tolist()


chances = st.lists(st.floats(0, 1), min_size=4, max_size=4)


@given(chances, chances, chances, chances)
def test_what_a_look_settled_stays_whatever_later_looks_would_show(first, second, third, other):
    one = follow([look(3, first), look(5, second), look(10, third)])
    two = follow([look(3, first), look(5, second), look(10, other)])
    early = one.settled & (one.at < 2)
    assert one.at[early].tolist() == two.at[early].tolist()
    assert one.p_adjusted[early].tolist() == two.p_adjusted[early].tolist()


@given(chances, chances, chances)
def test_families_are_corrected_as_if_each_were_a_study_of_its_own(first, second, third):
    looks = (first, second, third)
    both = follow([look(3 + k, p) for k, p in enumerate(looks)], families=[(0, 3), (1, 2)])
    for places in ([0, 3], [1, 2]):
        alone = follow([look(3 + k, [p[i] for i in places]) for k, p in enumerate(looks)])
        assert alone.p_adjusted.tolist() == both.p_adjusted[places].tolist()
        assert (alone.at.tolist(), alone.settled.tolist()) == (both.at[places].tolist(), both.settled[places].tolist())


@given(st.lists(chances, min_size=1, max_size=4))
def test_nothing_is_found_above_the_level_that_the_proof_needs(looks):
    course = follow([look(3 + k, p) for k, p in enumerate(looks)])
    order = sorted((int(course.at[i]), looks[course.at[i]][i]) for i in range(4) if course.p_adjusted[i] < 0.05)
    for found_before, (k, p) in enumerate(order):
        assert p <= levels(range(3, 3 + len(looks)))[k] / (4 - found_before) + 1e-12
