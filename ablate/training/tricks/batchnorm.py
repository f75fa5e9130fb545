"""Batch norm: after every convolution, each channel gets mean 0 and variance 1 over the batch, then a learned scale.

When: nearly always, with batches of 16 or more; it allows higher learning rates. The base must have another norm, or
none: `model: {norm: none}`. Excludes groupnorm, which sets the same parameter of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.training.recipe import with_model
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class BatchNorm(Trick):
    """No parameters: it sets `model.norm` to batch."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Ioffe & Szegedy 2015, Batch normalization, arXiv:1502.03167"
    label: ClassVar[str] = "batch norm"
    category: ClassVar[str] = "batchnorm"
    order: ClassVar[int] = 20
    tried_on: ClassVar[dict[str, object]] = {"model": {"name": "vgg", "width": 4, "depth": 1, "norm": "none"}}

    def recipe(self, recipe: Recipe) -> Recipe:
        return with_model(recipe, "norm", "batch")
