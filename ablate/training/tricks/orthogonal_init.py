"""Orthogonal initialisation: the first weights of every layer are made orthogonal, so that signals keep their length.

When: deep nets without norm; with batch norm it matters little. What the base starts from is orthogonalised, so a pair
of runs starts as near to one another as that allows, and nothing more is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Positive
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class OrthogonalInit(Trick):
    """gain: what signals are multiplied by; the root of 2 makes up for the half that ReLU takes away."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Saxe et al. 2014, Exact solutions to the nonlinear dynamics of learning, arXiv:1312.6120"
    label: ClassVar[str] = "orthogonal init"
    category: ClassVar[str] = "other"
    initialises: ClassVar[bool] = True

    gain: Positive = 2**0.5

    def model(self, model: nn.Module, facts: Facts) -> nn.Module:
        import torch
        from torch import nn

        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1):
                    module.weight.copy_(orthogonal(module.weight) * self.gain)
        return model


def orthogonal(weight: Tensor) -> Tensor:
    """Weights (outputs, ...) whose rows, or columns if there are fewer, are orthonormal; made from `weight` by QR."""
    import torch

    matrix = weight.flatten(1)
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()  # the one decomposition with a positive diagonal
    rows: Tensor = q if matrix.shape[0] >= matrix.shape[1] else q.T
    return rows.reshape(weight.shape)
