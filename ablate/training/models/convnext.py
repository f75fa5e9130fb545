"""A small ConvNeXt: wide depthwise convolutions and pointwise ones around one activation, norm over each pixel.

Liu et al. 2022 with stages, widths and patches for small images. The last norm stands before the global pooling, not
after it, so that every kind of norm fits there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import MinLen

from ablate.errors import ConfigError
from ablate.records import Json
from ablate.registry import Count, Positive, ShareBelowOne
from ablate.training.model import Activation, Model, Norm, Pooling

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ConvNeXt(Model):
    """width: channels of the first stage, doubled in every later one. depths: blocks of each stage.

    patch: pixels that the stem joins to one, in each direction (the paper's 4 is for images of 224). kernel: of the
    depthwise convolutions. layer_scale: what the branches are multiplied by at first, a learned number per channel
    (0.1: CaiT's for shallow nets; the paper's is 1e-6). stochastic_depth: of the last block, growing linearly.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Liu et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545"
    toggles: ClassVar[Mapping[str, tuple[Json, ...]]] = {
        "skip": (True, False),
        "norm": ("none", "batch", "group", "layer", "pixel"),
        "activation": ("gelu", "relu"),
        "stochastic_depth": (0.0, 0.5),
        "dropout": (0.0, 0.5),
        "pooling": ("average", "max"),
    }

    width: Count = 32
    depths: Annotated[tuple[Count, ...], MinLen(1)] = (1, 1, 1)
    patch: Count = 2
    kernel: Literal[3, 5, 7] = 7
    skip: bool = True
    norm: Norm = "pixel"
    activation: Activation = "gelu"
    layer_scale: Positive = 0.1
    stochastic_depth: ShareBelowOne = 0.0
    pooling: Pooling = "average"
    dropout: ShareBelowOne = 0.0

    def __post_init__(self) -> None:
        if self.stochastic_depth and not self.skip:
            raise ValueError("stochastic_depth needs skip connections; set it to 0 or skip to true.")

    def build(self, image: tuple[int, int, int], classes: int) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        channels, height, width = image
        needed = self.patch << (len(self.depths) - 1)
        if min(height, width) < needed:
            problem = (
                f"has {len(self.depths)} stages, for images of {needed} pixels or more; these are {height}x{width}."
            )
            raise ConfigError([("model.depths", problem)])
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        outputs, done = self.width, 0
        for stage, depth in enumerate(self.depths):
            if stage == 0:
                parts["stem"] = nn.Conv2d(channels, outputs, self.patch, self.patch)
                parts["stem_norm"] = layers.norm(self.norm, outputs)
            else:
                parts[f"stage{stage + 1}_norm"] = layers.norm(self.norm, outputs)
                parts[f"stage{stage + 1}_halve"] = nn.Conv2d(outputs, outputs * 2, 2, 2)
                outputs *= 2
            for block in range(depth):
                done += 1
                drop = self.stochastic_depth * done / sum(self.depths)
                parts[f"stage{stage + 1}_block{block + 1}"] = self._block(outputs, drop)
        parts["norm"] = layers.norm(self.norm, outputs)
        parts["pool"] = layers.GlobalPool(self.pooling)
        parts["dropout"] = layers.Dropout(self.dropout)
        parts["linear"] = nn.Linear(outputs, classes)
        return nn.Sequential(parts)

    def _block(self, channels: int, drop: float) -> nn.Module:
        from torch import nn

        from ablate.training import layers

        branch = OrderedDict(
            depthwise=nn.Conv2d(channels, channels, self.kernel, padding=self.kernel // 2, groups=channels),
            norm=layers.norm(self.norm, channels),
            widen=nn.Conv2d(channels, 4 * channels, 1),
            act=layers.activation(self.activation),
            narrow=nn.Conv2d(4 * channels, channels, 1),
            scale=layers.LayerScale(channels, self.layer_scale),
        )
        return layers.Residual(nn.Sequential(branch), skip=self.skip, drop=drop)
