"""A study in several settings: every design in each, the same keys, and what cannot act in one is left out and named."""

import pytest

from ablate.errors import AblateError, StudyError
from ablate.registry import Registry
from ablate.study.across import make_plan
from ablate.study.file import parse, task_of
from ablate.study.record import PlanRecord

STUDY = """\
base:
  model: {name: vgg, width: 8}
  data: {name: digits, train_size: 100}
  epochs: 2
across:
  digits: {}
  wide: {model.width: 16}
  normed: {model.norm: batch}
tricks:
  batchnorm: {set: {model.norm: batch}}
  label_smoothing:
  cosine: {set: {schedule: {name: cosine}}}
seeds: 2
"""


def plan_of(text):
    study = parse(text, "s.yaml")
    return make_plan(study, Registry(), task_of(study))


def test_every_design_is_carried_out_in_every_setting_and_a_key_is_what_it_is_without_them():
    plan = plan_of(STUDY)
    alone = plan_of(
        STUDY.replace("across:\n  digits: {}\n  wide: {model.width: 16}\n  normed: {model.norm: batch}\n", "")
    )
    assert [v.name for v in plan.variants if v.setting == "digits"] == [f"digits/{v.name}" for v in alone.variants]
    keys = {(run.variant, run.seed): run.key for run in plan.runs}
    assert all(keys[f"digits/{run.variant}", run.seed] == run.key for run in alone.runs)
    assert keys["wide/full", 0] != keys["digits/full", 0]
    assert keys["normed/full", 0] == keys["digits/full", 0], "the same configuration is trained once"
    assert [run.seed for run in plan.runs] == sorted(run.seed for run in plan.runs), "seed by seed, over all settings"


def test_a_trick_that_cannot_act_in_a_setting_is_left_out_there_and_its_rows_are_the_same_in_name():
    plan = plan_of(STUDY)
    assert "normed: batchnorm cannot act there: the base is so already" in plan.left_out
    rows = {(row.setting, row.across): row.variant for row in plan.rows}
    assert rows["digits", "- cosine"] == "digits/full-cosine"
    assert rows["normed", "- cosine"] == "normed/base+label_smoothing"
    assert ("normed", "- batchnorm") not in rows


def test_what_every_setting_refuses_is_a_mistake_and_what_one_refuses_of_the_base_too():
    with pytest.raises(StudyError) as caught:
        parse(STUDY.replace("model.norm: batch}}", "model.nrm: batch}}"), "s.yaml")
    assert ["s.yaml:10:21", True] == [str(caught.value).partition(": ")[0], "no parameter 'nrm'" in str(caught.value)]
    with pytest.raises(StudyError, match=r"s.yaml:7:10: across.wide.model.widht: .*\(in wide\)"):
        parse(STUDY.replace("model.width: 16", "model.widht: 16"), "s.yaml")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("tune: {trials: 2, space: {optimizer.lr: [0.1, 0.2]}}", "tune: stands beside `across:`"),
        ("weights: best", "weights: is best, and no variant is the best of several settings"),
        ("metric: {name: dev_loss, units: {digit: nats}}", "Did you mean 'digits'"),
        ("metric: {name: dev_loss, limits: {digit: [3, 0]}}", "Did you mean 'digits'"),
    ],
)
def test_what_speaks_of_one_setting_does_not_stand_beside_several(more, message):
    with pytest.raises(StudyError) as caught:
        parse(f"{STUDY}{more}\n", "s.yaml")
    assert message in str(caught.value)


def test_limits_are_of_every_setting_or_of_each_and_come_back_from_the_database():
    for written, expected in (("[0, 100]", [(0, 100)] * 3), ("{digits: [10, 99.5]}", [(10, 99.5), (), ()])):
        record = plan_of(f"{STUDY}metric: {{name: dev_accuracy, limits: {written}}}\n").record
        assert expected == [one.limits for one in PlanRecord.of(record.to_json()).across]


def test_a_stored_plan_gives_the_plan_of_one_setting():
    record = PlanRecord.of(plan_of(STUDY).record.to_json())
    assert record == plan_of(STUDY).record
    wide = record.within("wide")
    assert {variant.setting for variant in wide.variants} == {row.setting for row in wide.rows} == {"wide"}
    with pytest.raises(AblateError, match=r"no setting called 'wid'; there is digits, wide or normed. Did you mean"):
        record.within("wid")
