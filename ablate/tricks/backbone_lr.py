"""Lower backbone learning rate: the pretrained layers learn, but more slowly than the head.

When: a net that starts from trained weights (`init:`) and has enough images to adapt them; a milder freeze. The
schedule multiplies both rates. Without `init:` everything but the head is slowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.registry import Positive
from ablate.trick import Facts, Trick

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        from ablate.transfer import backbone

        scale_rate(optimizer, backbone(model, facts.loaded, self.layers).values(), self.factor)
        return optimizer


def scale_rate(optimizer: Optimizer, parameters: Iterable[nn.Parameter], factor: float) -> None:
    """Move these parameters into groups of their own, with `factor` times the learning rate that they had.

    What other groups have in common with them (weight decay, say) stays; the first group keeps its rate.
    """
    chosen = {id(parameter) for parameter in parameters}
    kept: list[dict[str, Any]] = []
    scaled: list[dict[str, Any]] = []
    for group in optimizer.param_groups:
        inside = [parameter for parameter in group["params"] if id(parameter) in chosen]
        outside = [parameter for parameter in group["params"] if id(parameter) not in chosen]
        if outside:
            kept.append({**group, "params": outside})
        if inside:
            rates: dict[str, Any] = {key: group[key] * factor for key in ("lr", "initial_lr") if key in group}
            scaled.append({**group, **rates, "params": inside})
    optimizer.param_groups[:] = [*kept, *scaled]
