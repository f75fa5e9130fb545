"""What a search may change: keys and ranges against real configurations, mistakes at their places."""

import pytest

from ablate.errors import StudyError
from ablate.registry import Registry
from ablate.study import search
from ablate.study.file import parse, task_of
from ablate.study.plan import make_plan
from ablate.study.search import Dimension, search_of

BASE = """\
base: {model: {name: vgg, width: 4}, data: {name: digits, train_size: 100}, epochs: 2}
tricks:
  batchnorm: {set: {model.norm: batch}}
  mixup: {with: {alpha: 0.3}}
  onecycle: {set: {schedule: {name: onecycle}}}
"""


def planned(tune, variant="full"):
    study = parse(BASE + f"tune: {tune}\n", "s.yaml")
    plan = make_plan(study, Registry(), task_of(study))
    return study, plan.variant(variant)


def told(tune):
    with pytest.raises(StudyError) as error:
        planned(tune)
    return [str(problem) for problem in error.value.problems]


def test_a_key_is_searched_where_the_configuration_has_it_and_its_tricks_are_on():
    space = "{optimizer.lr: {low: 0.01, high: 1, log: true}, tricks.mixup.alpha: {low: 0.1, high: 1}, "
    space += "schedule.warmup: {low: 0.1, high: 0.5, when: onecycle}}"
    for variant, keys in [
        ("full", ["optimizer.lr", "tricks.mixup.alpha", "schedule.warmup"]),
        ("full-mixup", ["optimizer.lr", "schedule.warmup"]),
        ("full-onecycle", ["optimizer.lr", "tricks.mixup.alpha"]),
        ("base", ["optimizer.lr"]),
    ]:
        study, found = planned(f"{{space: {space}}}", variant)
        assert keys == [p.key for p in search.parameters(study, found.cell, found.completed)]


def test_whole_bounds_are_whole_numbers_only_where_the_configuration_has_one():
    study, found = planned(
        "{space: {epochs: {low: 1, high: 5}, optimizer.lr: {low: 1, high: 2}, batch_size: [32, 64]}}"
    )
    kinds = [p.kind for p in search.parameters(study, found.cell, found.completed)]
    assert ["int", "float", "choice"] == kinds


def test_settings_win_over_the_base_and_over_tricks():
    study, found = planned("{space: {schedule.warmup: {low: 0.1, high: 0.5}, tricks.mixup.alpha: {low: 0.1, high: 1}}}")
    settings = {"schedule.warmup": 0.4, "tricks.mixup.alpha": 0.7, "optimizer.lr": 0.5}
    done = search.complete(study, found.cell, settings, task_of(study), Registry(), found.completed)
    assert (0.4, 0.5) == (done.config["schedule"]["warmup"], done.config["optimizer"]["lr"])
    assert [0.7] == [use.params["alpha"] for use in done.tricks if use.name == "mixup"]
    own = {key: search.value_at(study, found.cell, found.completed, key) for key in study.tune["space"]}
    assert 0.3 == own["tricks.mixup.alpha"]


def test_the_untuned_settings_are_the_variant_itself():
    study, found = planned("{space: {optimizer.lr: {low: 0.01, high: 1}, tricks.mixup.alpha: {low: 0.1, high: 1}}}")
    own = {key: search.value_at(study, found.cell, found.completed, key) for key in study.tune["space"]}
    done = search.complete(study, found.cell, own, task_of(study), Registry(), found.completed)
    assert (found.completed.asked, found.completed.tricks) == (done.asked, done.tricks)


@pytest.mark.parametrize(
    ("tune", "problem"),
    [
        (
            "{space: {optimizer.rl: {low: 0.1, high: 1}}}",
            "s:6:16: tune.space.optimizer.rl: no configuration that is searched has the key 'optimizer.rl'. "
            "Did you mean 'optimizer.lr'?",
        ),
        (
            "{space: {optimizer.lr: {low: 0.1, high: 1, when: mxup}}}",
            "s:6:50: tune.space.optimizer.lr.when: no trick of this study is called 'mxup'; it has batchnorm, mixup "
            "or onecycle. Did you mean 'mixup'?",
        ),
        (
            "{variant: fulll, space: {optimizer.lr: {low: 0.1, high: 1}}}",
            "s:6:8: tune.variant: no variant of this plan is called 'fulll'; it has full, full-batchnorm, full-mixup, "
            "full-onecycle, base or best. Did you mean 'full'?",
        ),
        (
            "{space: {model.width: {low: 0, high: 8}}}",
            "s:6:30: tune.space.model.width.low: is 0; it must be at least 1.",
        ),
        (
            "{space: {model.name: {low: 1, high: 2}}}",
            "s:6:16: tune.space.model.name: is a range, but the configuration has 'vgg' there; list `choices`.",
        ),
        (
            "{sampler: grid, space: {optimizer.lr: {low: 0.1, high: 1}}}",
            "s:6:31: tune.space.optimizer.lr: has every value between low and high; a grid needs `step` or `choices`.",
        ),
        ("{space: {}}", "s:6:8: tune.space: is empty; list keys of the configuration with their ranges."),
    ],
)
def test_a_mistake_in_the_space_is_told_at_its_place(tune, problem):
    assert [problem] == told(tune)


def test_values_of_a_grid_are_listed_with_both_ends():
    assert (0.1, 0.2, 0.3) == Dimension("x", "float", 0.1, 0.3, step=0.1).values
    tenths = Dimension("x", "float", 0.1, 0.7, step=0.1)
    assert (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7) == tenths.values, "as they are written"
    assert (0.01, 0.04, 0.07) == Dimension("x", "float", 0.01, 0.09, step=0.03).values
    assert (1e-4, 3e-4, 5e-4) == Dimension("x", "float", 1e-4, 5e-4, step=2e-4).values
    assert 0.3 == tenths.nearest(0.1 + 2 * 0.1)
    assert (1, 3, 5) == Dimension("x", "int", 1, 5, step=2).values
    space = [Dimension("a", "int", 1, 2, step=1), Dimension("b", "choice", choices=("x", "y"))]
    assert [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}] == search.grid(space)


def test_a_range_holds_what_a_search_can_try():
    stepped = Dimension("x", "float", 0.1, 0.5, step=0.1)
    assert [True, False, False] == [stepped.holds(value) for value in (0.3, 0.25, 0.6)]
    assert Dimension("x", "choice", choices=({"name": "sgd"}, None)).holds({"name": "sgd"})
    assert not Dimension("x", "int", 0, 2, step=1).holds(True)


def test_fresh_seeds_are_as_many_as_the_study_plans_and_five_at_least():
    study, _ = planned("{seeds: 2, space: {optimizer.lr: {low: 0.1, high: 1}}}")
    asked = search_of(study)
    assert ((1000, 1001), (2000, 2001, 2002, 2003, 2004)) == (asked.seeds, asked.fresh)


def test_more_trials_go_on_with_a_search_and_another_space_begins_one():
    ones = "{trials: 4, space: {optimizer.lr: {low: 0.1, high: 1}}}"
    ids = []
    for tune in (
        ones,
        ones.replace("4", "9"),
        ones.replace("0.1", "0.2"),
        ones.replace("{trials", "{seeds: 2, trials"),
    ):
        study, found = planned(tune)
        space = search.parameters(study, found.cell, found.completed)
        ids.append(search.identity_of(study, search_of(study), space, found.completed))
    assert ids[0] == ids[1]
    assert 3 == len(set(ids))
