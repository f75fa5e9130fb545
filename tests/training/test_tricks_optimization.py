"""What the tricks around the optimizer compute, against formulas written out, and which of them do not go together."""

import math

import pytest
import torch
from torch import nn

from ablate.errors import ConfigError
from ablate.records import TrickUse
from ablate.registry import Registry
from ablate.testing.training import TINY, trained
from ablate.training import trainer
from ablate.training.recipe import AdamW, changes, parse
from ablate.training.schedules import Cosine
from ablate.training.tricks.gradient_centralization import centralize
from ablate.training.tricks.l1 import add_l1
from ablate.training.tricks.lookahead import meet
from ablate.training.tricks.muon import orthogonalised, with_muon
from ablate.training.tricks.weight_decay import spared


def make(name, **given):
    return Registry().make("tricks", name, given)


def recipe(**changed):
    return parse({**TINY, **changed}, Registry())


def ready(*names, **changed):
    torch.set_num_threads(1)
    trainer.settle("cpu")
    made = [(name, make(name)) if isinstance(name, str) else name for name in names]
    asked = recipe(**changed)
    for _, trick in made:
        asked = trick.recipe(asked)
    return trainer.prepare(asked, made, asked.data.arrays(), 0, "cpu")


def steps(training, count):
    """Take steps; the weights of one layer after each."""
    order = trainer.batch_order(training, 0)
    for number in range(count):
        trainer.take_step(training, order[:32], number)
        yield training.model.linear.weight.detach().clone()


# ------------------------------------------------------------------------------------------------------------- averages


def test_the_average_follows_its_recursion_and_the_training_does_not_notice():
    training = ready(("ema", make("ema", decay=0.25)))
    weights = list(steps(training, 4))
    average = weights[0]
    for number, weight in enumerate(weights[1:], start=1):
        decay = min(0.25, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * weight
    model, _ = trainer.evaluate(training, training.dev_images)
    torch.testing.assert_close(model.linear.weight, average)
    assert torch.equal(training.model.linear.weight, weights[-1])
    assert all(torch.equal(a, b) for a, b in zip(weights, steps(ready(), 4), strict=True))


def test_batch_norm_s_statistics_are_averaged_and_its_count_is_copied():
    training = ready("ema")
    list(steps(training, 3))
    model, _ = trainer.evaluate(training, training.dev_images)
    assert int(model.stage1_block1.norm.num_batches_tracked) == 3
    assert not torch.equal(model.stage1_block1.norm.running_mean, training.model.stage1_block1.norm.running_mean)


def test_swa_is_the_mean_of_the_last_part_s_weights():
    training = ready(("swa", make("swa", start=0.5)))  # 6 steps in all: those after 3, 4, 5 and 6 count
    weights = list(steps(training, 6))
    model, _ = trainer.evaluate(training, training.dev_images)
    torch.testing.assert_close(model.linear.weight, torch.stack(weights[2:]).mean(0))


def test_swa_by_epochs_takes_each_epoch_s_last_weights():
    training = ready(("swa", make("swa", start=0.0, every="epoch")))
    weights = list(steps(training, 6))
    model, _ = trainer.evaluate(training, training.dev_images)
    torch.testing.assert_close(model.linear.weight, (weights[2] + weights[5]) / 2)


def test_before_swa_starts_the_trained_net_is_evaluated():
    training = ready("swa")
    list(steps(training, 2))
    assert trainer.evaluate(training, training.dev_images)[0] is training.model


def test_lookahead_meets_half_way_and_goes_on_from_there():
    model = nn.Linear(1, 1, bias=False)
    slow = {"weight": torch.tensor([[1.0]])}
    nn.init.constant_(model.weight, 3.0)
    meet(slow, model, 0.5)
    assert slow["weight"].item() == model.weight.item() == 2.0


def test_lookahead_evaluates_the_slow_weights():
    training = ready(("lookahead", make("lookahead", k=3, alpha=0.5)))
    weights = list(steps(training, 5))
    fast = next(w for i, w in enumerate(steps(ready(), 3)) if i == 2)
    torch.testing.assert_close(weights[2], (weights[0] + fast) / 2)
    model, _ = trainer.evaluate(training, training.dev_images)
    assert torch.equal(model.linear.weight, weights[2])
    assert not torch.equal(training.model.linear.weight, weights[2])


# ------------------------------------------------------------------------------------------------------------ gradients


def with_gradients(*values):
    model = nn.Sequential(nn.Linear(2, 2))
    model[0].weight.grad, model[0].bias.grad = (torch.tensor(value) for value in values)
    return model


def test_l1_adds_the_sign_of_weights_and_leaves_biases_alone():
    model = with_gradients([[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0])
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[-2.0, 3.0], [0.0, 0.5]]))
    add_l1(model, 0.1)
    torch.testing.assert_close(model[0].weight.grad, torch.tensor([[-0.1, 0.1], [1.0, 1.1]]))
    assert model[0].bias.grad.tolist() == [1.0, 1.0]


