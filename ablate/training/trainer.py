"""The training loop of `classify`, top to bottom, with the places where tricks act.

    recipe ── build ── initialise, each parameter from its name ── [model] ── trained weights, if any
    optimizer ── [optimizer]
    for every epoch: order from (seed, epoch)
        for every batch: gather uint8 ── normalise ── [batch] ── logits ── cross-entropy ── [loss] ── backward
                         ── [gradients] ── step ── [after_step]
        [eval_model] ── [measured] ── [predict] ── dev accuracy, dev loss

The data set is one uint8 tensor on the device; a batch is gathered, normalised and augmented as a whole (12 to 21
times the images of a DataLoader with per-image transforms on one core). Nothing waits for the device inside an epoch.
It reads no file and knows no study; the number of threads is its caller's business. Mixed precision and CUDA are
written, not yet measured. In the spirit of KellerJordan/cifar10-airbench, with nothing drawn from a shared generator.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ablate.errors import ConfigError
from ablate.rng import seed_for
from ablate.training.dataset import Arrays
from ablate.training.initial import drawn
from ablate.training.model import Draws, misshaped
from ablate.training.recipe import SGD, Adam, AdamW, Recipe, RMSprop, plain
from ablate.training.schedules import Plateau
from ablate.training.trick import Facts, Step, Trick, has_hook

# -------------------------------------------------------------------------------------------------------------- process


def settle(device: str) -> None:
    """Make this process compute the same bits every time, and keep its memory. Once, before the first tensor.

    Deterministic algorithms cost nothing measurable on a CPU; filling uninitialised memory, which comes with them by
    default, does, and changes no result. On CUDA an operation that has no deterministic form warns instead of ending
    the run: equal bits are promised for CPUs.
    """
    keep_heap()
    # cuBLAS reads this once, as it starts; it is one of the two workspaces with which NVIDIA promises equal bits.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Benchmarking takes whichever algorithm was fastest just now: the bits would hang on what else the machine does.
    torch.backends.cudnn.benchmark = False


def keep_heap() -> None:
    """Let glibc keep freed blocks: never mmap, never trim, grow by 64 MiB.

    By default big blocks go back to the kernel at every free and every step pays page faults for them: 1.5 times the
    time at batch 256 to 512, up to 2 times in evaluation. No effect where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        # mallopt takes C ints, so 2**31 - 1 is "never". Not a larger M_MMAP_THRESHOLD: glibc takes 32 MiB at most.
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 64 << 20)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            mallopt(option, value)


# ----------------------------------------------------------------------------------------------------------- randomness


@dataclass
class Streams:
    """The streams of one run that belong to a step. `step` is set by the loop."""

    seed: int
    step: int = 0

    def generator(self, name: str, device: torch.device) -> torch.Generator:
        """The generator of the layer called `name` at this step."""
        # Made anew at each step, not carried along: a layer that a trick adds or removes shifts no other layer's
        # draws, and a training that goes on from a checkpoint needs no state of it.
        return torch.Generator(device).manual_seed(seed_for(self.seed, "layer", name, self.step))


def connect(model: nn.Module, streams: Streams) -> None:
    """Give every layer that draws the stream of its own name."""
    for name, module in model.named_modules():
        if isinstance(module, Draws):
            module.stream = partial(streams.generator, name)


# --------------------------------------------------------------------------------------------------------------- set-up


_HOOKS = ("batch", "loss", "gradients", "after_step", "eval_model", "measured", "predict")


@dataclass
class Training:
    """One training, ready to start. forward: the model, compiled where the recipe says so. hooks: for each, the tricks
    that use it, named, in the order in which they act. eased: the factor of the learning rate that comes of the epochs
    so far."""

    recipe: Recipe
    seed: int
    facts: Facts
    model: nn.Module
    parameters: Sequence[nn.Parameter]
    optimizer: torch.optim.Optimizer
    streams: Streams
    images: Tensor
    labels: Tensor
    dev_images: Tensor
    dev_labels: Tensor
    scale: Tensor
    shift: Tensor
    one_hot: Tensor
    scaler: torch.amp.GradScaler
    forward: Callable[[Tensor], Tensor]
    hooks: Mapping[str, Sequence[tuple[str, Trick]]]
    memories: dict[str, Any] = field(default_factory=dict)
    train_seconds: float = 0.0
    eased: float = 1.0

    @property
    def batch_size(self) -> int:
        return min(self.recipe.loop.batch_size, len(self.images))

    @property
    def steps_per_epoch(self) -> int:
        return len(self.images) // self.batch_size

    def autocast(self) -> AbstractContextManager[Any]:
        if self.recipe.loop.amp == "none":
            return nullcontext()
        return torch.autocast(self.facts.device.type, dtype=getattr(torch, self.recipe.loop.amp))


