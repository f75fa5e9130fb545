"""Weight standardisation: every convolution's filters are used with mean 0 and standard deviation 1.

When: small batches with group norm, where it closes most of the gap to batch norm. It needs a norm after each
convolution, for the scale of the weights is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn

    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class WeightStandardisation(Trick):
    """No parameters; weight decay still acts on the weights as they are stored."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Qiao et al. 2019, Micro-batch training with weight standardization, arXiv:1903.10520"
    label: ClassVar[str] = "weight standardisation"
    category: ClassVar[str] = "batchnorm"

    def recipe(self, recipe: Recipe) -> Recipe:
        if getattr(recipe.model, "norm", "batch") == "none":
            raise ConfigError([("", "needs a norm after each convolution; model.norm is none. Set it to group, say.")])
        return recipe

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_standardised_weights(model)


def with_standardised_weights(model: nn.Module) -> nn.Module:
    """The model, in place; filters of a single weight, which would become 0, are left alone."""
    from torch import nn

    from ablate.training import layers

    convolutions = [m for m in model.modules() if type(m) is nn.Conv2d and m.weight[0].numel() > 1]
    if not convolutions:
        raise ConfigError([("", "weight_standardisation needs a model with convolutions, and this one has none.")])
    for module in convolutions:
        module.__class__ = layers.StandardisedConv2d  # keeps parameters, hooks and place
    return model
