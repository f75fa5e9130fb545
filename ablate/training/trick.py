"""The contract of a trick: a frozen dataclass of parameters with hooks, a value in and a value out. Files in `tricks/`.

A hook changes what it is given, or returns it as it is (the default); it holds no state and draws only from its own
stream, `step.generator(...)`, so that switching it on shifts no other draw. Each file also offers what it does as a
pure function that fits any training loop. Where the hooks stand in the loop: the docstring of trainer.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.records import Json
from ablate.registry import Plugin
from ablate.rng import seed_for

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from ablate.training.recipe import Recipe

    Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Facts:
    """What stays the same during a training.

    image: (channels, height, width). black, white: (1, channels, 1, 1), such pixels after normalising; the mean colour
    is 0. train_size: images in the training set. steps: optimizer steps of the whole training.
    loaded: names of the tensors that start from trained weights (`init:`), known from the `optimizer` hook on; empty
    where the net starts from its seed.
    """

    image: tuple[int, int, int]
    classes: int
    steps: int
    epochs: int
    black: Tensor
    white: Tensor
    train_size: int
    device: torch.device
    loaded: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """One optimizer step as one trick sees it. number: from 0 to facts.steps - 1.

    index: (n,) the places of the batch's images in the training set; None outside of ablate's loop.
    """

    number: int
    facts: Facts
    seed: int
    trick: str
    index: Tensor | None = None

    @property
    def epoch(self) -> int:
        """The epoch that this step belongs to, from 0."""
        return self.number * self.facts.epochs // self.facts.steps

    @property
    def progress(self) -> float:
        """The share of the training that is behind, in [0, 1)."""
        return self.number / self.facts.steps

    def seed_for(self, *name: str | int) -> int:
        """The seed of this trick's stream `name` at this step."""
        return seed_for(self.seed, "trick", self.trick, self.number, *name)

    def generator(self, *name: str | int) -> torch.Generator:
        """A fresh generator of that stream, on the training's device. Equal calls give equal generators."""
        import torch

        return torch.Generator(self.facts.device).manual_seed(self.seed_for(*name))


class Trick(Plugin):
    """Something that can be switched on. Its fields are what `with: {alpha: 0.2}` may give.

    label: how tables print it. category: one of records.CATEGORIES. order: tricks act from low to high (10 moves
    pixels, 30 and 40 change targets). neutral: parameters at which it does nothing, bit for bit, though it runs.
    evaluation_only: it changes predictions and no weight. initialises: giving parameters other first values is what it
    is for. tried_on: changes to testing.TINY that the conformance suite needs to try it (a net with skip connections).
    imports: modules that it would import in every run; they are imported once, before runs begin.
    """

    label: ClassVar[str] = ""
    category: ClassVar[str] = "other"
    order: ClassVar[int] = 50
    neutral: ClassVar[Mapping[str, Json] | None] = None
    evaluation_only: ClassVar[bool] = False
    initialises: ClassVar[bool] = False
    tried_on: ClassVar[Mapping[str, Json]] = {}
    imports: ClassVar[tuple[str, ...]] = ()

    def recipe(self, recipe: Recipe) -> Recipe:
        """Before anything is made: another optimizer, schedule, model parameter. Called in the plan too.

        ConfigError, with an empty key, where the recipe is not one that this trick can change.
        """
        return recipe

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        """The initialised network. Parameters that it adds are drawn afterwards, each from its own name."""
        return model

    def optimizer(self, optimizer: Optimizer, model: nn.Module, facts: Facts) -> Optimizer:
        """The optimizer; its groups' `initial_lr` is what the schedule multiplies."""
        return optimizer

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """Images (n, channels, height, width), normalised; targets (n, classes), rows that sum to 1."""
        return images, targets

    def loss(self, loss: Tensor, logits: Tensor, targets: Tensor, step: Step) -> Tensor:
        """The scalar that is differentiated; before the first trick: cross-entropy against `targets`."""
        return loss

    def gradients(self, model: nn.Module, step: Step) -> None:
        """Changes the parameters' `.grad` in place (None: no gradient), between the backward pass and the step."""

    def after_step(self, memory: Any, model: nn.Module, step: Step) -> Any:
        """After the optimizer's step. `memory` is None at first, then whatever this returned: an average, say."""
        return memory

    def eval_model(self, model: nn.Module, memory: Any) -> nn.Module:
        """The network that is evaluated, saved and hashed in place of the trained one."""
        return model

    def measured(self, model: nn.Module, facts: Facts, batches: Callable[[], Iterator[Tensor]]) -> nn.Module:
        """The network that predicts, in place of the one that is evaluated, saved and hashed: a copy, for that one
        trains on. batches: all training images, normalised, in the data's order. Of tricks of evaluation only.
        """
        return model

    def predict(self, predict: Predict) -> Predict:
        """How evaluation goes from images to logits: several views averaged, say."""
        return predict


def has_hook(trick: Trick, name: str) -> bool:
    """Whether a trick does anything at a hook; the loop skips the others."""
    return getattr(type(trick), name) is not getattr(Trick, name)
