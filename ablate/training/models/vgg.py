"""A small VGG: stages of 3x3 convolutions, each stage ended by a 2x2 max pool, then one linear layer.

Pools until the image is at most 4 pixels high or wide: one stage for 8x8, three for 32x32. The width doubles with every
stage. Simonyan & Zisserman 2015 without their two wide linear layers, which small images do not need.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ablate.errors import ConfigError
from ablate.records import Json
from ablate.registry import Count, ShareBelowOne
from ablate.training.model import Model

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class VGG(Model):
    """width: channels of the first stage. depth: convolutions a stage. stages: None for as many as the image allows.

    dropout: share of the features that are dropped before the linear layer.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Simonyan & Zisserman 2015, Very deep convolutional networks, arXiv:1409.1556"
    toggles: ClassVar[Mapping[str, tuple[Json, ...]]] = {
        "norm": ("none", "batch", "group", "layer"),
        "dropout": (0.0, 0.5),
        "activation": ("relu", "gelu"),
    }

    width: Count = 16
    depth: Count = 2
    stages: Count | None = None
    norm: Literal["none", "batch", "group", "layer"] = "none"
    activation: Literal["relu", "leaky_relu", "gelu", "silu", "elu", "tanh"] = "relu"
    dropout: ShareBelowOne = 0.0

    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        channels, height, width = image
        possible = min(height, width).bit_length() - 1
        enough = next(halvings for halvings in range(32) if min(height, width) >> halvings <= 4)
        stages = self.stages or max(enough, 1)
        if stages > possible:
            raise ConfigError(
                [("model.stages", f"is {stages}; {height}x{width} images can be halved {possible} times.")]
            )
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for stage in range(stages):
            outputs = self.width << stage
            for depth in range(self.depth):
                inputs = outputs if depth else channels
                parts[f"stage{stage + 1}_block{depth + 1}"] = layers.conv_block(
                    inputs, outputs, self.norm, self.activation
                )
            parts[f"stage{stage + 1}_pool"] = nn.MaxPool2d(2)
            channels, height, width = outputs, height // 2, width // 2
        parts["flatten"] = nn.Flatten()
        parts["dropout"] = layers.Dropout(self.dropout)
        parts["linear"] = nn.Linear(channels * height * width, classes)
        return nn.Sequential(parts)
