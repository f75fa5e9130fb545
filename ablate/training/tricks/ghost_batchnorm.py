"""Ghost batch norm: batch norm over parts of the batch, so that a large batch regularises as a small one does.

When: large batches; with small ones there is nothing to split. Evaluation is that of batch norm. The running statistics
take in one part after the other, and so move faster than with whole batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from ablate.errors import ConfigError
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn

    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class GhostBatchNorm(Trick):
    """size: images of a part, which get one mean and variance; null for the whole batch. A rest joins the parts."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Hoffer et al. 2017, Train longer, generalize better, arXiv:1705.08741"
    label: ClassVar[str] = "ghost batch norm"
    category: ClassVar[str] = "batchnorm"
    neutral: ClassVar[dict[str, object]] = {"size": None}

    size: Annotated[int, Ge(2)] | None = 16

    def recipe(self, recipe: Recipe) -> Recipe:
        if getattr(recipe.model, "norm", "batch") != "batch":
            raise ConfigError([("", f"needs batch norm; model.norm is {getattr(recipe.model, 'norm', None)}.")])
        if self.size is not None and recipe.loop.batch_size < 2 * self.size:
            message = f"size is {self.size}, and a batch has {recipe.loop.batch_size} images: there are no two parts."
            raise ConfigError([("", message)])
        return recipe

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_ghost_batchnorm(model, self.size)


def with_ghost_batchnorm(model: nn.Module, size: int | None) -> nn.Module:
    """The model, in place; its batch norms become ghost batch norms with the same parameters under the same names."""
    from torch import nn

    from ablate.training import layers

    norms = [module for module in model.modules() if type(module) is nn.BatchNorm2d]
    if not norms:
        raise ConfigError([("", "ghost_batchnorm needs a model with batch norm, and this one has none.")])
    for module in norms:
        module.__class__ = layers.GhostBatchNorm  # keeps parameters, buffers, hooks and place
        module.size = size  # type: ignore[assignment]
    return model
