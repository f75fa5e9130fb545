"""Squeeze and excitation: every block's channels are scaled by numbers that the block computes from all of their means.

When: nets that are not too small; it adds few operations and parameters. It stands at the end of
every residual branch, as in the paper; in a net without residual blocks, after every convolution's activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.registry import Count
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class SqueezeExcitation(Trick):
    """reduction: how many times narrower the hidden layer is (16 in the paper, whose nets are wide); at least 4."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Hu et al. 2018, Squeeze-and-excitation networks, arXiv:1709.01507"
    label: ClassVar[str] = "squeeze-excitation"
    category: ClassVar[str] = "other"

    reduction: Count = 8

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_squeeze_excitation(model, self.reduction)


def with_squeeze_excitation(model: nn.Module, reduction: int) -> nn.Module:
    """The model, in place. ConfigError where it has such layers already, or no block to put them into."""
    from torch import nn

    from ablate.training import layers

    if any(isinstance(module, layers.SqueezeExcite) for module in model.modules()):
        raise ConfigError([("", "squeeze_excitation finds such layers in the model; set squeeze_excite to false.")])
    blocks = [m.branch for m in model.modules() if isinstance(m, layers.Residual)]
    if not blocks:
        named = [m for m in model.modules() if isinstance(m, nn.Sequential)]
        blocks = [m for m in named if {"conv", "act"} <= dict(m.named_children()).keys()]  # layers.conv_block
    added = 0
    for block in blocks:
        convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
        if isinstance(block, nn.Sequential) and convolutions:
            block.add_module("squeeze_excite", layers.SqueezeExcite(convolutions[-1].out_channels, reduction))
            added += 1
    if not added:
        raise ConfigError([("", "squeeze_excitation needs blocks made by ablate.layers, and the model has none.")])
    return model
