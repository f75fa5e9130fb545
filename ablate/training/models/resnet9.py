"""ResNet-9 of the DAWNBench entries: four wide convolutions, three poolings and two residual blocks, fast to train.

Page's net with his later order of layers, also airbench's: pooling before norm and activation, which then act on a
quarter of the pixels. None of airbench's whitening.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.records import Json
from ablate.registry import Count, Positive, ShareBelowOne
from ablate.training.model import Activation, Halving, Model, Norm, Pooling

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ResNet9(Model):
    """width: channels of the first convolution; the others have 2, 4 and 8 times as many (Page's width is 64).

    skip: without it, the two residual blocks are four more convolutions. pool: how each halving is done. pooling: over
    what is left of the image in the end. logit_scale: factor of the logits, instead of a smaller learning rate there.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Page 2018, How to train your ResNet, myrtle.ai; Jordan 2024, arXiv:2404.00498"
    toggles: ClassVar[Mapping[str, tuple[Json, ...]]] = {
        "skip": (True, False),
        "norm": ("none", "batch", "group", "layer", "pixel"),
        "activation": ("relu", "gelu"),
        "pool": ("max", "average", "blur"),
        "pooling": ("max", "average"),
        "dropout": (0.0, 0.5),
    }

    width: Count = 16
    skip: bool = True
    norm: Norm = "batch"
    activation: Activation = "relu"
    pool: Halving = "max"
    pooling: Pooling = "max"
    dropout: ShareBelowOne = 0.0
    logit_scale: Positive = 0.125

    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        channels, height, width = image
        if min(height, width) < 8:
            raise ConfigError(
                [("model.name", f"is resnet9, which halves images 3 times; {height}x{width} is too small.")]
            )
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["stem"] = layers.conv_block(channels, self.width, self.norm, self.activation)
        for stage in (1, 2, 3):
            outputs = self.width << stage
            parts[f"stage{stage}"] = layers.conv_block(
                outputs // 2, outputs, self.norm, self.activation, pool=self.pool
            )
            if stage != 2:
                first, second = (layers.conv_block(outputs, outputs, self.norm, self.activation) for _ in range(2))
                branch = nn.Sequential(OrderedDict(first=first, second=second))
                parts[f"stage{stage}_residual"] = layers.Residual(branch, skip=self.skip)
        parts["pool"] = layers.GlobalPool(self.pooling)
        parts["dropout"] = layers.Dropout(self.dropout)
        parts["linear"] = nn.Linear(self.width * 8, classes)
        parts["scale"] = layers.Scale(self.logit_scale)
        return nn.Sequential(parts)
