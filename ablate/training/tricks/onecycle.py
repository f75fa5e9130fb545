"""OneCycle: the learning rate rises to its peak in the first third of the training and falls to almost 0 by the end.

When: trainings of a fixed, small number of epochs; it takes higher learning rates than a constant one, hence `peak`. It
replaces the base's schedule, warm-up included; excludes cosine and warmup.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Positive, Share
from ablate.training.schedules import OneCycle
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class OneCycleRate(Trick):
    """peak: the highest rate, in multiples of the optimizer's. warmup: the share of the training in which it rises.

    momentum_cycle: momentum goes from 0.95 to 0.85 and back meanwhile.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Smith & Topin 2018, Super-convergence, arXiv:1708.07120"
    label: ClassVar[str] = "OneCycle"
    category: ClassVar[str] = "optimization"

    peak: Positive = 1.0
    warmup: Share = 0.3
    momentum_cycle: bool = True

    def recipe(self, recipe: Recipe) -> Recipe:
        schedule = OneCycle(warmup=self.warmup, momentum_cycle=self.momentum_cycle)
        optimizer = replace(recipe.optimizer, lr=recipe.optimizer.lr * self.peak)
        return replace(recipe, schedule=schedule, optimizer=optimizer)