Load = Callable[[nn.Module], frozenset[str]]
"""Puts trained weights into a network that was drawn, and names the tensors that have them now."""


def prepare(
    recipe: Recipe,
    tricks: Sequence[tuple[str, Trick]],
    arrays: Arrays,
    seed: int,
    device_name: str,
    load: Load | None = None,
) -> Training:
    """Everything that the first step needs. `recipe` is as the tricks left it."""
    device = torch.device(device_name)
    images, labels, dev_images, dev_labels = (
        torch.from_numpy(array).to(device)
        for array in (arrays.train_images, arrays.train_labels, arrays.dev_images, arrays.dev_labels)
    )
    height, width, channels = images.shape[1:]
    classes = len(arrays.class_names)
    mean, std = (torch.tensor(values, device=device).view(1, -1, 1, 1) for values in (arrays.mean, arrays.std))
    # mean and std are in 0..255, so a black pixel normalises to `shift` and a white one to `255 * scale + shift`.
    scale, shift = 1 / std, -mean / std
    steps = recipe.loop.epochs * (len(images) // min(recipe.loop.batch_size, len(images)))
    image = (channels, height, width)
    facts = Facts(image, classes, steps, recipe.loop.epochs, shift, 255 * scale + shift, len(images), device)
    model, streams, facts = _model(recipe, tricks, facts, seed, load)
    optimizer = _optimizer(recipe, tricks, model, facts)
    return Training(
        recipe=recipe,
        seed=seed,
        facts=facts,
        model=model,
        parameters=list(model.parameters()),
        optimizer=optimizer,
        streams=streams,
        images=images,
        labels=labels,
        dev_images=dev_images,
        dev_labels=dev_labels,
        scale=scale,
        shift=shift,
        one_hot=torch.eye(classes, device=device),
        scaler=torch.amp.GradScaler(device.type, enabled=recipe.loop.amp == "float16"),
        forward=_compiled(model) if recipe.loop.compile else model,
        hooks={hook: [pair for pair in tricks if has_hook(pair[1], hook)] for hook in _HOOKS},
    )


def _model(
    recipe: Recipe, tricks: Sequence[tuple[str, Trick]], facts: Facts, seed: int, load: Load | None
) -> tuple[nn.Module, Streams, Facts]:
    """The network, built and drawn on the CPU so that every device starts from the same numbers.

    Trained weights come last, so what the tricks added can be among them; what they lack keeps what was drawn.
    """
    model = drawn(recipe, tricks, facts, seed)
    # Last, so that layers that the tricks put in draw from streams of their own, too.
    streams = Streams(seed)
    connect(model, streams)
    if load is not None:
        facts = replace(facts, loaded=load(model))
    memory_format = torch.channels_last if recipe.loop.channels_last else torch.contiguous_format
    return model.to(facts.device, memory_format=memory_format), streams, facts  # type: ignore[call-overload]


def _compiled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The compiled network. In this process: torch's own pool of compilers would outlive a killed run."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    compiled: Callable[[Tensor], Tensor] = torch.compile(model)
    return compiled


def _optimizer(
    recipe: Recipe, tricks: Sequence[tuple[str, Trick]], model: nn.Module, facts: Facts
) -> torch.optim.Optimizer:
    """torch's optimizer, fused where it can be (1.5 to 3.5 times as fast a step), and what the tricks make of it."""
    classes = {SGD: torch.optim.SGD, Adam: torch.optim.Adam, AdamW: torch.optim.AdamW, RMSprop: torch.optim.RMSprop}
    settings = recipe.optimizer
    fused = {} if isinstance(settings, RMSprop) else {"fused": True}
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer: torch.optim.Optimizer = classes[type(settings)](parameters, **plain(settings), **fused)
    for _, trick in tricks:
        optimizer = trick.optimizer(optimizer, model, facts)
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return optimizer


# ------------------------------------------------------------------------------------------------------------- the loop


@dataclass(frozen=True)
class Epoch:
    """What an epoch ended with. `model` is the one that was evaluated; it changes with the next epoch."""

    values: Mapping[str, float]
    model: nn.Module
    logits: Tensor


def train(training: Training, history: Sequence[Mapping[str, float]] = ()) -> Iterator[Epoch]:
    """Train, epoch by epoch, after the first ones, which reported the values of `history`.

    Yields dev_accuracy (%), dev_loss, train_accuracy (%), train_loss (as optimised, tricks included), and lr.

    train_accuracy is of the training passes themselves, which costs nothing: the share of images whose own class the
    network named as it trained on them, augmented or mixed, dropout on, while its weights changed. dev_loss is the
    plain cross-entropy against the true labels, whatever the tricks did to the training's targets.
    """
    past, schedule = list(history), training.recipe.schedule
    while not training.recipe.over(past):
        started = time.perf_counter()
        if isinstance(schedule, Plateau):
            training.eased = schedule.eased([values[schedule.metric] for values in past])
        order = batch_order(training, len(past))
        total, hits = (torch.zeros((), device=training.facts.device) for _ in range(2))
        for batch in range(training.steps_per_epoch):
            index = order[batch * training.batch_size : (batch + 1) * training.batch_size]
            loss, hit = take_step(training, index, len(past) * training.steps_per_epoch + batch)
            total, hits = total + loss, hits + hit
        train_loss = float(total) / training.steps_per_epoch  # the epoch's one wait for the device
        # Evaluation is left out: a trick that evaluates longer (several views of an image) trains no longer.
        training.train_seconds += time.perf_counter() - started
        model, logits = evaluate(training, training.dev_images)
        seen_in_training = training.steps_per_epoch * training.batch_size
        of_training = {"train_loss": train_loss, "train_accuracy": 100 * int(hits) / seen_in_training}
        rate = float(training.optimizer.param_groups[0]["lr"])
        values = {**dev_metrics(training, logits), **of_training, "lr": rate}
        past.append(values)
        yield Epoch(values, model, logits)


def dev_metrics(training: Training, logits: Tensor) -> dict[str, float]:
    """dev_accuracy (%) and dev_loss of the logits (n, classes) of the dev images."""
    return {
        "dev_accuracy": 100 * int((logits.argmax(1) == training.dev_labels).sum()) / len(logits),
        "dev_loss": float(F.cross_entropy(logits, training.dev_labels)),
    }


def seen(training: Training, logits: Tensor) -> dict[str, Tensor]:
    """What the logits make of each dev image, on the CPU: `predicted`, its class, and `loss`, its cross-entropy."""
    # A class a row, images side by side: four times as fast as with the few classes innermost, and equal to rounding.
    losses = F.cross_entropy(logits.t().contiguous()[None], training.dev_labels[None], reduction="none")[0]
    return {"predicted": logits.argmax(1).cpu(), "loss": losses.cpu()}


def batch_order(training: Training, epoch: int) -> Tensor:
    """The order of the training images in an epoch: from the run's seed and the epoch, whatever tricks are on."""
    # On the CPU and moved: a CUDA generator would give the same seed another order.
    generator = torch.Generator().manual_seed(seed_for(training.seed, "order", epoch))
    return torch.randperm(len(training.images), generator=generator).to(training.facts.device)


def take_step(training: Training, index: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """One optimizer step, number `number` of the training, on the images at `index`: the loss, and of how many images
    the logits named the own class; both still on the device."""
    t = training
    t.streams.step = number
    images = _normalised(t, t.images.index_select(0, index))
    # As probabilities whether or not a trick mixes them, so that a run without mixup takes the path of one with it.
    targets = t.one_hot[t.labels[index]]
    for name, trick in t.hooks["batch"]:
        images, targets = trick.batch(images, targets, Step(number, t.facts, t.seed, name, index))
    with t.autocast():
        logits = t.forward(images)
        if logits.shape != targets.shape:
            raise ConfigError([("model", misshaped(type(t.recipe.model).__name__, logits.shape, targets.shape))])
        # float32 also under autocast: a logarithm of a sum of exponentials has too few digits in 16 bits.
        loss = F.cross_entropy(logits.float(), targets)
    for name, trick in t.hooks["loss"]:
        loss = trick.loss(loss, logits, targets, Step(number, t.facts, t.seed, name, index))
    # None, not zeros: backward then writes the first gradient instead of adding it, and a frozen layer has none at
    # all, so that not even weight decay moves it.
    for parameter in t.parameters:
        parameter.grad = None
    t.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    # Whoever clips must see gradients in their own size, without the scaler's factor. step() unscales no second time.
    if t.hooks["gradients"]:
        t.scaler.unscale_(t.optimizer)
    for name, trick in t.hooks["gradients"]:
        trick.gradients(t.model, Step(number, t.facts, t.seed, name, index))
    # From the step's number, not from a scheduler that counts, so that a training goes on from a checkpoint as it was.
    _set_rate(t, number)
    t.scaler.step(t.optimizer)
    t.scaler.update()
    for name, trick in t.hooks["after_step"]:
        step = Step(number, t.facts, t.seed, name, index)
        t.memories[name] = trick.after_step(t.memories.get(name), t.model, step)
    return loss.detach(), (logits.detach().argmax(1) == t.labels[index]).sum()


def _normalised(training: Training, images: Tensor) -> Tensor:
    """uint8 (n, height, width, channels) to normalised float (n, channels, height, width)."""
    # Images lie with their channels last, so permute alone is channels_last and copies nothing; the other format pays
    # a copy here. (Measured on one core with AVX2: channels_last trains 1.25 to 1.33 times as fast.)
    floats = images.permute(0, 3, 1, 2).to(torch.float32).mul_(training.scale).add_(training.shift)
    return floats if training.recipe.loop.channels_last else floats.contiguous()


def _set_rate(training: Training, number: int) -> None:
    """Learning rate and momentum of step `number`, as the schedule says."""
    factor, momentum = training.recipe.schedule.at(number, training.facts.steps, training.steps_per_epoch)
    for group in training.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor * training.eased
        if momentum is not None and group.get("momentum"):
            group["momentum"] = momentum
        elif momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])


