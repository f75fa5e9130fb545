"""AdamW: Adam, whose steps are of about equal size for every weight, with the weights decayed apart from the gradient.

When: nets without norm, transformers, ConvNeXt; well tuned SGD is often as good on small convolutional nets. Replaces
the base's optimizer with all of its parameters; excludes nesterov and muon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import NonNegative, Positive, ShareBelowOne
from ablate.training.recipe import AdamW
from ablate.training.trick import Trick

if TYPE_CHECKING:
    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class AdamWOptimizer(Trick):
    """As torch's, with torch's defaults."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Loshchilov & Hutter 2019, Decoupled weight decay regularization, arXiv:1711.05101"
    label: ClassVar[str] = "AdamW"
    category: ClassVar[str] = "optimization"
    order: ClassVar[int] = 40

    lr: Positive = 1e-3
    betas: tuple[ShareBelowOne, ShareBelowOne] = (0.9, 0.999)
    weight_decay: NonNegative = 1e-2

    def recipe(self, recipe: Recipe) -> Recipe:
        return replace(recipe, optimizer=AdamW(lr=self.lr, betas=self.betas, weight_decay=self.weight_decay))
