"""Lower backbone learning rate: the pretrained layers learn, but more slowly than the head.

When: a net that starts from trained weights (`init:`) and has enough images to adapt them; a milder freeze. The
schedule multiplies both rates. Without `init:` everything but the head is slowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ablate.registry import Positive
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


@dataclass(frozen=True)
class BackboneLR(Trick):
    """factor: of the learning rate. layers: slow only these, names or patterns such as `stage1_*`; all pretrained ones
    if empty."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Howard & Ruder 2018, ULMFiT (discriminative fine-tuning), arXiv:1801.06146"
    label: ClassVar[str] = "lower backbone rate"
    category: ClassVar[str] = "transfer"
    order: ClassVar[int] = 70
    neutral: ClassVar[dict[str, object]] = {"factor": 1.0}

    factor: Positive = 0.1
    layers: tuple[str, ...] = ()

    def optimizer(self, optimizer: Optimizer, model: nn.Module, facts: Facts) -> Optimizer:
        from ablate.training.transfer import backbone, regroup

        regroup(optimizer, backbone(model, facts.loaded, self.layers).values(), self.factor)
        return optimizer
