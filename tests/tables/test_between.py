"""Two studies row by row: the difference of differences, paired where seeds are shared, and what changed between them."""

from dataclasses import replace

import numpy as np
import pytest
from plans import bare, measured
from scipy import stats

from ablate.analysis.results import Results
from ablate.errors import AblateError
from ablate.records import Metric
from ablate.study.record import VariantRecord
from ablate.tables.between import between

CHANCE = np.random.default_rng(7)
FULL = CHANCE.normal(90, 0.5, 8)
OFF = FULL - 1 + CHANCE.normal(0, 0.1, 8)


def study(name, off, seeds=range(8), epochs=5, torch="2.9", extra=None):
    of = replace(measured({"full": list(FULL), "full-a": list(off)}), seeds=tuple(seeds))
    configs = {"full": {"epochs": epochs, "lr": 0.1}, "full-a": {"epochs": epochs, "lr": 0.1, **(extra or {})}}
    variants = tuple(VariantRecord(name=of, tricks=(), config=config) for of, config in configs.items())
    record = bare(study=name, variants=variants, seeds=tuple(seeds), metric=of.metric)
    return Results(name, record, of, (), {"torch": {torch: 16}})


def test_over_shared_seeds_the_difference_of_differences_is_a_paired_t_test():
    later = OFF - 2 + CHANCE.normal(0, 0.3, 8)
    data = between(study("one", OFF), study("two", later, epochs=9))
    (record,) = data.records
    told = stats.ttest_rel(later - FULL, OFF - FULL)
    assert (8, True) == (record["pairs"], record["paired"])
    assert pytest.approx(told.pvalue) == record["p_adjusted"]
    assert pytest.approx(tuple(told.confidence_interval())) == (record["ci_low"], record["ci_high"])
    assert "differs" == record["verdict"]
    assert any(note.startswith("epochs 5 → 9: of every row and what it is compared with") for note in data.notes)


def test_without_shared_seeds_it_is_welchs_and_a_change_of_one_side_is_another_trick():
    data = between(study("one", OFF), study("one", OFF, range(20, 28), torch="2.10", extra={"p": 0.2}))
    (record,) = data.records
    assert record["paired"] is False
    assert "not shown to differ" == record["verdict"]
    notes = "\n".join(data.notes)
    assert "full-a: p absent → 0.2: changed on one side of this row, so it is another trick." in notes
    assert "torch: 2.9 → 2.10: how runs were made" in notes
    assert "Δ one (2)" in data.header


def test_studies_of_other_metrics_are_refused():
    other = study("two", OFF)
    metric = replace(other.measured, metric=Metric("loss"), values={"loss": other.measured.values["m"]})
    with pytest.raises(AblateError, match="is judged by m, two by loss"):
        between(study("one", OFF), replace(other, measured=metric))
