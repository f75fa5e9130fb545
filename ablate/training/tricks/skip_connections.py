"""Skip connections: every block's input is added to its output, so that gradients reach the first layers unchanged.

When: nets of more than about ten layers, nearly always. The base is the same net without them: `model: {name: resnet,
skip: false}`; no parameter is renamed, and with shortcuts that have none, none is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.training.recipe import with_model
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class SkipConnections(Trick):
    """No parameters: it sets `model.skip` to true."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "He et al. 2016, Deep residual learning for image recognition, arXiv:1512.03385"
    label: ClassVar[str] = "skip connections"
    category: ClassVar[str] = "skip"
    order: ClassVar[int] = 20
    tried_on: ClassVar[dict[str, object]] = {"model": {"name": "resnet", "depth": 8, "width": 4, "skip": False}}

    def recipe(self, recipe: Recipe) -> Recipe:
        return with_model(recipe, "skip", True)
