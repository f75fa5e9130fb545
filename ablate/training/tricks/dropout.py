"""Dropout: before the last linear layer, every feature is dropped with probability p, and the rest scaled up.

When: nets that overfit, above all those whose last layer has many inputs; short trainings, small nets and batch norm
leave it little to do. It is added to whatever dropout the model's own parameters ask for.
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
class Dropout(Trick):
    """p: the probability with which a feature is dropped."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Hinton et al. 2012, Preventing co-adaptation of feature detectors, arXiv:1207.0580"
    label: ClassVar[str] = "dropout"
    category: ClassVar[str] = "dropout"
    order: ClassVar[int] = 60
    neutral: ClassVar[dict[str, object]] = {"p": 0.0}

    p: ShareBelowOne = 0.5

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_dropout(model, self.p)


def with_dropout(model: nn.Module, p: float) -> nn.Module:
    """The model, in place, with dropout before its last linear layer, whose parameters keep their names."""
    from torch import nn

    from ablate.training import layers

    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ConfigError([("", "dropout stands before the last linear layer, and the model has none.")])
    if hasattr(linear[-1], "dropout"):
        raise ConfigError([("", "dropout stands before the last linear layer already; use this trick once.")])
    linear[-1].add_module("dropout", layers.Dropout(p))
    linear[-1].register_forward_pre_hook(_drop)
    return model


def _drop(module: Any, inputs: tuple[Tensor]) -> Tensor:
    """Looks the layer up, so that a copy of the network has a dropout of its own."""
    dropped: Tensor = module.dropout(inputs[0])
    return dropped
