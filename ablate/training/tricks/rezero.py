"""ReZero: what a residual block adds to its input is multiplied by one learned number, which is 0 at first.

When: deep residual nets, above all without norm: at the start every block passes its input on, and training is stable.
Needs skip connections. A block whose branch ends in batch norm learns the same from that norm's weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.registry import NonNegative
from ablate.training.recipe import Recipe, with_skips
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ReZero(Trick):
    """start: the factor's first value (0 in the paper)."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Bachlechner et al. 2020, ReZero is all you need, arXiv:2003.04887"
    label: ClassVar[str] = "ReZero"
    category: ClassVar[str] = "skip"
    order: ClassVar[int] = 70  # the factor comes after whatever else is put at the end of a branch
    tried_on: ClassVar[dict[str, object]] = {"model": {"name": "resnet", "depth": 8, "width": 4}}

    start: NonNegative = 0.0

    def recipe(self, recipe: Recipe) -> Recipe:
        return with_skips(recipe)

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_rezero(model, self.start)


def with_rezero(model: nn.Module, start: float) -> nn.Module:
    """The model, in place, with a learned factor at the end of every residual branch."""
    from torch import nn

    from ablate.training import layers

    blocks = [m for m in model.modules() if isinstance(m, layers.Residual) and m.shortcut is not None]
    branches = [block.branch for block in blocks if isinstance(block.branch, nn.Sequential)]
    if not branches:
        raise ConfigError([("", "rezero needs blocks of ablate.layers.Residual with a skip connection.")])
    for branch in branches:
        branch.add_module("rezero", layers.LayerScale(1, start))
    return model
