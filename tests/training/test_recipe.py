"""Optimizers, schedules and their defaults; torch's own schedulers are the oracle."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import ConfigError
from ablate.records import TrickUse
from ablate.registry import Registry
from ablate.training.recipe import filled_in, parse
from ablate.training.schedules import SCHEDULES, Constant, Cosine, MultiStep, OneCycle, Plateau, StepDown
from ablate.training.stopping import Stopping
from ablate.training.tasks.classify import Classify


def torch_rates(make, steps, momentum=0.9):
    """(factor, momentum) at every step as a scheduler of torch sets them."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=momentum)
    scheduler = make(optimizer)
    for _ in range(steps):
        yield optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("warmup", [0.1, 0.25, 0.3, 0.5])
def test_onecycle_is_that_of_torch(warmup):
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=41, pct_start=warmup), 40
    )
    for step, (rate, momentum) in enumerate(expected):
        assert OneCycle(warmup=warmup).at(step, 41, 10) == pytest.approx((rate, momentum))


def test_cosine_is_that_of_torch():
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=30, eta_min=0.1), 30)
    for step, (rate, _) in enumerate(expected):
        assert Cosine(final=0.1).at(step, 30, 10) == (pytest.approx(rate), None)


def test_steps_down_at_each_milestone():
    schedule = StepDown(milestones=(0.5, 0.75), factor=0.1)
    rates = [schedule.at(step, 8, 2)[0] for step in range(8)]
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_several_steps_by_epoch_are_those_of_torch():
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones=[4, 6], gamma=0.1), 20)
    for step, (rate, _) in enumerate(expected):
        assert MultiStep(milestones=(2.0, 3.0)).at(step, 20, 2) == (pytest.approx(rate), None)


@given(
    st.lists(st.floats(0.01, 5), min_size=1, max_size=40),
    st.integers(0, 3),
    st.sampled_from(["dev_loss", "dev_accuracy"]),
)
def test_a_plateau_is_that_of_torch(values, patience, metric):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "min" if metric == "dev_loss" else "max", factor=0.5, patience=patience, threshold=1e-2, eps=0
    )
    ours = Plateau(metric=metric, factor=0.5, patience=patience, threshold=1e-2)
    for epoch, value in enumerate(values):
        theirs.step(value)
        assert ours.eased(values[: epoch + 1]) == pytest.approx(optimizer.param_groups[0]["lr"])


def test_a_training_stops_when_its_metric_was_not_better_for_patience_epochs():
    falling = [3.0, 2.0, 1.0, 1.0, 1.1]
    assert [False, False, False, False, True] == [Stopping(patience=2).stops(falling[:n]) for n in range(1, 6)]
    assert Stopping("dev_accuracy", patience=2).stops(falling[:3]), "of an accuracy higher is better"
    assert Stopping(patience=2, minimum_delta=1.5).stops([3.0, 2.0, 1.6])


def test_what_a_training_makes_of_its_epochs_is_asked_for_and_no_part_of_a_key_otherwise():
    assert "early_stopping" not in filled_in({}, parse({}, Registry()))
    asked = {"early_stopping": {"patience": 3}}
    full = {"metric": "dev_loss", "patience": 3, "minimum_delta": 0.0}
    assert full == filled_in(asked, parse(asked, Registry()))["early_stopping"]
    with pytest.raises(ConfigError, match="Did you mean 'patience'"):
        parse({"early_stopping": {"patince": 3}}, Registry())
    with pytest.raises(ConfigError, match=r"it must be a mapping such as \{metric: dev_loss"):
        parse({"early_stopping": True}, Registry())


def test_warm_up_rises_in_a_line_and_then_the_schedule_begins():
    rates = [Constant(warmup_epochs=1.5).at(step, 8, 2)[0] for step in range(8)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1])


@given(
    st.sampled_from(sorted(SCHEDULES)),
    st.integers(1, 200),
    st.integers(1, 50),
    st.floats(0, 1),
    st.floats(0, 300),
)
def test_every_schedule_stays_in_its_range_at_every_step(name, steps, per_epoch, share, epochs):
    schedule = OneCycle(warmup=share) if name == "onecycle" else SCHEDULES[name](warmup_epochs=epochs)
    for step in range(steps):
        factor, momentum = schedule.at(step, steps, per_epoch)
        assert 0 <= factor <= 1 + 1e-9
        assert momentum is None or 0.85 - 1e-9 <= momentum <= 0.95 + 1e-9
        assert math.isfinite(factor)


def problems(config):
    with pytest.raises(ConfigError) as caught:
        parse(config, Registry())
    return dict(caught.value.problems)


def test_an_empty_configuration_is_a_whole_training():
    recipe = parse({}, Registry())
    full = filled_in({}, recipe)
    assert full["model"]["name"] == "vgg"
    assert full["data"] == {"name": "digits", "train_size": 1000, "dev_size": 500, "test_size": 297, "classes": []}
    assert parse(full, Registry()) == recipe


def test_all_mistakes_are_named_at_once_each_at_its_key():
    found = problems(
        {
            "model": {"name": "vgg", "widht": 3, "depth": 0},
            "data": {"name": "digit"},
            "optimizer": {"name": "adam", "momentum": 0.9, "betas": [0.9, 1.5]},
            "schedule": "cosine",
            "epochs": True,
            "epoch": 3,
        }
    )
    assert sorted(found) == [
        "data.name", "epoch", "epochs", "model.depth", "model.widht", "optimizer.betas.1", "optimizer.momentum", "schedule",
    ]  # fmt: skip
    assert "Did you mean 'digits'?" in found["data.name"]
    assert "Did you mean 'epochs'?" in found["epoch"]


def test_a_parameter_of_another_optimizer_names_those_that_this_one_has():
    message = problems({"optimizer": {"name": "adam", "momentum": 0.9}})["optimizer.momentum"]
    assert message == "optimizer 'adam' has no parameter 'momentum'; it has lr, betas, eps or weight_decay."


def test_a_parameter_written_one_level_too_high_is_shown_its_place():
    assert "Did you mean 'optimizer.lr'?" in problems({"lr": 0.1})["lr"]


def test_numbers_that_are_no_numbers_are_refused():
    assert "optimizer.lr" in problems({"optimizer": {"lr": math.nan}})
    assert "optimizer.lr" in problems({"optimizer": {"lr": math.inf}})


def test_one_and_one_point_zero_are_the_same_request():
    ask = [filled_in(c, parse(c, Registry())) for c in ({"optimizer": {"lr": 1}}, {"optimizer": {"lr": 1.0}})]
    assert repr(ask[0]) == repr(ask[1])


def test_a_training_that_reads_dev_says_so_in_the_plan_and_under_the_table():
    asked = {"schedule": {"name": "plateau"}, "early_stopping": {"metric": "train_loss"}}
    (note,) = Classify().completed(asked, (), Registry()).notes
    assert "plateau the dev images steer the training (by dev_loss)" in note
    assert Classify().completed(asked, [TrickUse("cosine", {})], Registry()).notes == (), "a trick took it away"
