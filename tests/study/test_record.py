"""The plan in the database: what was written is read, whatever wrote it; what nobody wrote is refused by its place."""

import json
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import StoreError
from ablate.records import Meaning, Metric, TaskFacts, TaskUse, TrickUse
from ablate.study.record import (
    ImportRecord,
    PlanRecord,
    Registered,
    RowRecord,
    SettingRecord,
    StartRecord,
    TrickRecord,
    Tuned,
    Untuned,
    VariantRecord,
)
from ablate.training.tasks.classify import Classify

SETTINGS = {"optimizer.lr": 0.11785341903760045, "schedule.warmup": 0.25}
OLD = {
    "study": "s", "question": "Does it help?", "task": "classify",
    "metric": {"name": "dev_accuracy", "better": "higher", "at": "last", "minimum_effect": 0.5},
    "also": {"dev_loss": "lower"}, "analysis": {"looks": [3, 5]}, "baseline": "base", "seeds": [0, 1],
    "tricks": [{"name": "opt", "label": "optimizer", "category": "optimization", "levels": ["adamw", "muon"]}],
    "variants": [
        {
            "name": "pretrained", "tricks": ["opt=muon"], "of": "A", "placebo": True, "designs": ["add_one_in"],
            "config": {"model": {"name": "vgg", "stages": None}, "epochs": 4}, "uses": [["muon", {"lr": 0.02}]],
            "starts_from": {"origin": "best of study pre", "run": "8e26", "sha256": "42cc"},
        },
        {"name": "base", "tricks": [], "designs": ["add_one_in"], "config": {}, "uses": [], "starts_from": "pending"},
    ],
    "rows": [
        {"design": "add_one_in", "variant": "base", "compared_with": None, "differs": [], "label": "base"},
        {
            "design": "add_one_in", "variant": "pretrained", "compared_with": "base", "differs": ["opt"],
            "label": "+ optimizer: muon", "placebo": True,
        },
    ],
    "left_out": ["full-opt of x: a requires b"], "notes": ["a note"], "file": "/tmp/s.yaml", "overrides": ["seeds=2"],
    "registered": {"known": 3, "added": {"seeds": [1]}, "dropped": {"tricks": ["b"]}, "changed": ["metric"]},
    "tuned": [
        {
            "variant": "base", "of": "05da", "search": "base 9281bf57", "sampler": "tpe", "pruner": "none",
            "seeds": [1000], "fresh": [2000, 2001], "trials": 40, "states": {"done": 39, "pruned": 1}, "runs": 40,
            "trial": 13, "value": 99, "settings": SETTINGS, "untuned": {"settings": SETTINGS, "value": None},
            "winners": [SETTINGS],
        }
    ],
}  # fmt: skip
"""A plan as 0.1 of July wrote it, with every part that a plan may have."""
LEAST = {part: OLD[part] for part in ("task", "seeds")} | {
    "metric": {"name": "m", "better": "lower"}, "tricks": [{"name": "a"}],
    "variants": [{"name": "v", "tricks": [], "config": {}}],
    "rows": [{"design": "d", "variant": "v", "compared_with": None, "differs": []}],
}  # fmt: skip
"""A plan with nothing but what every ablate wrote."""

names = st.text(max_size=6)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | names
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
settings = st.dictionaries(names, values, max_size=3)


def several(of):
    return st.lists(of, max_size=3).map(tuple)


uses = several(st.builds(TrickUse, names, settings))
starts = st.none() | st.just("pending") | st.builds(StartRecord, origin=names, run=names, sha256=names)
variants = st.builds(
    VariantRecord, name=names, tricks=several(names), of=names, placebo=st.booleans(), designs=several(names),
    config=settings, uses=uses, starts_from=starts,
)  # fmt: skip
rows = st.builds(RowRecord, names, names, st.none() | names, several(names), names, st.booleans())
moved = st.dictionaries(st.sampled_from(["tricks", "seeds"]), several(names | st.integers()))
searches = st.builds(
    Tuned, variant=names, of=st.text(min_size=1), search=names, sampler=names, pruner=names, seeds=several(st.integers()),
    fresh=several(st.integers()), trials=st.integers(), states=st.dictionaries(names, st.integers(), max_size=2), runs=st.integers(),
    trial=st.integers(), value=st.floats(allow_nan=False, allow_infinity=False), settings=settings,
    untuned=st.builds(Untuned, settings=settings, value=st.none() | st.floats(0, 1)), winners=several(settings),
)  # fmt: skip
metrics = st.builds(
    Metric, names, st.sampled_from(["higher", "lower"]), st.sampled_from(["last", "best"]) | st.integers(1), st.none() | st.floats(0, 9),
)  # fmt: skip
tasks = st.sampled_from([TaskUse("classify"), TaskUse.of("mine:train"), TaskUse("steps", {"count": 3})])
facts = st.builds(
    TaskFacts, st.dictionaries(names, st.builds(Meaning, st.sampled_from(["higher", "lower"]), names, st.booleans()), max_size=2),
    names, st.booleans(), names,
)  # fmt: skip
PARTS = {
    "study": names, "question": names, "task": tasks, "facts": facts, "metric": metrics,
    "also": st.dictionaries(names, st.sampled_from(["higher", "lower"]), max_size=3), "analysis": settings,
    "baseline": names, "seeds": several(st.integers()),
    "tricks": several(st.builds(TrickRecord, name=names, label=names, category=names, levels=several(names))),
    "variants": several(variants), "rows": several(rows), "left_out": several(names), "notes": several(names),
    "imported": st.builds(ImportRecord, file=names, sha256=names), "file": names, "overrides": several(names),
    "registered": st.builds(Registered, known=st.integers(), added=moved, dropped=moved, changed=several(names)),
    "tuned": several(searches),
    "words": settings,
    "rules": settings, "across": st.just((SettingRecord(name="a", left_out={"b": "c"}), SettingRecord(name="d", unit="s"))),
}  # fmt: skip
"""A few are drawn for each example, over a plan that has each: to draw all of them takes hypothesis seconds."""
drawn = st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3, unique=True).flatmap(
    lambda chosen: st.fixed_dictionaries({part: PARTS[part] for part in chosen})
)


