"""Random erasing: of some images, a rectangle of random size, shape and place becomes noise.

When: as cutout, which always takes a square of one size from every image; use one of the two. Where the paper draws a
rectangle again until it fits into the image, a side that is too long is cut to the image's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Gt, Le

from ablate.registry import Share
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RandomErasing(Trick):
    """probability: of an image to lose a rectangle. smallest, largest: its share of the image's area.

    ratio: the longest side is at most 1/ratio of the other. fill: noise (normal, as the images are) or mean (their
    mean colour).
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Zhong et al. 2017, Random erasing data augmentation, arXiv:1708.04896"
    label: ClassVar[str] = "random erasing"
    category: ClassVar[str] = "augmentation"
    order: ClassVar[int] = 20
    neutral: ClassVar[dict[str, object]] = {"probability": 0.0}

    probability: Share = 0.5
    smallest: Annotated[float, Gt(0), Le(1)] = 0.02
    largest: Annotated[float, Gt(0), Le(1)] = 0.4
    ratio: Annotated[float, Gt(0), Le(1)] = 0.3
    fill: Literal["noise", "mean"] = "noise"

    def __post_init__(self) -> None:
        if self.smallest > self.largest:
            raise ValueError(f"smallest is {self.smallest}, above largest, which is {self.largest}.")

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        draws = torch.rand(5, len(images), generator=step.generator(), device=images.device)
        area = self.smallest + (self.largest - self.smallest) * draws[1]
        aspect = torch.exp((2 * draws[2] - 1) * -math.log(self.ratio))
        chosen = rectangles(images, draws[0] < self.probability, area, aspect, draws[3], draws[4])
        if self.fill == "mean":
            return images.masked_fill(chosen, 0.0), targets
        noise = torch.empty_like(images).normal_(generator=step.generator("noise"))
        return torch.where(chosen, noise, images), targets


def rectangles(images: Tensor, on: Tensor, area: Tensor, aspect: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """(n, 1, height, width), true inside of each image's rectangle. All of (n,).

    area: share of the image. aspect: height over width. top, left: in [0, 1), of the room that the rectangle leaves.
    """
    import torch

    height, width = images.shape[2:]
    pixels = area * height * width

    def inside(size: int, length: Tensor, place: Tensor) -> Tensor:
        length = length.round().clamp(max=size)[:, None]
        first = (place[:, None] * (size - length + 1)).floor()
        at = torch.arange(size, device=images.device)
        return (at >= first) & (at < first + length)

    rows, columns = inside(height, (pixels * aspect).sqrt(), top), inside(width, (pixels / aspect).sqrt(), left)
    return (rows[:, :, None] & columns[:, None, :] & on[:, None, None])[:, None]
