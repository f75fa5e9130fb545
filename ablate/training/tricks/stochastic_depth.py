"""Stochastic depth: in training, every image skips residual blocks at random, the later ones more often.

When: deep residual nets; on shallow ones it takes away more than it gives. The kept branches are scaled up, so that
evaluation needs no change. It sets what a model's own `stochastic_depth` would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.registry import ShareBelowOne
from ablate.training.recipe import Recipe, with_skips
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class StochasticDepth(Trick):
    """p: the probability with which an image skips the last block; it grows linearly from the first."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Huang et al. 2016, Deep networks with stochastic depth, arXiv:1603.09382"
    label: ClassVar[str] = "stochastic depth"
    category: ClassVar[str] = "dropout"
    neutral: ClassVar[dict[str, object]] = {"p": 0.0}
    tried_on: ClassVar[dict[str, object]] = {"model": {"name": "resnet", "depth": 8, "width": 4}}

    p: ShareBelowOne = 0.2

    def recipe(self, recipe: Recipe) -> Recipe:
        return with_skips(recipe)

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_stochastic_depth(model, self.p)


def with_stochastic_depth(model: nn.Module, p: float) -> nn.Module:
    """The model, in place; block i of n, from 1, is skipped with probability p * i / n."""
    from ablate.training import layers

    blocks = [m for m in model.modules() if isinstance(m, layers.Residual) and m.shortcut is not None]
    if not blocks:
        raise ConfigError([("", "stochastic_depth needs blocks of ablate.layers.Residual with a skip connection.")])
    if any(block.drop.p for block in blocks):
        raise ConfigError([("", "stochastic_depth finds that of the model switched on; set the model's to 0.")])
    for i, block in enumerate(blocks, start=1):
        block.drop.p = p * i / len(blocks)
    return model
