"""What a variant takes, and when a row is cheaper and not worse: both are shown, or neither is said."""

from dataclasses import replace

import numpy as np
import pytest
from plans import bare, measured

from ablate.analysis.results import Results
from ablate.study.record import VariantRecord
from ablate.tables import views
from ablate.tables.cost import _column

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


def test_a_setting_is_shown_to_its_last_digit_and_a_list_as_its_values():
    of = results(FAST)
    config = {"lr": 0.12345678901, "eps": 1e-8, "betas": [0.9, 0.999], "norm": None}
    variants = tuple(VariantRecord(name=v.name, tricks=(), config=config | v.config) for v in of.record.variants)
    (said, *_) = views.view(replace(of, record=replace(of.record, variants=variants)), "configurations").notes
    assert "lr 0.12345678901; eps 1e-08; betas 0.9, 0.999; norm none" in said


def test_settings_wider_than_a_page_stand_in_several_tables_and_long_texts_in_lines():
    of = results(FAST)
    wide = [
        {f"section.number_{i}": f"{name} {i}" for i in range(12)}
        | {"prompt": f"{name} " * 20, "file": "a/long/" * 9 + name}
        for name in ("full", "small")
    ]
    variants = tuple(
        VariantRecord(name=v.name, tricks=(), config=config) for v, config in zip(of.record.variants, wide, strict=True)
    )
    text = views.text(replace(of, record=replace(of.record, variants=variants)), "latex", "configurations")
    assert text.count(r"\begin{longtable}") == text.count(r"\addtocounter{table}{-1}") + 1 > 2
    assert 1 == text.count(r"\label{")
    assert 2 == text.count("p{40mm}")
    assert r"a/\allowbreak{}long/" in text
    assert r"\shortstack[l]{section.\\number\_3}" in text


def test_amounts_below_each_other_have_the_same_decimals_and_none_is_written_as_nothing():
    assert ["0.0212", "0.0129", "0.0001", "–"] == _column([0.0212, 0.0129, 0.00012, None])
    assert ["0.0039", "0.0101"] == _column([0.0039, 0.01014])
    assert ["120", "3", "0.2"] == _column([120.0, 3.4, 0.2])
