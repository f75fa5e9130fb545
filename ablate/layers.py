"""Layers and choices that several models share. torch's own where they will do; ours where torch's draw from no stream.

Models of the shelf may not import one another; what two of them need is here. Nothing here knows a model.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Norm = Literal["none", "batch", "group", "layer"]
Activation = Literal["relu", "leaky_relu", "gelu", "silu", "elu", "tanh"]

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}


class Dropout(nn.Module):
    """Dropout whose mask depends on (the run's seed, this layer's name, the step) and on nothing else.

    torch's takes no generator: switching a second one on would change the masks of the first. In a loop that sets no
    `stream` it draws from torch's global generator, as torch's does.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.stream: Callable[[torch.device], torch.Generator] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        generator = self.stream(x.device) if self.stream else None
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=generator)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def norm(kind: Norm, channels: int) -> nn.Module:
    """A normalisation of (n, channels, height, width); "layer" is over all channels, "group" over at most 8 groups."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(8, channels), channels)
    if kind == "layer":
        return nn.GroupNorm(1, channels)
    return nn.Identity()


def activation(kind: Activation) -> nn.Module:
    return _ACTIVATIONS[kind]()


def conv_block(inputs: int, outputs: int, norm_kind: Norm, activation_kind: Activation) -> nn.Sequential:
    """3x3 convolution, normalisation, activation, under the names conv, norm and act, whichever norm it is.

    The convolution always has a bias. Batch norm makes it redundant, but leaving it out there would let a comparison
    "with and without batch norm" differ in a second thing; so the two share every parameter but the norm's own.
    """
    parts = OrderedDict(
        conv=nn.Conv2d(inputs, outputs, 3, padding=1),
        norm=norm(norm_kind, outputs),
        act=activation(activation_kind),
    )
    return nn.Sequential(parts)
