"""What a variant takes, and when a row is cheaper and not worse: both are shown, or neither is said."""

from dataclasses import replace

import numpy as np
import pytest
from plans import bare, measured

from ablate.analysis.results import Results
from ablate.study.record import VariantRecord
from ablate.tables import views

CHANCE = np.random.default_rng(3)
FULL = CHANCE.normal(90, 0.3, 10)


def results(seconds, values=None, minimum_effect=1.0):
    values = values or {"full": FULL, "small": FULL + CHANCE.normal(0, 0.1, 10)}
    of = measured({name: list(v) for name, v in values.items()}, minimum_effect=minimum_effect)
    took = {(name, seed): s for name, series in seconds.items() for seed, s in enumerate(series)}
    variants = tuple(VariantRecord(name=name, tricks=(), config={"a": {"b": name}, "c": 1}) for name in values)
    record = bare(variants=variants, seeds=tuple(range(10)))
    return Results("s", replace(record, metric=of.metric), of, (), {}, took=took)


def row(loaded, name="small"):
    return next(record for record in views.view(loaded, "cost").records if record["variant"] == name)


FAST = {"full": CHANCE.normal(100, 2, 10), "small": CHANCE.normal(60, 2, 10)}


def test_a_row_that_is_faster_and_within_the_minimum_effect_is_cheaper_and_not_worse():
    found = row(results(FAST))
    assert "cheaper, not worse" == found["verdict"]
    assert pytest.approx(0.6, abs=0.02) == found["ratio"]
    assert found["ratio_ci_low"] < found["ratio"] < found["ratio_ci_high"] < 1
    assert found["p_adjusted"] < 0.001


@pytest.mark.parametrize(
    ("seconds", "values", "margin"),
    [
        ({"full": FAST["full"], "small": FAST["full"] + CHANCE.normal(0, 5, 10)}, None, 1.0),
        (FAST, {"full": FULL, "small": FULL - 2}, 1.0),
        (FAST, {"full": FULL, "small": FULL + np.tile([5, -5], 5)}, 1.0),
        (FAST, None, None),
    ],
)
def test_what_is_as_slow_or_worse_or_too_noisy_or_without_a_margin_is_not(seconds, values, margin):
    assert row(results(seconds, values, margin))["verdict"] is None


def test_settings_have_the_columns_that_differ_and_the_rest_below_and_latex_gives_them_pages():
    view = views.view(results(FAST), "configurations")
    assert ("variant", "a.b") == view.header
    assert "The same in all: c 1." in view.notes
    assert r"\begin{longtable}" in views.text(results(FAST), "latex", "configurations")
