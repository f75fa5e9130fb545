"""Warm-up: the learning rate rises in a line from near 0 over the first epochs; then the schedule begins.

When: high learning rates, large batches, Adam, nets without norm. It goes with any schedule but OneCycle, which has its
own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.registry import NonNegative
from ablate.training.schedules import OneCycle
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class Warmup(Trick):
    """epochs: how long it rises; part of one will do, 0 leaves the recipe as it is."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Goyal et al. 2017, Accurate, large minibatch SGD, arXiv:1706.02677"
    label: ClassVar[str] = "warm-up"
    category: ClassVar[str] = "optimization"
    order: ClassVar[int] = 55  # after a trick that sets the schedule
    neutral: ClassVar[dict[str, object]] = {"epochs": 0.0}

    epochs: NonNegative = 1.0

    def recipe(self, recipe: Recipe) -> Recipe:
        if isinstance(recipe.schedule, OneCycle):
            raise ConfigError([("", "does not go with the schedule onecycle, which has a warm-up of its own.")])
        if not self.epochs:
            return recipe
        return replace(recipe, schedule=replace(recipe.schedule, warmup_epochs=self.epochs))
