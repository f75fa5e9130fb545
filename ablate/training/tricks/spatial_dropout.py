"""Spatial dropout: before every convolution but the first, whole channels are dropped with probability p.

When: convolutions that overfit. Neighbouring pixels say nearly the same, so dropping single ones takes little away; a
channel is all or nothing. 1x1 convolutions are left alone: in residual nets they are shortcuts or stand beside a larger
one. Strong together with stochastic depth; use a small p.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.errors import ConfigError
from ablate.registry import ShareBelowOne
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SpatialDropout(Trick):
    """p: the probability with which a channel of an image is dropped before a convolution."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Tompson et al. 2015, Efficient object localization, arXiv:1411.4280"
    label: ClassVar[str] = "spatial dropout"
    category: ClassVar[str] = "dropout"
    order: ClassVar[int] = 60
    neutral: ClassVar[dict[str, object]] = {"p": 0.0}
    tried_on: ClassVar[dict[str, object]] = {"model": {"name": "vgg", "width": 4, "depth": 2}}

    p: ShareBelowOne = 0.1

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_spatial_dropout(model, self.p)


def with_spatial_dropout(model: nn.Module, p: float) -> nn.Module:
    """The model, in place, with channels dropped before its convolutions, whose parameters keep their names."""
    from torch import nn

    from ablate.training import layers

    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)][1:]
    larger = [module for module in convolutions if max(module.kernel_size) > 1]
    if not larger:
        raise ConfigError([("", "spatial_dropout stands before convolutions other than the first; there is none.")])
    if hasattr(larger[0], "spatial_dropout"):
        raise ConfigError([("", "spatial_dropout stands before the convolutions already; use this trick once.")])
    for module in larger:
        module.add_module("spatial_dropout", layers.SpatialDropout(p))
        module.register_forward_pre_hook(_drop)
    return model


def _drop(module: Any, inputs: tuple[Tensor]) -> Tensor:
    """Looks the layer up, so that a copy of the network has a dropout of its own."""
    dropped: Tensor = module.spatial_dropout(inputs[0])
    return dropped
