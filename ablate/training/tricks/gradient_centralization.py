"""Gradient centralization: the mean of every filter's gradient is taken away before the step.

When: as a cheap addition to SGD or Adam; it keeps each filter's mean where it started, much as weight standardisation
does. Biases and norms are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class GradientCentralization(Trick):
    """No parameters."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Yong et al. 2020, Gradient centralization, arXiv:2004.01461"
    label: ClassVar[str] = "gradient centralization"
    category: ClassVar[str] = "optimization"
    order: ClassVar[int] = 70

    def gradients(self, model: nn.Module, step: Step) -> None:
        centralize(model)


def centralize(model: nn.Module) -> None:
    """Every gradient of more than one weight per output, minus its mean over everything but the outputs."""
    for parameter in model.parameters():
        grad = parameter.grad
        if grad is not None and grad.numel() > grad.shape[0]:
            grad.sub_(grad.mean(tuple(range(1, grad.dim())), keepdim=True))
