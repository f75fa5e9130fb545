"""TrivialAugment: one of 14 changes of geometry or colour for every image, at a random strength; nothing to tune.

When: longer trainings that overfit, beside crops and flips. The changes and their ranges are those of the paper's wide
space, as in torchvision, but translations reach as far as the image is wide (32 pixels for CIFAR, which is the
paper's). The images of a batch that get the same change are changed together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Share
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TrivialAugment(Trick):
    """probability: of an image to be changed at all (1 in the paper, where one of the changes is none)."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Müller & Hutter 2021, TrivialAugment, arXiv:2103.10158"
    label: ClassVar[str] = "TrivialAugment"
    category: ClassVar[str] = "augmentation"
    order: ClassVar[int] = 14
    neutral: ClassVar[dict[str, object]] = {"probability": 0.0}

    probability: Share = 1.0

    def batch(self, images: Tensor, targets: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        # Drawn on the CPU: which images get which change is then known without waiting for the device.
        generator = torch.Generator().manual_seed(step.seed_for("changes"))
        count = len(images)
        names = torch.randint(0, len(CHANGES), (count,), generator=generator)
        strengths = torch.randint(0, 31, (count,), generator=generator) / 30
        signs = torch.randint(0, 2, (count,), generator=generator) * 2.0 - 1
        names[torch.rand(count, generator=generator) >= self.probability] = list(CHANGES).index("identity")
        black, scale = step.facts.black, step.facts.white - step.facts.black
        changed = images.clone()
        for number, change in enumerate(CHANGES.values()):
            rows = (names == number).nonzero()[:, 0]
            if change is not None and len(rows):
                strength, sign = (draw[rows].to(images.device) for draw in (strengths, signs))
                rows = rows.to(images.device)
                light = ((images[rows] - black) / scale).clamp(0, 1)
                changed[rows] = change(light, strength, sign) * scale + black
        return changed, targets


def affine(images: Tensor, rows: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]) -> Tensor:
    """Each pixel from where a 2x3 matrix per image says, the nearest one; black from outside.

    rows: of the matrix, entries (n,). Coordinates are -1 at one border of the image and 1 at the other.
    """
    import torch
    from torch.nn import functional as F

    matrix = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


def shear_x(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Rows are shifted by up to 0.99 of their distance from the top."""
    ratio = images.shape[2] / images.shape[3]
    shear, zero = sign * strength * 0.99 * ratio, strength * 0
    return affine(images, ((zero + 1, shear, shear), (zero, zero + 1, zero)))


def shear_y(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Columns are shifted by up to 0.99 of their distance from the left."""
    ratio = images.shape[3] / images.shape[2]
    shear, zero = sign * strength * 0.99 * ratio, strength * 0
    return affine(images, ((zero + 1, zero, zero), (shear, zero + 1, shear)))


def translate_x(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    zero = strength * 0
    return affine(images, ((zero + 1, zero, 2 * sign * strength), (zero, zero + 1, zero)))


def translate_y(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    zero = strength * 0
    return affine(images, ((zero + 1, zero, zero), (zero, zero + 1, 2 * sign * strength)))


def rotate(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Around the centre, counter-clockwise, by up to 135 degrees."""
    angle = sign * strength * math.radians(135)
    cosine, sine, zero = angle.cos(), angle.sin(), strength * 0
    ratio = images.shape[2] / images.shape[3]
    return affine(images, ((cosine, -sine * ratio, zero), (sine / ratio, cosine, zero)))


def brightness(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    return _blend(images, images * 0, strength, sign)


def contrast(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    return _blend(images, _grey(images).mean((1, 2, 3), keepdim=True), strength, sign)


def saturation(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """ "Color" in the paper; images of other than three channels have none."""
    return _blend(images, _grey(images), strength, sign) if images.shape[1] == 3 else images


def sharpness(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Away from, or towards, a 3x3 smoothing whose centre weighs 5 of 13; border pixels stay."""
    from torch.nn import functional as F

    channels = images.shape[1]
    kernel = images.new_ones(1, 1, 3, 3) / 13
    kernel[:, :, 1, 1] = 5 / 13
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, kernel.expand(channels, 1, 3, 3), groups=channels)
    return _blend(images, smooth, strength, sign)


def posterize(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Only the first 8 to 2 bits of every value are kept."""
    size = 2 ** (strength * 6).round()[:, None, None, None]
    return ((images * 255).round() / size).floor() * size / 255


def solarize(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Values from a threshold on, which goes down from 255 to 0, are inverted."""
    threshold = 255 * (1 - strength)[:, None, None, None]
    return images.where((images * 255).round() < threshold, 1 - images)


def autocontrast(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Every channel stretched to 0..1; a constant one stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return images.where(high == low, (images - low) / (high - low).clamp(min=1e-9))


def equalize(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:  # noqa: ARG001
    """Every channel's histogram flattened, with Pillow's integer arithmetic."""
    import torch

    values = (images * 255).round().long().flatten(2)
    histogram = values.new_zeros(*values.shape[:2], 256).scatter_add_(2, values, torch.ones_like(values))
    last = histogram.gather(2, values.amax(2, keepdim=True))
    step = (values.shape[2] - last) // 255
    table = (histogram.cumsum(2) - histogram + step // 2) // step.clamp(min=1)
    equal = table.clamp(0, 255).gather(2, values).view_as(images) / 255
    return images.where((step == 0)[..., None], equal)


def _blend(images: Tensor, towards: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Factor 1 +- 0.99 * strength: above 1 away from `towards`, below 1 towards it."""
    factor = (1 + sign * strength * 0.99)[:, None, None, None]
    return (towards + (images - towards) * factor).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    """(n, 1, height, width): luma (ITU-R 601) of three channels, the mean of any other number."""
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    return 0.2989 * images[:, :1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:]


Change = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""Images (n, channels, height, width) in 0..1, strength (n,) in 0..1 and sign (n,) to images in 0..1."""

CHANGES: Mapping[str, Change | None] = {
    "identity": None,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
    "brightness": brightness,
    "saturation": saturation,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}
