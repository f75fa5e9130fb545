"""Two linear maps of the channels with a narrow middle: as much of a part as few channels can carry.

When: to ask whether a part does more than to pass a few numbers on, place by place: it sees no neighbours and has
little room. Where pixels get fewer, the first map steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.registry import Count
from ablate.training.model import Activation
from ablate.training.replacement import Replacement

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Bottleneck(Replacement):
    """width: channels in the middle. activation: between the two maps."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = ""

    width: Count = 4
    activation: Activation = "relu"

    def build(self, given: tuple[int, ...], made: tuple[int, ...]) -> nn.Module:
        import torch
        from torch import nn

        from ablate.training.layers import activation
        from ablate.training.standins import projection

        like = torch.empty(0)
        middle = (made[0], self.width, *made[2:]) if len(made) == 4 else (*made[:-1], self.width)
        into, out = projection(given, middle, like), projection(middle, made, like)
        if into is None or out is None:
            raise ConfigError([("", f"no linear map of the channels leads from {given} to {made}.")])
        return nn.Sequential(into, activation(self.activation), out)
