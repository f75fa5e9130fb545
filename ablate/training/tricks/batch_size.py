"""Batch size: larger or smaller batches, with the learning rate moved along.

When: larger ones to use a device fully, smaller ones for more steps and more noise. The rate is scaled because a
training with k times the batch takes 1/k of the steps; a warm-up helps where it becomes high.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from ablate.registry import Positive
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class BatchSize(Trick):
    """factor: of the base's batch size. rate: the learning rate times the same (linear), its root (sqrt), or kept."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Goyal et al. 2017, Accurate, large minibatch SGD, arXiv:1706.02677"
    label: ClassVar[str] = "batch size"
    category: ClassVar[str] = "optimization"
    order: ClassVar[int] = 55  # after a trick that sets the optimizer
    neutral: ClassVar[dict[str, object]] = {"factor": 1.0}

    factor: Positive = 2.0
    rate: Literal["linear", "sqrt", "kept"] = "linear"

    def recipe(self, recipe: Recipe) -> Recipe:
        size = max(round(recipe.loop.batch_size * self.factor), 1)
        power = {"linear": 1.0, "sqrt": 0.5, "kept": 0.0}[self.rate]
        lr = recipe.optimizer.lr * (size / recipe.loop.batch_size) ** power
        loop, optimizer = replace(recipe.loop, batch_size=size), replace(recipe.optimizer, lr=lr)
        return replace(recipe, loop=loop, optimizer=optimizer)