@torch.inference_mode()
def evaluate(training: Training, images: Tensor) -> tuple[nn.Module, Tensor]:
    """The network that is evaluated, as the tricks make it, and its logits (n, classes) of uint8 images, float32."""
    model = training.model
    for name, trick in training.hooks["eval_model"]:
        model = trick.eval_model(model, training.memories.get(name))
    model.eval()  # and back below: train() walks every module, so it is not called at every step
    predicting = _measured(training, model)
    # Only the trained network was compiled; an average of weights, say, is another module.
    network = training.forward if predicting is training.model else predicting

    def forward(batch: Tensor) -> Tensor:
        with training.autocast():
            logits = network(batch)
        return logits.float()

    predict: Callable[[Tensor], Tensor] = forward
    for _, trick in training.hooks["predict"]:
        predict = trick.predict(predict)
    batches = torch.split(images, training.recipe.loop.eval_batch_size)
    logits = torch.cat([predict(_normalised(training, batch)) for batch in batches])
    training.model.train()
    return model, logits


def _measured(training: Training, model: nn.Module) -> nn.Module:
    """The network that predicts, where tricks of evaluation make another one of that which is evaluated."""
    if not training.hooks["measured"]:
        return model

    def batches() -> Iterator[Tensor]:
        # None is smaller than those of the training: of a last one of one image a batch norm may have one number.
        return (_normalised(training, one) for one in torch.tensor_split(training.images, training.steps_per_epoch))

    # Ordinary tensors: what takes a network apart asks whether a tensor was written to, which inference mode forgets.
    with torch.inference_mode(False), torch.no_grad(), training.autocast():
        for _, trick in training.hooks["measured"]:
            model = trick.measured(model, training.facts, batches)
    return model


# ------------------------------------------------------------------------------------------------------ what is left


def peak_mib(device: str) -> float:
    """The most memory that was in use: of the device on CUDA, of this process on a CPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 2**10 if sys.platform == "linux" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