def test_clipping_shortens_a_long_gradient_to_the_limit_and_leaves_a_short_one():
    long, short = (
        with_gradients([[3.0, 0.0], [0.0, 0.0]], [0.0, 4.0]),
        with_gradients([[0.3, 0.0], [0.0, 0.0]], [0.0, 0.4]),
    )
    for model in (long, short):
        make("gradient_clipping", max_norm=1.0).gradients(model, None)
    torch.testing.assert_close(long[0].bias.grad, torch.tensor([0.0, 0.8]))
    torch.testing.assert_close(short[0].bias.grad, torch.tensor([0.0, 0.4]))


def test_centralized_gradients_have_mean_0_for_each_output():
    model = with_gradients([[1.0, 3.0], [5.0, 5.0]], [1.0, 2.0])
    centralize(model)
    assert model[0].weight.grad.tolist() == [[-1.0, 1.0], [0.0, 0.0]]
    assert model[0].bias.grad.tolist() == [1.0, 2.0]


def test_gradients_are_those_of_the_whole_step_with_float16_s_scaling_undone():
    seen = []

    class Look(type(make("l1"))):
        def gradients(self, model, step):
            seen.append(float(model.linear.weight.grad.norm()))

    training = ready(("it", Look()))
    training.scaler = torch.amp.GradScaler("cpu", enabled=True)
    list(steps(training, 1))
    unscaled = seen.pop()
    list(steps(ready(("it", Look())), 1))
    assert unscaled == pytest.approx(seen[0], rel=1e-5)


# ----------------------------------------------------------------------------------------------------------- optimizers


def test_decay_spares_what_is_one_number_per_channel():
    training = ready(("weight_decay", make("weight_decay", decay=0.1, norm_and_bias=False)))
    decays = {id(p): group["weight_decay"] for group in training.optimizer.param_groups for p in group["params"]}
    by_name = {name: decays[id(p)] for name, p in training.model.named_parameters()}
    assert {name for name, decay in by_name.items() if decay} == {"stage1_block1.conv.weight", "linear.weight"}
    assert len(by_name) == len(decays)


def test_a_decay_that_the_base_has_already_is_refused():
    with pytest.raises(ConfigError, match=r"changes nothing: optimizer.weight_decay is 0.0005 already"):
        make("weight_decay").recipe(recipe())
    assert make("weight_decay", norm_and_bias=False).recipe(recipe()) == recipe()


def test_nothing_is_split_where_nothing_decays():
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    assert len(spared(optimizer).param_groups) == 1


@pytest.mark.parametrize("shape", [(16, 36), (36, 16), (8, 8)])
def test_newton_schulz_brings_every_singular_value_near_1_and_keeps_the_directions(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    ours = orthogonalised(matrix)
    values = torch.linalg.svdvals(ours)
    assert float(values.min()) > 0.65
    assert float(values.max()) < 1.25
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    aligned = u.T @ ours @ vh.T
    torch.testing.assert_close(aligned, torch.diag(aligned.diagonal()), atol=1e-3, rtol=0)


def test_a_step_of_muon_is_the_orthogonalised_nesterov_momentum_with_decay_of_the_weights():
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    base = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.01, nesterov=True, fused=True)
    optimizer = with_muon(base, model, lr=0.1, momentum=0.95)
    weight, velocity = model[0].weight.detach().clone(), torch.zeros(4, 18)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(5, 2, 3, 3)).square().sum().backward()
        gradient = model[0].weight.grad.flatten(1).clone()
        optimizer.step()
        velocity = 0.95 * velocity + gradient
        update = orthogonalised(gradient + 0.95 * velocity).view_as(weight)
        weight = weight - 0.1 * (update + 0.01 * weight)
        torch.testing.assert_close(model[0].weight.detach(), weight)


def test_muon_has_its_own_rate_which_the_schedule_moves_and_no_momentum_of_sgd():
    training = ready("muon", schedule={"name": "onecycle"})
    list(steps(training, 1))
    ours = next(group for group in training.optimizer.param_groups if "muon" in group)
    assert ours["lr"] == pytest.approx(0.02 / 25)
    assert ours["momentum"] == 0
    assert training.optimizer.param_groups[0]["momentum"] == pytest.approx(0.95)


def test_muon_and_nesterov_refuse_an_optimizer_that_is_not_sgd():
    for name in ("muon", "nesterov"):
        with pytest.raises(ConfigError, match="needs the optimizer sgd"):
            make(name).recipe(recipe(optimizer={"name": "adam"}))


