"""Cutout: one square of every image, at a random place, becomes the mean colour.

When: small images and nets that overfit; beside crops and flips. The square's centre may lie at the border, so that
part of it may lie outside, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Size
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Cutout(Trick):
    """length: the square's side in pixels; None for half of the image (16 of 32, the paper's for CIFAR-10)."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "DeVries & Taylor 2017, Cutout, arXiv:1708.04552"
    label: ClassVar[str] = "cutout"
    category: ClassVar[str] = "augmentation"
    order: ClassVar[int] = 20
    neutral: ClassVar[dict[str, object]] = {"length": 0}

    length: Size | None = None

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        height, width = images.shape[2:]
        length = width // 2 if self.length is None else self.length
        generator = step.generator()
        row = torch.randint(0, height, (len(images),), generator=generator, device=images.device)
        column = torch.randint(0, width, (len(images),), generator=generator, device=images.device)
        return cutout(images, length, row, column), targets


def cutout(images: Tensor, length: int, row: Tensor, column: Tensor) -> Tensor:
    """The images with 0 in a square of side `length` whose centre is at (row, column), each (n,)."""
    import torch

    def inside(size: int, centre: Tensor) -> Tensor:
        first = (centre - length // 2)[:, None]
        place = torch.arange(size, device=images.device)
        return (place >= first) & (place < first + length)

    square = inside(images.shape[2], row)[:, :, None] & inside(images.shape[3], column)[:, None, :]
    return images.masked_fill(square[:, None], 0.0)
