"""Blur pooling: where the net halves its image, it blurs before it leaves pixels out, as sampling theory asks.

When: predictions should not change as objects move by a pixel; some accuracy, too. Max pools of 2x2 become maxima at
every pixel, then a 3x3 binomial blur of stride 2; mean pools of 2x2 become the blur. Strided convolutions stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class BlurPool(Trick):
    """No parameters."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Zhang 2019, Making convolutional networks shift-invariant again, arXiv:1904.11486"
    label: ClassVar[str] = "blur pool"
    category: ClassVar[str] = "other"

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_blurpool(model)


def with_blurpool(model: nn.Module) -> nn.Module:
    """The model, in place. ConfigError where no 2x2 pool is found."""
    from torch import nn

    from ablate.training import layers

    replaced = 0
    for parent in list(model.modules()):
        for name, pool in list(parent.named_children()):
            if not isinstance(pool, (nn.MaxPool2d, nn.AvgPool2d)) or pool.padding not in (0, (0, 0)):
                continue
            if pool.kernel_size in (2, (2, 2)) and pool.stride in (2, (2, 2)):
                blur = layers.halving("blur") if isinstance(pool, nn.MaxPool2d) else layers.BlurPool()
                setattr(parent, name, blur)
                replaced += 1
    if not replaced:
        raise ConfigError([("", "blurpool changes 2x2 pools, and the model has none (vgg and resnet9 have).")])
    return model
