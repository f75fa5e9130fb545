"""Nesterov momentum: the step is taken from where the momentum is about to lead.

When: with SGD and momentum, nearly always at least as good as plain momentum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.training.recipe import SGD
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class Nesterov(Trick):
    """No parameters: it sets `optimizer.nesterov` to true."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = (
        "Sutskever et al. 2013, On the importance of initialization and momentum in deep learning, ICML"
    )
    label: ClassVar[str] = "Nesterov momentum"
    category: ClassVar[str] = "optimization"

    def recipe(self, recipe: Recipe) -> Recipe:
        optimizer = recipe.optimizer
        if not isinstance(optimizer, SGD) or optimizer.momentum == 0:
            raise ConfigError([("", f"needs the optimizer sgd with a momentum; it is {optimizer}.")])
        if optimizer.nesterov:
            raise ConfigError(
                [("", "changes nothing: optimizer.nesterov is true already. Set it to false in the base.")]
            )
        return replace(recipe, optimizer=replace(optimizer, nesterov=True))
