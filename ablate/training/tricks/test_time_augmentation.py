"""Test-time augmentation: a prediction is the mean over mirrored and shifted views of the image.

When: some accuracy for nothing but time in evaluation; meant for nets that were trained with flips and crops. It
changes predictions only, so where the same network without it is in the study (and the metric is that of the last
epoch) its weights are measured anew and nothing is trained. The dev metrics become those of the averaged predictions.
Leave mirroring off where left and right mean something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.registry import Size
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ablate.training.trick import Predict


@dataclass(frozen=True)
class AveragedViews(Trick):
    """mirror: views from left to right and from right to left. shift: pixels; 0 for none.

    With a shift, the image weighs one half and its shifts up-left and down-right one quarter each, as in airbench.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU, arXiv:2404.00498"
    label: ClassVar[str] = "test-time augmentation"
    category: ClassVar[str] = "other"
    evaluation_only: ClassVar[bool] = True
    neutral: ClassVar[dict[str, object]] = {"mirror": False, "shift": 0}

    mirror: bool = True
    shift: Size = 1

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        if self.shift >= min(facts.image[1:]):
            raise ConfigError(
                [("", f"test_time_augmentation shifts by {self.shift}, as much as the image has pixels.")]
            )
        return model

    def predict(self, predict: Predict) -> Predict:
        return lambda images: averaged(predict, images, mirror=self.mirror, shift=self.shift)


def averaged(predict: Predict, images: Tensor, *, mirror: bool, shift: int) -> Tensor:
    """Mean logits over the views. What a shift uncovers shows the image's own border, reflected."""
    from torch.nn import functional as F

    def both(views: Tensor) -> Tensor:
        return (predict(views) + predict(views.flip(3))) / 2 if mirror else predict(views)

    logits = both(images)
    if not shift:
        return logits
    height, width = images.shape[2:]
    padded = F.pad(images, (shift,) * 4, mode="reflect")
    up_left = both(padded[:, :, 2 * shift :, 2 * shift :])
    down_right = both(padded[:, :, :height, :width])
    return logits / 2 + (up_left + down_right) / 4
