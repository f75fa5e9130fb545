"""What every trick, model and data set must keep, as checks; suite.py says which hold for which plug-in."""

from __future__ import annotations

import hashlib
import math
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ablate.errors import ConfigError
from ablate.records import CATEGORIES, Json, RunSpec, TaskUse, TrickUse
from ablate.registry import Registry, parameters
from ablate.training import checkpoint, initial, trainer
from ablate.training.dataset import Arrays, Dataset
from ablate.training.model import Model
from ablate.training.recipe import parse, plain
from ablate.training.replacement import Replacement
from ablate.training.task import Report, Run, Task, resolve
from ablate.training.trick import Step, Trick

TINY: Mapping[str, Json] = {
    "model": {"name": "vgg", "width": 4, "depth": 1, "norm": "batch", "dropout": 0.2},
    "data": {"name": "synthetic", "classes": 4, "train_size": 96, "dev_size": 64},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "epochs": 2,
    "batch_size": 32,
}
"""A base that trains in a tenth of a second, with a layer that draws and one that normalises."""


CLASSIFY = TaskUse("classify")
"""The task whose tricks, models and data sets these checks are of."""


def base_for(trick: Trick) -> dict[str, Json]:
    """TINY with what a trick needs to be tried (`Trick.tried_on`); a mapping that names its plug-in stands alone."""
    config = dict(TINY)
    for key, value in trick.tried_on.items():
        merge = isinstance(value, Mapping) and "name" not in value
        config[key] = {**config[key], **value} if merge else value
    return config


@dataclass(frozen=True)
class Trained:
    """What a training left: metrics by epoch, final metrics, hashes of weights and predictions."""

    curve: tuple[Mapping[str, float], ...]
    values: Mapping[str, float]
    outputs: Mapping[str, str]


def trained(
    config: Mapping[str, Json], tricks: Sequence[TrickUse] = (), registry: Registry | None = None, seed: int = 0
) -> Trained:
    """Complete a configuration of `classify` and execute it here and now."""
    registry = registry or Registry()
    task: Task = resolve(CLASSIFY, registry)
    done = task.completed(config, tricks, registry)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        spec = RunSpec("", CLASSIFY, done.config, done.tricks, seed, 1, folder, cache="", metric="dev_accuracy")
        spec = replace(spec, start=done.start)
        run = Run(spec, registry)
        steps = task.execute(run)
        assert isinstance(steps, Iterator)
        curve: list[Mapping[str, float]] = []
        while True:
            try:
                given = next(steps)
                curve.append(given.values if isinstance(given, Report) else given)
            except StopIteration as end:
                return Trained(tuple(curve), end.value, dict(run.outputs))


# ------------------------------------------------------------------------------------------------------------ every one


def it_refuses_parameters_that_it_does_not_have(registry: Registry, shelf: str, name: str) -> None:
    """Unknown names, text for a number, NaN."""
    bad: list[dict[str, Json]] = [{"no_such_parameter": 1}]
    for parameter in registry.parameters(shelf, name):
        if isinstance(parameter.default, (bool, int, float)):
            bad.append({parameter.name: "text"})
        if isinstance(parameter.default, float):
            bad.append({parameter.name: math.nan})
    for given in bad:
        try:
            registry.make(shelf, name, given)
        except ConfigError:
            continue
        raise AssertionError(f"{name} accepts {given}")


def it_says_what_it_is(registry: Registry, shelf: str, name: str) -> None:
    assert registry.entry(shelf, name).summary, (
        f"the file of {name} has no docstring; its first line is what lists print"
    )


def _globals() -> tuple[Any, ...]:
    """The state of every generator that is not ours."""
    return random.getstate(), torch.get_rng_state().tolist(), repr(np.random.get_state(legacy=False))


# --------------------------------------------------------------------------------------------------------------- tricks


