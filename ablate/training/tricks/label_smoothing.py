"""Label smoothing: a share of every target is spread evenly over all classes.

When: many classes or noisy labels; it raises the training loss by design, so compare accuracies or dev losses. It
changes targets, not the loss, and so composes with mixup.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import ShareBelowOne
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LabelSmoothing(Trick):
    """smoothing: the share that is spread."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Szegedy et al. 2016, Rethinking the Inception architecture, arXiv:1512.00567"
    label: ClassVar[str] = "label smoothing"
    category: ClassVar[str] = "regularization"
    order: ClassVar[int] = 30
    neutral: ClassVar[dict[str, object]] = {"smoothing": 0.0}

    smoothing: ShareBelowOne = 0.1

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        return images, smooth(targets, self.smoothing)


def smooth(targets: Tensor, smoothing: float) -> Tensor:
    """(n, classes) rows that sum to 1, and still do."""
    return targets * (1 - smoothing) + smoothing / targets.shape[1]
