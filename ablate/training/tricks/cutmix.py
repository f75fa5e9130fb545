"""CutMix: a rectangle of every image is replaced by that of another image of the batch, and the target by its share.

When: as mixup, longer trainings that overfit; parts stay natural, where mixup's images do not. With both on, an image
is cut, then mixed; papers that use both choose one per batch. One rectangle per batch, as in the authors' code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import NonNegative, Share
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CutMix(Trick):
    """alpha: the share that is kept is drawn from Beta(alpha, alpha); 0: nothing is mixed. probability: of a batch."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = (
        "Yun et al. 2019, CutMix: Regularization strategy to train strong classifiers, arXiv:1905.04899"
    )
    label: ClassVar[str] = "cutmix"
    category: ClassVar[str] = "augmentation"
    order: ClassVar[int] = 40
    neutral: ClassVar[dict[str, object]] = {"alpha": 0.0}

    alpha: NonNegative = 1.0
    probability: Share = 1.0

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import numpy as np
        import torch

        draw = np.random.default_rng(step.seed_for("box"))
        on = draw.random() < self.probability
        if not (on and self.alpha):
            return images, targets
        height, width = images.shape[2:]
        row, column = int(draw.integers(height)), int(draw.integers(width))
        box = rectangle(float(draw.beta(self.alpha, self.alpha)), height, width, row, column)
        others = torch.randperm(len(images), generator=step.generator("others"), device=images.device)
        return cutmix(images, targets, box, others)


def rectangle(kept: float, height: int, width: int, row: int, column: int) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of a rectangle around (row, column) with 1 - kept of the area, cut at the borders."""
    side = math.sqrt(1 - kept)
    tall, wide = int(height * side), int(width * side)
    top, left = row - tall // 2, column - wide // 2
    return max(top, 0), min(row + tall // 2, height), max(left, 0), min(column + wide // 2, width)


def cutmix(images: Tensor, targets: Tensor, box: tuple[int, int, int, int], others: Tensor) -> tuple[Tensor, Tensor]:
    """Images with the box of `others`, a permutation of the batch; targets by the area that the box really has."""
    top, bottom, left, right = box
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images[others, :, top:bottom, left:right]
    share = (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
    return mixed, targets * (1 - share) + targets[others] * share
