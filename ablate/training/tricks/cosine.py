"""Cosine schedule: the learning rate falls from its value to almost 0 along half a cosine.

When: nearly always better than a constant rate, and nothing to tune. It keeps a warm-up; excludes onecycle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Share
from ablate.training.schedules import Cosine
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class CosineRate(Trick):
    """final: what is left of the rate in the end."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = (
        "Loshchilov & Hutter 2017, SGDR: Stochastic gradient descent with warm restarts, arXiv:1608.03983"
    )
    label: ClassVar[str] = "cosine schedule"
    category: ClassVar[str] = "optimization"

    final: Share = 0.0

    def recipe(self, recipe: Recipe) -> Recipe:
        warmup = getattr(recipe.schedule, "warmup_epochs", 0.0)
        return replace(recipe, schedule=Cosine(warmup_epochs=warmup, final=self.final))
