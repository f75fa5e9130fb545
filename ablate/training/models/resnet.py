"""ResNets for small images: blocks of two 3x3 convolutions, each block added to its input; skip connections may go.

Depths 8 to 110 (6n + 2) have three stages of n blocks, depth 18 has four of two; the width doubles and the image is
halved from stage to stage. Shortcuts carry no parameters by default, so the net without them (`skip: false`, the plain
net of the paper) has the same ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ablate.records import Json
from ablate.registry import Count, ShareBelowOne
from ablate.training.model import Activation, Model, Norm, Pooling

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ResNet(Model):
    """width: channels of the first stage (16 in the paper's CIFAR nets, 64 in ResNet-18).

    shortcut: pad (subsampled, zeros for new channels) or projection (a 1x1 convolution), where shapes change.
    stochastic_depth: probability that an image skips the last block in training; it grows linearly from the first.
    dropout: share of the features that are dropped before the linear layer.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "He et al. 2016, Deep residual learning for image recognition, arXiv:1512.03385"
    toggles: ClassVar[Mapping[str, tuple[Json, ...]]] = {
        "skip": (True, False),
        "shortcut": ("pad", "projection"),
        "norm": ("none", "batch", "group", "layer", "pixel"),
        "activation": ("relu", "gelu"),
        "squeeze_excite": (False, True),
        "stochastic_depth": (0.0, 0.5),
        "dropout": (0.0, 0.5),
        "pooling": ("average", "max"),
    }

    depth: Literal[8, 14, 18, 20, 32, 44, 56, 110] = 20
    width: Count = 16
    skip: bool = True
    shortcut: Literal["pad", "projection"] = "pad"
    norm: Norm = "batch"
    activation: Activation = "relu"
    squeeze_excite: bool = False
    stochastic_depth: ShareBelowOne = 0.0
    pooling: Pooling = "average"
    dropout: ShareBelowOne = 0.0

    def __post_init__(self) -> None:
        if self.stochastic_depth and not self.skip:
            raise ValueError("stochastic_depth needs skip connections; set it to 0 or skip to true.")

    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        stages, blocks = (4, 2) if self.depth == 18 else (3, (self.depth - 2) // 6)
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["stem"] = layers.conv_block(image[0], self.width, self.norm, self.activation)
        inputs = self.width
        for stage in range(stages):
            for block in range(blocks):
                drop = self.stochastic_depth * (stage * blocks + block + 1) / (stages * blocks)
                outputs, stride = self.width << stage, 2 if stage and not block else 1
                parts[f"stage{stage + 1}_block{block + 1}"] = self._block(inputs, outputs, stride, drop)
                inputs = outputs
        parts["pool"] = layers.GlobalPool(self.pooling)
        parts["dropout"] = layers.Dropout(self.dropout)
        parts["linear"] = nn.Linear(inputs, classes)
        return nn.Sequential(parts)

    def _block(self, inputs: int, outputs: int, stride: int, drop: float) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        branch: OrderedDict[str, nn.Module] = OrderedDict(
            first=layers.conv_block(inputs, outputs, self.norm, self.activation, stride=stride),
            second=layers.conv_block(outputs, outputs, self.norm, None),
        )
        if self.squeeze_excite:
            branch["squeeze_excite"] = layers.SqueezeExcite(outputs)
        shortcut: nn.Module | None = None
        if inputs != outputs and self.shortcut == "pad":
            shortcut = layers.PadShortcut(inputs, outputs, stride)
        elif inputs != outputs:
            shortcut = layers.conv_block(inputs, outputs, self.norm, None, kernel=1, stride=stride)
        after = layers.activation(self.activation)
        return layers.Residual(nn.Sequential(branch), shortcut, after, self.skip, drop)
