"""The loop: against a loop written by hand, bit for bit across processes, and every draw from its own stream."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ablate.records import TrickUse
from ablate.registry import Registry
from ablate.rng import seed_for
from ablate.testing.training import TINY, trained
from ablate.training import checkpoint, initial, trainer
from ablate.training.layers import Dropout
from ablate.training.recipe import parse

ONE_OF_EACH = [TrickUse("crop_flip"), TrickUse("cutout"), TrickUse("label_smoothing"), TrickUse("mixup")]


def ready(seed=0, tricks=(), **changes):
    torch.set_num_threads(1)
    trainer.settle("cpu")
    recipe = parse({**TINY, **changes}, Registry())
    return trainer.prepare(recipe, tricks, recipe.data.arrays(), seed, "cpu")


def by_hand(arrays, model, epochs, batch_size, lr, momentum, seed):
    """The weights after the plainest loop that does the same."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=5e-4, fused=True)
    mean, std = torch.tensor(arrays.mean).view(1, -1, 1, 1), torch.tensor(arrays.std).view(1, -1, 1, 1)
    images = torch.from_numpy(arrays.train_images).permute(0, 3, 1, 2).float()
    images = images.mul_(1 / std).add_(-mean / std).contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(arrays.train_labels)
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed_for(seed, "order", epoch)))
        for index in order.split(batch_size):
            targets = F.one_hot(labels[index], len(arrays.class_names)).float()
            loss = F.cross_entropy(model(images[index]), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.state_dict()


def test_a_training_ends_where_the_plainest_loop_ends():
    training = ready(model={"name": "vgg", "width": 4, "norm": "batch"})
    start = ready(model={"name": "vgg", "width": 4, "norm": "batch"}).model
    expected = by_hand(training.recipe.data.arrays(), start, epochs=2, batch_size=32, lr=0.05, momentum=0.9, seed=0)
    *_, last = trainer.train(training)
    for name, tensor in last.model.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


ANOTHER_PROCESS = """
import importlib, json, sys
from ablate.training.tasks.classify import Classify
for name in Classify.imports:
    importlib.import_module(name)
Classify().warm()
from ablate.testing.training import TINY, trained
from ablate.records import TrickUse
for shelf, name in (("tricks", "crop_flip"), ("tricks", "cutout"), ("tricks", "label_smoothing"), ("tricks", "mixup"),
                    ("models", "vgg"), ("datasets", "synthetic")):
    importlib.import_module(f"ablate.training.{shelf}.{name}")
before = set(sys.modules)
outcome = trained(TINY, [TrickUse(n) for n in ("crop_flip", "cutout", "label_smoothing", "mixup")], seed=3)
print(json.dumps([outcome.outputs, list(outcome.curve), sorted(set(sys.modules) - before)]))
"""


def test_the_same_seed_gives_the_same_bits_in_another_process_and_a_child_imports_nothing():
    here = trained(TINY, ONE_OF_EACH, seed=3)
    result = subprocess.run([sys.executable, "-c", ANOTHER_PROCESS], capture_output=True, text=True, check=True)
    outputs, curve, imported = json.loads(result.stdout)
    assert outputs == dict(here.outputs)
    assert curve == [dict(values) for values in here.curve]
    assert imported == []


def test_another_seed_gives_other_weights():
    assert trained(TINY, seed=0).outputs["weights"] != trained(TINY, seed=1).outputs["weights"]


def test_batches_come_in_an_order_that_only_seed_and_epoch_decide():
    plain = ready()
    other = ready(model={"name": "vgg", "width": 8}, optimizer={"name": "adam"}, batch_size=16)
    assert torch.equal(trainer.batch_order(plain, 1), trainer.batch_order(other, 1))
    assert not torch.equal(trainer.batch_order(plain, 0), trainer.batch_order(plain, 1))
    assert not torch.equal(trainer.batch_order(plain, 0), trainer.batch_order(ready(seed=1), 0))


def test_a_parameter_starts_from_its_name_whatever_else_there_is():
    bare = torch.nn.Sequential(torch.nn.Linear(3, 4))
    named = torch.nn.ModuleDict({"other": torch.nn.Linear(9, 9), "0": torch.nn.Linear(3, 4)})
    for model in (bare, named):
        initial.initialise(model, 7, {})
    assert torch.equal(bare[0].weight, named["0"].weight)
    assert torch.equal(bare[0].bias, named["0"].bias)


def test_first_weights_have_the_spread_that_torch_gives_them():
    layer = torch.nn.Conv2d(16, 64, 3)
    theirs = float(layer.weight.detach().std())
    initial.initialise(layer, 0, {})
    assert layer.weight.abs().max() <= 1 / 12  # 1 / sqrt(16 * 3 * 3)
    assert float(layer.weight.detach().std()) == pytest.approx(theirs, rel=0.05)


def test_a_module_that_only_resets_itself_is_drawn_from_its_name():
    first, second = (torch.nn.ModuleDict({"cell": torch.nn.LSTMCell(3, 4)}) for _ in range(2))
    for model in (first, second):
        initial.initialise(model, 0, {})
    assert torch.equal(first["cell"].weight_ih, second["cell"].weight_ih)


def dropped(model, step):
    streams = trainer.Streams(0, step)
    trainer.connect(model, streams)
    return model["d"](torch.ones(2, 50))


def test_a_mask_depends_on_the_layer_s_name_and_the_step_and_on_no_other_layer():
    alone = torch.nn.ModuleDict({"d": Dropout(0.5)})
    beside = torch.nn.ModuleDict({"a": Dropout(0.5), "d": Dropout(0.5)})
    trainer.connect(beside, trainer.Streams(0, 3))
    beside["a"](torch.ones(5))
    assert torch.equal(dropped(alone, 3), dropped(beside, 3))
    assert not torch.equal(dropped(alone, 3), dropped(alone, 4))


def test_dropout_keeps_the_mean_and_does_nothing_in_evaluation():
    layer = Dropout(0.3)
    ones = torch.ones(200, 500)
    assert float(layer(ones).mean()) == pytest.approx(1, abs=0.01)
    assert float((layer(ones) == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert layer.eval()(ones) is ones


def test_the_last_incomplete_batch_of_an_epoch_is_left_out():
    assert ready(batch_size=40).steps_per_epoch == 2  # of 96 images


def test_a_training_set_smaller_than_a_batch_is_one_batch():
    training = ready(batch_size=1000)
    assert training.steps_per_epoch == 1
    assert math.isfinite(next(trainer.train(training)).values["train_loss"])


def test_evaluation_leaves_the_network_as_it_was():
    training = ready()
    before = checkpoint.state_of(training.model)
    _, logits = trainer.evaluate(training, training.dev_images)
    assert logits.shape == (64, 4)
    assert training.model.training
    assert checkpoint.tensors_sha256(checkpoint.state_of(training.model)) == checkpoint.tensors_sha256(before)


def test_evaluation_in_pieces_is_evaluation_at_once():
    whole, pieces = (trainer.evaluate(t, t.dev_images)[1] for t in (ready(), ready(eval_batch_size=10)))
    assert torch.allclose(whole, pieces, atol=1e-5)


def test_dev_accuracy_is_the_share_of_right_answers_in_percent():
    training = ready()
    epoch = next(trainer.train(training))
    right = sum(int(a == b) for a, b in zip(epoch.logits.argmax(1), training.dev_labels, strict=True))
    assert epoch.values["dev_accuracy"] == 100 * right / 64


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_every_optimizer_and_its_momentum_follow_the_schedule(name):
    momentum = {"momentum": 0.9} if name in ("sgd", "rmsprop") else {}
    training = ready(optimizer={"name": name, "lr": 0.01, **momentum}, schedule={"name": "onecycle"})
    trainer.take_step(training, trainer.batch_order(training, 0)[:32], number=0)
    group = training.optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(0.01 / 25)
    assert (group["betas"][0] if "betas" in group else group["momentum"]) == pytest.approx(0.95)


def test_a_training_that_diverges_says_so_in_its_metrics():
    epochs = [epoch.values for epoch in trainer.train(ready(optimizer={"name": "sgd", "lr": 1e30}))]
    assert not math.isfinite(epochs[-1]["train_loss"])


def test_mixed_precision_trains():
    full, mixed = (next(trainer.train(ready(amp=amp))).values["train_loss"] for amp in ("none", "bfloat16"))
    assert mixed != full
    assert mixed == pytest.approx(full, rel=0.05)


def test_the_hash_sees_values_and_names_and_not_the_memory_format():
    tensor = torch.randn(2, 3, 4, 4)
    assert checkpoint.tensors_sha256({"a": tensor}) == checkpoint.tensors_sha256(
        {"a": tensor.contiguous(memory_format=torch.channels_last)}
    )
    assert checkpoint.tensors_sha256({"a": tensor}) != checkpoint.tensors_sha256({"b": tensor})
    assert checkpoint.tensors_sha256({"a": tensor}) != checkpoint.tensors_sha256({"a": tensor + 1})


def test_a_trick_s_draws_are_its_own_at_every_step():
    training = ready()
    step = trainer.Step(0, training.facts, 0, "mixup")
    draw = torch.rand(3, generator=step.generator("weight"))
    assert torch.equal(draw, torch.rand(3, generator=step.generator("weight")))
    for other in (replace(step, number=1), replace(step, trick="cutout"), replace(step, seed=1)):
        assert not torch.equal(draw, torch.rand(3, generator=other.generator("weight")))


def test_normalised_training_images_have_mean_zero_and_std_one():
    training = ready()
    floats = trainer._normalised(training, training.images).double()
    assert np.allclose(floats.mean((0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(floats.std((0, 2, 3), correction=0), 1, atol=1e-5)
