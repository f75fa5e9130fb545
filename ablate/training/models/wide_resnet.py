"""Wide ResNets: few blocks of many channels, norm and activation before each convolution, dropout inside the blocks.

Three stages of (depth - 4) / 6 blocks; the width doubles and the image is halved from stage to stage.
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
class WideResNet(Model):
    """WRN-depth-widen: `depth: 16, widen: 4` is WRN-16-4. width: channels of the stem (16 in the paper).

    dropout: share of the values that are dropped between the two convolutions of a block.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Zagoruyko & Komodakis 2016, Wide residual networks, arXiv:1605.07146"
    toggles: ClassVar[Mapping[str, tuple[Json, ...]]] = {
        "skip": (True, False),
        "norm": ("none", "batch", "group", "layer", "pixel"),
        "activation": ("relu", "gelu"),
        "dropout": (0.0, 0.3),
        "pooling": ("average", "max"),
    }

    depth: Literal[10, 16, 22, 28, 40] = 10
    widen: Count = 2
    width: Count = 16
    skip: bool = True
    norm: Norm = "batch"
    activation: Activation = "relu"
    dropout: ShareBelowOne = 0.0
    pooling: Pooling = "average"

    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        parts: OrderedDict[str, nn.Module] = OrderedDict()
        parts["stem"] = nn.Conv2d(image[0], self.width, 3, padding=1)
        inputs = self.width
        for stage in range(3):
            for block in range((self.depth - 4) // 6):
                outputs, stride = self.width * self.widen << stage, 2 if stage and not block else 1
                parts[f"stage{stage + 1}_block{block + 1}"] = self._block(inputs, outputs, stride)
                inputs = outputs
        parts["norm"] = layers.norm(self.norm, inputs)
        parts["act"] = layers.activation(self.activation)
        parts["pool"] = layers.GlobalPool(self.pooling)
        parts["linear"] = nn.Linear(inputs, classes)
        return nn.Sequential(parts)

    def _block(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        """Where shapes change, the shortcut is a 1x1 convolution after the first activation, as the authors have it."""
        from torch import nn

        from ablate.training import layers

        before: OrderedDict[str, nn.Module] = OrderedDict(
            norm1=layers.norm(self.norm, inputs), act1=layers.activation(self.activation)
        )
        convolutions: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(inputs, outputs, 3, stride, padding=1),
            norm2=layers.norm(self.norm, outputs),
            act2=layers.activation(self.activation),
            dropout=layers.Dropout(self.dropout),
            conv2=nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        if inputs == outputs:
            return layers.Residual(nn.Sequential(before | convolutions), skip=self.skip)
        shortcut = nn.Conv2d(inputs, outputs, 1, stride)
        before["residual"] = layers.Residual(nn.Sequential(convolutions), shortcut, skip=self.skip)
        return nn.Sequential(before)