def parameters_are_checked(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    it_refuses_parameters_that_it_does_not_have(registry, "tricks", name)
    trick = registry.make("tricks", name, params)
    again = registry.make("tricks", name, plain(trick))
    assert again == trick, f"{name}: made from its own parameters it is another one: {again} for {trick}"


def it_has_a_label_and_a_category(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    it_says_what_it_is(registry, "tricks", name)
    trick = registry.make("tricks", name, params)
    assert trick.label, f"{name} has no label; tables print it"
    assert trick.category in CATEGORIES, f"the category of {name} is {trick.category!r}; there is {CATEGORIES}"


def its_neutral_setting_reproduces_the_base_bit_for_bit(
    registry: Registry, name: str, params: Mapping[str, Json]
) -> None:
    trick = registry.make("tricks", name, params)
    if trick.neutral is None:
        return
    neutral, config = trick.neutral, base_for(trick)
    base = trained(config, registry=registry)
    with_it = trained(config, [TrickUse(name, {**params, **neutral})], registry)
    assert with_it.curve == base.curve, f"{name} at {neutral} changes metrics"
    assert with_it.outputs == base.outputs, f"{name} at {neutral} changes weights or predictions"


def it_shifts_no_other_random_stream(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """Equal first weights wherever names and shapes agree, equal batches in equal order, no draw from global ones."""
    trick = registry.make("tricks", name, params)
    base_weights, base_images = _seen(base_for(trick), [], registry)
    before = _globals()
    weights, images = _seen(base_for(trick), [(name, trick)], registry)
    assert _globals() == before, f"{name} draws from a global generator; draw from step.generator(...)"
    for one, other in zip(base_images, images, strict=True):
        count = min(len(one), len(other))  # with another batch size, another rest of the epoch is left out
        assert one[:count] == other[:count], f"with {name} on, the images are others or in another order"
    for key, tensor in {} if trick.initialises else base_weights.items():
        if key in weights and weights[key].shape == tensor.shape:
            assert torch.equal(weights[key], tensor), f"with {name} on, {key} starts from other values"


def at_its_defaults_it_does_something(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    config = base_for(registry.make("tricks", name, params))
    base = trained(config, registry=registry)
    with_it = trained(config, [TrickUse(name, params)], registry)
    assert with_it.outputs != base.outputs, f"{name} is inert: weights and predictions are those of the base"


def the_same_seed_gives_the_same_bits(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    config = base_for(registry.make("tricks", name, params))
    first, second = (trained(config, [TrickUse(name, params)], registry) for _ in range(2))
    assert first.curve == second.curve, f"{name}: two trainings with one seed have different metrics"
    assert first.outputs == second.outputs, f"{name}: two trainings with one seed end differently"


@dataclass(frozen=True)
class _Probe(Trick):
    """Writes down every image, with its target, before any other trick has touched it; a list for each epoch."""

    seen: list[list[str]]

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        while len(self.seen) <= step.epoch:
            self.seen.append([])
        pairs = zip(images.numpy(), targets.numpy(), strict=True)
        self.seen[step.epoch] += [hashlib.sha256(i.tobytes() + t.tobytes()).hexdigest() for i, t in pairs]
        return images, targets


def _seen(
    config: Mapping[str, Json], tricks: Sequence[tuple[str, Trick]], registry: Registry
) -> tuple[dict[str, Tensor], list[list[str]]]:
    """The first weights of a tiny training, and hashes of the images of each of its epochs in their order."""
    torch.set_num_threads(1)
    trainer.settle("cpu")
    recipe = parse(config, registry)
    arrays = recipe.data.arrays()
    for _, trick in tricks:
        recipe = trick.recipe(recipe)
    seen: list[list[str]] = []
    training = trainer.prepare(recipe, [("probe", _Probe(seen)), *tricks], arrays, seed=0, device_name="cpu")
    weights = checkpoint.state_of(training.model)
    for _ in trainer.train(training):
        pass
    return weights, seen


# --------------------------------------------------------------------------------------------------------------- models

IMAGES = ((1, 8, 8), (3, 32, 32))
CLASSES = 5


PLACES = (((2, 8, 6, 6), (2, 8, 6, 6)), ((2, 8, 6, 6), (2, 16, 3, 3)), ((2, 5, 8), (2, 5, 12)))
"""Shapes of a part's input and output: in images, where pixels get fewer, and in tokens."""


def replacement_parameters_are_checked(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    it_says_what_it_is(registry, "replacements", name)
    it_refuses_parameters_that_it_does_not_have(registry, "replacements", name)
    registry.make("replacements", name, params)


def it_leads_from_one_shape_to_another_or_says_why_not(
    registry: Registry, name: str, params: Mapping[str, Json]
) -> None:
    replacement: Replacement = registry.make("replacements", name, params)
    refused = []
    for given, made in PLACES:
        try:
            layer = replacement.build(given, made)
        except ConfigError as error:
            refused.append(error.problems[0][1])
            continue
        before = torch.random.get_rng_state()
        shape = tuple(layer.train()(torch.ones(given)).shape)
        assert shape == made, f"{name} makes {shape} of {given}, and {made} was asked"
        same = torch.equal(before, torch.random.get_rng_state())
        assert same, f"{name} draws from torch's generator in training; ablate.plugins.Dropout has a stream of its own"
    assert len(refused) < len(PLACES), f"{name} leads from none of these shapes to the other: {refused}"


def model_parameters_are_checked(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    it_says_what_it_is(registry, "models", name)
    it_refuses_parameters_that_it_does_not_have(registry, "models", name)
    registry.make("models", name, params)


def images_become_logits(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    for model, image in _settings(registry, name, params):
        with torch.no_grad():
            logits = model.build(image, CLASSES)(torch.zeros(3, *image))
        assert logits.shape == (3, CLASSES), f"{model}: 3 images {image} became {tuple(logits.shape)}"


def toggles_rename_no_parameter_and_move_no_first_weight(
    registry: Registry, name: str, params: Mapping[str, Json]
) -> None:
    usual = _first_weights(registry.make("models", name, params))
    for model, _ in _settings(registry, name, params):
        weights = _first_weights(model)
        only_here, only_there = weights.keys() - usual.keys(), usual.keys() - weights.keys()
        assert not (only_here and only_there), f"{model} renames {sorted(only_there)} to {sorted(only_here)}"
        for key in weights.keys() & usual.keys():
            same = weights[key].shape == usual[key].shape and torch.equal(weights[key], usual[key])
            assert same, f"{model}: {key} starts from other values than with the other settings"


def first_weights_come_from_the_seed_alone(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    model = registry.make("models", name, params)
    for image in IMAGES:
        first, second = _first_weights(model, image, global_seed=1), _first_weights(model, image, global_seed=2)
        for key, tensor in first.items():
            assert torch.equal(tensor, second[key]), (
                f"{name}: {key} is drawn by the constructor, not from its own stream"
            )
        other = _first_weights(model, image, seed=1)
        assert any(not torch.equal(other[key], first[key]) for key in first), f"{name}: two seeds, the same weights"


def every_parameter_learns(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    for model, image in _settings(registry, name, params):
        for key, gradient in _gradients(model, image, torch.channels_last, torch.float32, evaluate=False).items():
            assert gradient is not None, f"{model}: {key} gets no gradient"
            assert bool(gradient.isfinite().all()), f"{model}: the gradient of {key} is not finite"


def either_memory_format_computes_the_same(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """In double precision, which is slow, so on the smaller images; in evaluation, for masks follow memory's order."""
    for model, image in _settings(registry, name, params):
        if image != IMAGES[0]:
            continue
        one = _gradients(model, image, torch.contiguous_format, torch.float64, evaluate=True)
        other = _gradients(model, image, torch.channels_last, torch.float64, evaluate=True)
        for key, gradient in one.items():
            again = other[key]
            near = gradient is again or torch.allclose(gradient, again, rtol=1e-6, atol=1e-9)  # type: ignore[arg-type]
            assert near, f"{model}: {key} has another gradient in channels_last"


def training_draws_from_no_global_stream(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    for model, image in _settings(registry, name, params):
        network = _network(model, image)
        streams = trainer.Streams(0)
        trainer.connect(network, streams)
        before = _globals()
        first = network(torch.ones(4, *image))
        assert _globals() == before, f"{model} draws from a global generator (nn.Dropout?); use layers of ablate.layers"
        assert torch.equal(network(torch.ones(4, *image)), first), f"{model}: one step, two different passes"


def _settings(registry: Registry, name: str, params: Mapping[str, Json]) -> list[tuple[Model, tuple[int, int, int]]]:
    """The model as it is with images of either shape, then with every toggle at every value."""
    usual = registry.make("models", name, params)
    return [(usual, image) for image in IMAGES] + [
        (registry.make("models", name, {**params, key: value}), IMAGES[0])
        for key, values in usual.toggles.items()
        for value in values
    ]


def _network(model: Model, image: tuple[int, int, int], seed: int = 0) -> nn.Module:
    network = model.build(image, CLASSES)
    initial.initialise(network, seed, {})
    return network


def _first_weights(
    model: Model, image: tuple[int, int, int] = IMAGES[0], seed: int = 0, global_seed: int = 0
) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(global_seed)
        return {key: value.detach() for key, value in _network(model, image, seed).named_parameters()}


def _gradients(
    model: Model, image: tuple[int, int, int], layout: torch.memory_format, dtype: torch.dtype, *, evaluate: bool
) -> dict[str, Tensor | None]:
    network = _network(model, image).to(dtype).to(memory_format=layout)
    network.train(not evaluate)
    trainer.connect(network, trainer.Streams(0))
    images = torch.randn(8, *image, dtype=dtype, generator=torch.Generator().manual_seed(0))
    logits = network(images.contiguous(memory_format=layout))
    nn.functional.cross_entropy(logits, torch.arange(8) % CLASSES).backward()  # type: ignore[no-untyped-call]
    return {key: parameter.grad for key, parameter in network.named_parameters()}


# ------------------------------------------------------------------------------------------------------------ data sets


def data_parameters_are_checked(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    it_says_what_it_is(registry, "datasets", name)
    it_refuses_parameters_that_it_does_not_have(registry, "datasets", name)
    dataset: Dataset = registry.make("datasets", name, params)
    unknown = dataset.infrastructure - {p.name for p in parameters(type(dataset))}
    assert not unknown, f"{name}: `infrastructure` names {sorted(unknown)}, which are no parameters"


def loading_twice_gives_the_same_arrays(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """And the arrays are what the loop expects, and no global generator decides what is in them."""
    before = _globals()
    first: Arrays = registry.make("datasets", name, params).arrays()
    assert _globals() == before, f"{name} draws from a global generator"
    random.seed(1)
    np.random.seed(1)
    second: Arrays = registry.make("datasets", name, params).arrays()
    for field in fields(Arrays):
        one, other = getattr(first, field.name), getattr(second, field.name)
        assert np.array_equal(one, other), f"{name}: {field.name} differs between two loads"
    Arrays.of((first.train_images, first.train_labels), (first.dev_images, first.dev_labels), first.class_names)
    assert len(first.test_ids) == len(first.test_images), f"{name}: {len(first.test_ids)} ids of test images"


def the_fingerprint_is_that_of_what_was_asked(registry: Registry, name: str, params: Mapping[str, Json]) -> None:
    """Stable across loads; another one for another option; the same one for another place."""
    dataset: Dataset = registry.make("datasets", name, params)
    fingerprint = dataset.fingerprint()
    dataset.arrays()
    assert dataset.fingerprint() == fingerprint, f"{name}: loading changes the fingerprint"
    assert registry.make("datasets", name, params).fingerprint() == fingerprint, (
        f"{name}: two fingerprints of one data set"
    )
    for key, value in plain(dataset).items():
        other = _another(registry, name, params, key, value)
        if other is None:
            continue
        changed = other.fingerprint() != fingerprint
        if key not in dataset.asked():
            assert not changed, f"{name}: {key} is infrastructure, yet it changes the fingerprint"
        else:
            assert changed, f"{name}: {key} changes the data and not the fingerprint"


def _another(registry: Registry, name: str, params: Mapping[str, Json], key: str, value: Json) -> Dataset | None:
    """The data set with another value of one parameter; None where none is easily found (text, say)."""
    tries: list[Json] = []
    if isinstance(value, bool):
        tries = [not value]
    elif isinstance(value, (int, float)):
        tries = [value - 1, value + 1, value / 2]
    elif value is None:
        tries = [1, True]
    for candidate in tries:
        try:
            dataset: Dataset = registry.make("datasets", name, {**params, key: candidate})
        except ConfigError:
            continue
        return dataset
    return None
