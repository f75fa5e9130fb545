"""Mixup: every image, and its target, is a weighted mean of itself and another one of its batch.

When: longer trainings that overfit; short ones may get worse. One weight per batch, as in the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import NonNegative
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Mixup(Trick):
    """alpha: the weight is drawn from Beta(alpha, alpha); 0: nothing is mixed."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Zhang et al. 2018, mixup: Beyond empirical risk minimization, arXiv:1710.09412"
    label: ClassVar[str] = "mixup"
    category: ClassVar[str] = "augmentation"
    order: ClassVar[int] = 40
    neutral: ClassVar[dict[str, object]] = {"alpha": 0.0}

    alpha: NonNegative = 0.2

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import numpy as np
        import torch

        # torch's Beta takes no generator; numpy's does, and one number a batch costs nothing
        weight = np.random.default_rng(step.seed_for("weight")).beta(self.alpha, self.alpha) if self.alpha else 1.0
        others = torch.randperm(len(images), generator=step.generator("others"), device=images.device)
        return mixup(images, targets, float(weight), others)


def mixup(images: Tensor, targets: Tensor, weight: float, others: Tensor) -> tuple[Tensor, Tensor]:
    """weight * (image, target) + (1 - weight) * (those of `others`, a permutation of the batch)."""
    mixed = images * weight + images[others] * (1 - weight)
    return mixed, targets * weight + targets[others] * (1 - weight)
