"""Colour jitter: every image gets its own brightness, contrast and saturation, each times a random factor.

When: photographs under changing light; not where colour tells the class. The three follow in this order for every
image, where torchvision shuffles them; grey images keep their (absent) saturation. Results stay in the black-to-white
range of the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Share
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ColorJitter(Trick):
    """brightness, contrast, saturation: factors are drawn from 1 - it to 1 + it, evenly."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Howard 2013, Some improvements on deep CNN based image classification, arXiv:1312.5402"
    label: ClassVar[str] = "colour jitter"
    category: ClassVar[str] = "augmentation"
    order: ClassVar[int] = 15
    neutral: ClassVar[dict[str, object]] = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}

    brightness: Share = 0.2
    contrast: Share = 0.2
    saturation: Share = 0.2

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        if not (self.brightness or self.contrast or self.saturation):
            return images, targets
        draws = torch.rand(3, len(images), generator=step.generator(), device=images.device) * 2 - 1
        scale = step.facts.white - step.facts.black
        light = (images - step.facts.black) / scale
        light = jitter(
            light, 1 + self.brightness * draws[0], 1 + self.contrast * draws[1], 1 + self.saturation * draws[2]
        )
        return light * scale + step.facts.black, targets


def jitter(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Images in [0, 1] by these factors, each (n,); as torchvision's adjust_brightness, _contrast and _saturation."""
    images = blend(images, 0.0, brightness)
    images = blend(images, grey(images).mean((1, 2, 3), keepdim=True), contrast)
    return blend(images, grey(images), saturation) if images.shape[1] == 3 else images


def blend(images: Tensor, towards: Tensor | float, factor: Tensor) -> Tensor:
    """factor 0: `towards`; 1: the images; above: away from it. factor: (n,); the result is cut to [0, 1]."""
    return (towards + (images - towards) * factor[:, None, None, None]).clamp(0, 1)


def grey(images: Tensor) -> Tensor:
    """(n, 1, height, width): luma (ITU-R 601) of three channels, the mean of any other number."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    return 0.2989 * images[:, :1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:]
