"""What the statistics paragraph and the limits of a report say, and what they must not."""

import numpy as np
from plans import bare
from plans import measured as study

from ablate.analysis import verdicts
from ablate.records import Metric
from ablate.reports import methods
from ablate.study.record import ImportRecord

NAN = float("nan")
APART = {
    "a": [1.0, 2, 3, NAN, NAN, NAN],
    "b": [NAN, NAN, NAN, 4.0, 5, 7],
}
"""Lines without a seed: each has a number of its own, and no two are pairs."""

NAMED = bare(metric=Metric("m"))


def paragraph(measured, record=NAMED):
    return methods.paragraph(record, measured, verdicts.rows(measured), (), {})


def test_lines_without_a_seed_are_runs_and_not_seeds_0_to_5():
    measured = study(APART, planned=[3, 3])
    said = paragraph(measured, bare(metric=Metric("m"), imported=ImportRecord(file="runs.csv", sha256="ab")))
    assert "each with 3 runs" in said
    assert "seeds 0 to 5" not in said
    assert "by Welch's two-sided t test; a difference counts" in said
    assert "No run failed" not in said, "a file does not tell what failed elsewhere"


def test_that_no_run_failed_is_said_where_it_is_known():
    assert "No run failed or was left out." in paragraph(study({"a": [1.0, 2, 3], "b": [4.0, 5, 7]}))


def test_a_best_row_that_the_table_tests_against_the_next_best_is_told_so():
    def limits(measured):
        return " ".join(methods.limits(NAMED, measured, verdicts.rows(measured)))

    near = {"base": [1.0, 2, 3], "a": [4.0, 5.1, 7], "b": [9.0, 10, 12]}
    assert "whether it is better than the next best was not tested" in limits(study(near))
    tested = {"base": [4.0, 5, 7], "a": [1.0, 2.1, 3], "b": [9.0, 10.1, 12.1]}
    assert "its difference from the next best, base, is established" in limits(study(tested))


def test_sides_that_differ_in_failures_stand_under_what_the_numbers_do_not_show():
    values = {"base": [1, 2, 3.0, 4, 5], "a": [11, 12.1, 13, NAN, NAN]}
    measured = study(values, failures=({}, {"diverged": 2}))
    said = methods.limits(NAMED, measured, verdicts.rows(measured))
    assert said[0].startswith("What is said of a holds among finished runs: more runs failed on one side")


def test_the_paragraph_names_the_sign_flip_test():
    rng = np.random.default_rng(1)
    values = {"base": rng.normal(size=10), "a": rng.normal(size=10) + 9}
    said = paragraph(study(values, analysis={"test": "sign_flip"}))
    assert "by an exact two-sided sign-flip test over the seeds that both share" in said
    assert "Intervals are 95 % sign-flip intervals" in said
