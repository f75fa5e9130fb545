"""Gradient clipping: a gradient longer than a limit is shortened to it; its direction stays.

When: trainings that diverge or whose loss leaps, high learning rates; it replaces some of a warm-up. The length is that
of all parameters' gradients together, after what other tricks add to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Positive
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class GradientClipping(Trick):
    """max_norm: the limit; null for none."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = (
        "Pascanu et al. 2013, On the difficulty of training recurrent neural networks, arXiv:1211.5063"
    )
    label: ClassVar[str] = "gradient clipping"
    category: ClassVar[str] = "optimization"
    order: ClassVar[int] = 90
    neutral: ClassVar[dict[str, object]] = {"max_norm": None}

    max_norm: Positive | None = 1.0

    def gradients(self, model: nn.Module, step: Step) -> None:
        from torch.nn.utils import clip_grad_norm_

        if self.max_norm is not None:
            clip_grad_norm_(model.parameters(), self.max_norm)  # on the device: nothing waits
