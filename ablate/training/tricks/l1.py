"""L1 regularisation: every step moves the weights by a constant towards 0, so that those that do little stay near it.

When: sparse weights are wanted; for accuracy, weight decay is the usual choice. It adds the gradient of strength * |w|
for the weights of convolutions and linear layers; `train_loss` does not show the penalty. Under Adam its strength is
relative to each weight's usual gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import NonNegative
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class L1(Trick):
    """strength: of the penalty, per weight."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Tibshirani 1996, Regression shrinkage and selection via the lasso, JRSS B 58"
    label: ClassVar[str] = "L1"
    category: ClassVar[str] = "regularization"
    order: ClassVar[int] = 50
    neutral: ClassVar[dict[str, object]] = {"strength": 0.0}

    strength: NonNegative = 1e-5

    def gradients(self, model: nn.Module, step: Step) -> None:
        if self.strength:
            add_l1(model, self.strength)


def add_l1(model: nn.Module, strength: float) -> None:
    """Add strength * sign(w) to the gradient of every weight of more than one dimension."""
    for parameter in model.parameters():
        if parameter.grad is not None and parameter.dim() > 1:
            parameter.grad.add_(parameter.detach().sign(), alpha=strength)
