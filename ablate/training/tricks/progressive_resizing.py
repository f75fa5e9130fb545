"""Progressive resizing: training begins with smaller images, which cost less, and grows to the full size.

When: to save time, or as a curriculum; with weaker augmentation at first in the paper, not here. The net must take any
size: those that end in global pooling do (resnet, not vgg). Evaluation is at the full size from the first epoch on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt, Le

from ablate.errors import ConfigError
from ablate.registry import Share
from ablate.training.trick import Facts, Step, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ProgressiveResizing(Trick):
    """start: the first size as a share of the full one. until: the share of the training after which it is full.

    Sizes are multiples of 4 pixels, and 4 at least.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Tan & Le 2021, EfficientNetV2: Smaller models and faster training, arXiv:2104.00298"
    label: ClassVar[str] = "progressive resizing"
    category: ClassVar[str] = "other"
    order: ClassVar[int] = 25
    neutral: ClassVar[dict[str, object]] = {"start": 1.0}
    tried_on: ClassVar[dict[str, object]] = {"model": {"name": "resnet", "depth": 8, "width": 4}}

    start: Annotated[float, Gt(0), Le(1)] = 0.5
    until: Share = 0.75

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        import torch

        channels, height, width = facts.image
        sizes = size_at(0, self.start, self.until, height), size_at(0, self.start, self.until, width)
        model.eval()
        try:
            with torch.no_grad():
                model(torch.zeros(1, channels, *sizes))
        except (RuntimeError, ValueError) as error:
            message = (
                f"progressive_resizing starts at {sizes[0]}x{sizes[1]} pixels, which the net does not take: {error}"
            )
            raise ConfigError([("", message)]) from error
        return model.train()

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        height, width = (size_at(step.progress, self.start, self.until, full) for full in images.shape[2:])
        return resize(images, height, width), targets


def size_at(progress: float, start: float, until: float, full: int) -> int:
    """Pixels of a side when the share `progress` of the training is behind: from start * full up to full at `until`."""
    share = 1.0 if progress >= until else start + (1 - start) * progress / until
    return full if share >= 1 else min(max(4 * round(share * full / 4), 4), full)


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """The images at another size, bilinear after a blur that fits; as they are where they have that size."""
    from torch.nn import functional as F

    if (height, width) == tuple(images.shape[2:]):
        return images
    return F.interpolate(images, (height, width), mode="bilinear", antialias=True)
