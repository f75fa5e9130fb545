"""Dirac initialisation: the first filters of every convolution begin as the identity, and so pass their inputs on.

When: nets without skip connections, short trainings. A convolution with as many inputs as outputs begins as the
identity as a whole; further outputs keep what the base starts from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class DiracInit(Trick):
    """No parameters. Grouped convolutions, and those with fewer outputs than inputs, are left alone."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Zagoruyko & Komodakis 2017, DiracNets, arXiv:1706.00388; Jordan 2024, arXiv:2404.00498"
    label: ClassVar[str] = "dirac init"
    category: ClassVar[str] = "other"
    initialises: ClassVar[bool] = True

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        return with_dirac_init(model)


def with_dirac_init(model: nn.Module) -> nn.Module:
    """The model, in place."""
    import torch
    from torch import nn

    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == 1]
    fitting = [m for m in convolutions if m.out_channels >= m.in_channels]
    if not fitting:
        raise ConfigError(
            [("", "dirac_init needs convolutions with at least as many outputs as inputs; there is none.")]
        )
    with torch.no_grad():
        for module in fitting:
            nn.init.dirac_(module.weight[: module.in_channels])
    return model