# -------------------------------------------------------------------------------------------------------------- recipes


def test_schedules_begin_and_end_where_they_should():
    cosine, cycle = make("cosine", final=0.1).recipe(recipe()), make("onecycle", peak=2.0).recipe(recipe())
    assert cosine.schedule.at(0, 100, 10)[0] == 1.0
    assert cosine.schedule.at(50, 100, 10)[0] == pytest.approx(0.55)
    assert cosine.schedule.at(99, 100, 10)[0] == pytest.approx(0.1, abs=1e-3)
    rates = [cycle.schedule.at(step, 100, 10)[0] for step in range(100)]
    assert rates[0] == pytest.approx(1 / 25)
    assert max(rates) == rates[29] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(1 / 25 / 1e4)
    assert cycle.optimizer.lr == 2 * recipe().optimizer.lr


def test_cosine_keeps_a_warm_up_and_warm_up_keeps_the_schedule():
    warm = recipe(schedule={"name": "constant", "warmup_epochs": 2})
    assert make("cosine").recipe(warm).schedule == Cosine(warmup_epochs=2)
    stepped = make("warmup", epochs=3).recipe(recipe(schedule={"name": "step", "milestones": [0.5]})).schedule
    assert (stepped.warmup_epochs, stepped.milestones) == (3, (0.5,))
    with pytest.raises(ConfigError, match="a warm-up of its own"):
        make("warmup").recipe(recipe(schedule={"name": "onecycle"}))


@pytest.mark.parametrize(("rate", "factor"), [("linear", 4), ("sqrt", 2), ("kept", 1)])
def test_a_batch_of_four_times_the_size_has_its_rate_moved_along(rate, factor):
    changed = make("batch_size", factor=4.0, rate=rate).recipe(recipe())
    assert changed.loop.batch_size == 128
    assert changed.optimizer.lr == pytest.approx(factor * 0.05)


def test_adamw_replaces_the_optimizer_and_all_of_its_parameters():
    assert make("adamw", lr=0.003).recipe(recipe()).optimizer == AdamW(lr=0.003)


def test_changes_are_named_by_key_and_by_section_where_another_class_stands():
    changed = make("adamw").recipe(make("batch_size", rate="kept").recipe(recipe()))
    assert changes(recipe(), changed) == ("optimizer", "batch_size")
    assert changes(recipe(), make("nesterov").recipe(recipe())) == ("optimizer.nesterov",)
    assert changes(recipe(), recipe()) == ()


def complete(*names, config=TINY):
    task = Registry().make("tasks", "classify", {})
    return task.complete(config, [TrickUse(name) for name in names], Registry())


@pytest.mark.parametrize(
    ("names", "blamed", "message"),
    [
        (("cosine", "onecycle"), "tricks.1", "sets schedule, which 'cosine' sets too"),
        (("onecycle", "cosine"), "tricks.0", "sets schedule, which 'cosine' sets too"),
        (("swa", "ema"), "tricks.0", "sets the network that is evaluated, which 'ema' sets too"),
        (("nesterov", "adamw"), "tricks.0", "needs the optimizer sgd"),
        (("warmup", "onecycle"), "tricks.0", "a warm-up of its own"),
        (("muon", "adamw"), "tricks.0", "needs the optimizer sgd"),
    ],
)
def test_two_tricks_that_would_overwrite_each_other_are_refused_at_the_later_one(names, blamed, message):
    with pytest.raises(ConfigError) as caught:
        complete(*names)
    ((key, text),) = caught.value.problems
    assert key == blamed
    assert message in text


def test_two_norms_are_refused_and_every_problem_is_named():
    with pytest.raises(ConfigError) as caught:
        complete("groupnorm", "batchnorm", "nesterov", "adamw", config={**TINY, "model": {"name": "vgg"}})
    assert [key for key, _ in caught.value.problems] == ["tricks.0", "tricks.2"]


@pytest.mark.parametrize(
    "names", [("cosine", "warmup"), ("adamw", "weight_decay"), ("adamw", "batch_size", "onecycle")]
)
def test_tricks_that_go_together_are_left_alone(names):
    assert len(complete(*names).tricks) == len(names)


def test_a_dozen_tricks_train_together():
    names = [
        "crop_flip",
        "color_jitter",
        "cutmix",
        "label_smoothing",
        "dropout",
        "ghost_batchnorm",
        "ema",
        "muon",
        "l1",
    ]
    names += ["gradient_clipping", "cosine", "warmup", "nesterov", "test_time_augmentation", "squeeze_excitation"]
    outcome = trained(TINY, [TrickUse(name) for name in names])
    assert math.isfinite(outcome.values["dev_loss"])
