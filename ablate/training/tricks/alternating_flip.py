"""Alternating flip: every image is mirrored in every second epoch, and chance decides only which images begin.

When: in place of random flips, in trainings of a few epochs: in any two epochs in a row the net sees each image both
ways, where random flips show half of them twice the same way. Use it beside `crop_flip: {flip: false}`: a second flip
at random would undo it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.rng import seed_for
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AlternatingFlip(Trick):
    """No parameters. The coin of the first epoch comes from (the run's seed, the image's place in the training set)."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU, arXiv:2404.00498"
    label: ClassVar[str] = "alternating flip"
    category: ClassVar[str] = "augmentation"
    order: ClassVar[int] = 12

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        assert step.index is not None, "the loop says which images are in the batch"
        coins = torch.Generator(images.device).manual_seed(seed_for(step.seed, "trick", step.trick, "coins"))
        first = torch.randint(0, 2, (step.facts.train_size,), generator=coins, device=images.device)
        return alternate(images, first[step.index], step.epoch), targets


def alternate(images: Tensor, first: Tensor, epoch: int) -> Tensor:
    """The images, mirrored where `first` (n,) of 0 and 1 plus the epoch is odd."""
    import torch

    mirrored = (first + epoch) % 2 == 1
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)
