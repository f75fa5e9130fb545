"""A small MobileNetV2: inverted residuals, which widen by a 1x1, filter each channel by a 3x3 and narrow by a 1x1.

Stages until the image is at most 4 pixels high or wide, as in `vgg`; the first block of each halves it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.records import Json
from ablate.registry import Count, ShareBelowOne
from ablate.training.model import Activation, Model, Norm, Pooling

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class MobileNet(Model):
    """width: channels of the stem and of the first stage; they double with every stage. depth: blocks a stage.

    expansion: how many times wider a block is inside. skip: blocks that keep the shape are added to their input.
    squeeze_excite: after every depthwise convolution, as in MobileNetV3. dropout: before the linear layer.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Sandler et al. 2018, MobileNetV2: Inverted residuals, arXiv:1801.04381"
    toggles: ClassVar[Mapping[str, tuple[Json, ...]]] = {
        "skip": (True, False),
        "norm": ("none", "batch", "group", "layer", "pixel"),
        "activation": ("relu", "silu"),
        "squeeze_excite": (False, True),
        "dropout": (0.0, 0.5),
        "pooling": ("average", "max"),
    }

    width: Count = 16
    depth: Count = 2
    expansion: Count = 4
    skip: bool = True
    norm: Norm = "batch"
    activation: Activation = "relu"
    squeeze_excite: bool = False
    pooling: Pooling = "average"
    dropout: ShareBelowOne = 0.0

    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        channels, height, width = image
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["stem"] = layers.conv_block(channels, self.width, self.norm, self.activation)
        inputs, stages = self.width, 0
        while stages == 0 or min(height, width) >> stages > 4:
            for block in range(self.depth):
                outputs, stride = self.width << stages, 1 if block else 2
                parts[f"stage{stages + 1}_block{block + 1}"] = self._block(inputs, outputs, stride)
                inputs = outputs
            stages += 1
        parts["head"] = layers.conv_block(inputs, 4 * inputs, self.norm, self.activation, kernel=1)
        parts["pool"] = layers.GlobalPool(self.pooling)
        parts["dropout"] = layers.Dropout(self.dropout)
        parts["linear"] = nn.Linear(4 * inputs, classes)
        return nn.Sequential(parts)

    def _block(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        inside = self.expansion * inputs
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            widen=layers.conv_block(inputs, inside, self.norm, self.activation, kernel=1),
            depthwise=layers.conv_block(inside, inside, self.norm, self.activation, stride=stride, groups=inside),
        )
        if self.squeeze_excite:
            parts["squeeze_excite"] = layers.SqueezeExcite(inside)
        parts["narrow"] = layers.conv_block(inside, outputs, self.norm, None, kernel=1)
        keeps_shape = inputs == outputs and stride == 1
        return layers.Residual(nn.Sequential(parts), skip=self.skip and keeps_shape)