def test_every_part_of_a_plan_is_drawn():
    assert {field.name for field in fields(PlanRecord)} == set(PARTS)


@given(st.sampled_from([OLD, LEAST]), drawn)
def test_what_is_stored_is_read_back_as_it_was(plan, parts):
    record = replace(PlanRecord.of(plan, "s"), **parts)
    assert record == PlanRecord.of(json.loads(json.dumps(record.to_json())))


def test_a_plan_of_an_old_database_is_read_and_written_as_it_was():
    record = PlanRecord.of(OLD, "s")
    written = record.to_json()
    assert written.pop("facts") == json.loads(json.dumps(asdict(Classify().facts)))
    assert json.dumps(OLD) == json.dumps(written)
    pretrained, base = record.variants
    assert (TrickUse("muon", {"lr": 0.02}),) == pretrained.uses
    assert ("best of study pre", "pending") == (pretrained.starts_from.origin, base.starts_from)
    assert ((3, 5), 3, {"seeds": (1,)}) == (record.looks, record.registered.known, record.registered.added)
    assert (99, None) == (record.tuned[0].value, record.tuned[0].untuned.value)


def test_what_a_plan_did_not_have_yet_is_empty():
    record = PlanRecord.of(LEAST, "s")
    assert ("s", (), None, None, ()) == (record.study, record.looks, record.imported, record.registered, record.tuned)
    assert Metric("m", "lower") == record.metric
    assert record == PlanRecord.of({**LEAST, "also": None, "analysis": None, "notes": None, "baseline": None}, "s")


def test_a_row_of_a_control_is_one_also_where_the_plan_was_stored_under_the_earlier_word():
    rows = [{"design": "d", "variant": "v", "compared_with": "full", "differs": [], "control": "beyond"}]
    assert "beyond" == PlanRecord.of({**LEAST, "rows": rows}, "s").rows[0].kind


@pytest.mark.parametrize("task", ["mine:train", "import", "gone", {"name": "gone", "count": 3}])
def test_a_plan_of_a_task_that_is_none_of_ours_is_read_without_it(task):
    assert TaskFacts() == PlanRecord.of({**LEAST, "task": task}, "s").facts


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        ({"metric": None}, "metric"),
        ({"metric": {"name": "m"}}, "metric.better"),
        ({"metric": {"name": "m", "better": "up"}}, "metric.better"),
        ({"metric": {"name": "m", "better": "lower", "at": 1.5}}, "metric.at"),
        ({"task": {"count": 3}}, "task"),
        ({"seeds": [0, True]}, "seeds[1]"),
        ({"rows": {}}, "rows"),
        ({"rows": [{"design": "d", "variant": "v", "compared_with": None}]}, "rows[0].differs"),
        ({"variants": [{"name": "v", "tricks": []}]}, "variants[0].config"),
        ({"variants": [{"name": "v", "tricks": [], "config": {}, "uses": [["a"]]}]}, "variants[0].uses[0]"),
        ({"variants": [{"name": "v", "tricks": [], "config": {}, "starts_from": 3}]}, "variants[0].starts_from"),
        ({"tuned": [{"variant": "v"}]}, "tuned[0].of"),
    ],
)
def test_a_damaged_plan_is_told_by_its_study_and_its_part(damage, part):
    with pytest.raises(StoreError) as told:
        PlanRecord.of({**LEAST, **damage}, "s")
    assert f"the stored plan of 's' has no {part} as ablate writes it; restore a copy" in str(told.value)
