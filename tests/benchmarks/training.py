"""`make bench`: images per second of the training loop, as ratios to what a user would write instead. One core.

Beside ours run, in turn and on the same net, batch size and images: a plain loop whose DataLoader applies torchvision's
transforms to one image after the other, and a bare loop on preloaded, normalised tensors, which is the limit. CPU time of
this process, median of the rounds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms

from ablate.registry import Registry
from ablate.training import trainer
from ablate.training.dataset import Arrays
from ablate.training.recipe import parse
from ablate.training.trick import Step

BATCH, STEPS, ROUNDS = 128, 8, 5
NETS = {
    "small vgg": {"name": "vgg", "width": 16, "norm": "batch"},
    "ResNet-9, width 16": {"name": "resnet9", "width": 16},
}


def arrays() -> Arrays:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (BATCH * STEPS, 32, 32, 3), dtype=np.uint8)
    labels = np.arange(len(images)) % 10
    return Arrays.of((images, labels), (images[:100], labels[:100]), tuple("abcdefghij"))


def ours(model: dict[str, object], data: Arrays, *tricks: str) -> trainer.Training:
    registry = Registry()
    config = {"model": model, "batch_size": BATCH, "epochs": 1, "optimizer": {"name": "sgd", "momentum": 0.9}}
    made = [(name, registry.make("tricks", name, {})) for name in tricks]
    return trainer.prepare(parse(config, registry), made, data, 0, "cpu")


def epoch_of_ours(training: trainer.Training) -> Callable[[], None]:
    def epoch() -> None:
        order = trainer.batch_order(training, 0)
        for step in range(STEPS):
            trainer.take_step(training, order[step * BATCH : (step + 1) * BATCH], step)

    return epoch


def loader(data: Arrays) -> DataLoader[object]:
    steps = [transforms.ToPILImage(), transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)]
    apply = transforms.Compose(steps)
    pairs = [(image, int(label)) for image, label in zip(data.train_images, data.train_labels, strict=True)]

    class Images(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(pairs)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return apply(pairs[index][0]), pairs[index][1]

    return DataLoader(Images(), batch_size=BATCH, shuffle=True)


def epoch_of_loop(model: dict[str, object], batches: Callable[[], object], channels_last: bool) -> Callable[[], None]:
    """The loop of a tutorial over `batches`; with channels_last, the limit."""
    memory = torch.channels_last if channels_last else torch.contiguous_format
    net = Registry().make("models", str(model["name"]), {k: v for k, v in model.items() if k != "name"})
    net = net.build((3, 32, 32), 10).to(memory_format=memory)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9, fused=channels_last)

    def epoch() -> None:
        for images, labels in batches():  # type: ignore[attr-defined]
            loss = F.cross_entropy(net(images.contiguous(memory_format=memory)), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return epoch


def in_turn(**epochs: Callable[[], object]) -> dict[str, float]:
    """Median CPU seconds of each, run in turn so that noise hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in epochs}
    for number in range(ROUNDS + 1):
        for name, epoch in epochs.items():
            start = time.process_time()
            epoch()
            if number:  # the first round warms up
                taken[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def preloaded(data: Arrays) -> Callable[[], object]:
    images = torch.from_numpy(data.train_images).permute(0, 3, 1, 2).float().div_(255).sub_(0.5).div_(0.25)
    images, labels = images.contiguous(memory_format=torch.channels_last), torch.from_numpy(data.train_labels)
    return lambda: ((images[i], labels[i]) for i in torch.randperm(len(labels)).split(BATCH))


def main() -> None:
    torch.set_num_threads(1)
    trainer.settle("cpu")
    data = arrays()
    plain, tensors = loader(data), preloaded(data)
    images = BATCH * STEPS
    for name, model in NETS.items():
        taken = in_turn(
            ours=epoch_of_ours(ours(model, data, "crop_flip")),
            plain=epoch_of_loop(model, lambda: plain, channels_last=False),
            bare_ours=epoch_of_ours(ours(model, data)),
            bare=epoch_of_loop(model, tensors, channels_last=True),
        )
        print(
            f"{name:<20} {images / taken['ours']:7.0f} images/s; a DataLoader with torchvision's transforms "
            f"{images / taken['plain']:.0f}, ratio {taken['plain'] / taken['ours']:.2f} (at least 1.25); "
            f"without augmentation against a bare loop {taken['bare'] / taken['bare_ours']:.3f} (at least 0.97)",
            flush=True,
        )
    training = ours({"name": "vgg", "width": 4}, data, "crop_flip")
    ((_, trick),) = training.hooks["batch"]

    def pipeline() -> None:
        for step, index in enumerate(trainer.batch_order(training, 0).split(BATCH)):
            batch = trainer._normalised(training, training.images.index_select(0, index))
            at = Step(step, training.facts, training.seed, "crop_flip", index)
            trick.batch(batch, training.one_hot[training.labels[index]], at)

    taken = in_turn(ours=pipeline, plain=lambda: [None for _ in plain])
    ratio = taken["plain"] / taken["ours"]
    print(f"{'input alone':<20} {images / taken['ours']:7.0f} images/s; ratio {ratio:.1f} (at least 8)", flush=True)


if __name__ == "__main__":
    main()
