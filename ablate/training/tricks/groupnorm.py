"""Group norm: after every convolution, each image's channels are normalised in groups, whatever the batch.

When: batches too small for batch norm's statistics, or a net that must not mix images; otherwise batch norm is usually
a little better. Excludes batchnorm, which sets the same parameter of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.training.recipe import with_model
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class GroupNorm(Trick):
    """No parameters: it sets `model.norm` to group, which is at most 8 groups of channels."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Wu & He 2018, Group normalization, arXiv:1803.08494"
    label: ClassVar[str] = "group norm"
    category: ClassVar[str] = "batchnorm"
    order: ClassVar[int] = 20

    def recipe(self, recipe: Recipe) -> Recipe:
        return with_model(recipe, "norm", "group")
