"""Random crops and horizontal flips: pad every image with black, cut out a window at random, mirror half of them.

When: nearly always, for images of objects; leave flips off where left and right mean something (digits, text).
The whole batch is cropped by one gather, from one view of all its windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Size
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class CropFlip(Trick):
    """padding: pixels on every side; None for an eighth of the image (4 of 32). flip: mirror half of the images."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "He et al. 2016, Deep residual learning, arXiv:1512.03385, section 4.2"
    label: ClassVar[str] = "crop + flip"
    category: ClassVar[str] = "augmentation"
    order: ClassVar[int] = 10
    neutral: ClassVar[dict[str, object]] = {"padding": 0, "flip": False}

    padding: Size | None = None
    flip: bool = True

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        count, device = len(images), images.device
        padding = -(-images.shape[-1] // 8) if self.padding is None else self.padding
        corners = torch.randint(0, 2 * padding + 1, (2, count), generator=step.generator("crop"), device=device)
        images = crop(images, padding, corners[0], corners[1], step.facts.black)
        if self.flip:
            images = flip(images, torch.rand(count, generator=step.generator("flip"), device=device) < 0.5)
        return images, targets


def crop(images: Tensor, padding: int, top: Tensor, left: Tensor, fill: Tensor) -> Tensor:
    """Windows of the images' own size out of the padded images; row and column of each corner in 0..2*padding.

    images: (n, channels, height, width), returned in channels_last order. fill: (1, channels, 1, 1).
    """
    import torch

    n, channels, height, width = images.shape
    padded = images.new_empty(n, height + 2 * padding, width + 2 * padding, channels)
    padded.copy_(fill.permute(0, 2, 3, 1).expand_as(padded))
    padded[:, padding : padding + height, padding : padding + width] = images.permute(0, 2, 3, 1)
    per_image, per_row, per_column, per_channel = padded.stride()
    corners = 2 * padding + 1
    windows = padded.as_strided(
        (n, corners, corners, height, width, channels),
        (per_image, per_row, per_column, per_row, per_column, per_channel),
    )
    return windows[torch.arange(n, device=images.device), top, left].permute(0, 3, 1, 2)


def flip(images: Tensor, mirrored: Tensor) -> Tensor:
    """The images, those where `mirrored` (n,) is true from right to left."""
    import torch

    return torch.where(mirrored[:, None, None, None], images.flip(3), images)
