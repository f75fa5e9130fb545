"""Lookahead: every k steps the weights go back part of the way to where they were k steps ago.

When: on top of any optimizer, for steadier trainings at high learning rates. The slow weights are evaluated; they begin
with the weights after the first step. The optimizer's momentum goes on as it is. Excludes ema and swa.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.registry import Count, Share
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Lookahead(Trick):
    """k: steps between two meetings. alpha: how far the slow weights then go to the fast ones, which restart there."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Zhang et al. 2019, Lookahead optimizer: k steps forward, 1 step back, arXiv:1907.08610"
    label: ClassVar[str] = "lookahead"
    category: ClassVar[str] = "optimization"
    neutral: ClassVar[dict[str, object]] = {"k": 1, "alpha": 1.0}

    k: Count = 5
    alpha: Share = 0.5

    def after_step(self, memory: Any, model: nn.Module, step: Step) -> Any:
        if memory is None:
            return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        if (step.number + 1) % self.k == 0:
            meet(memory, model, self.alpha)
        return memory

    def eval_model(self, model: nn.Module, memory: Any) -> nn.Module:
        if memory is None:
            return model
        slow = copy.deepcopy(model)
        slow.load_state_dict({**model.state_dict(), **memory})
        return slow


def meet(slow: dict[str, Tensor], model: nn.Module, alpha: float) -> None:
    """slow += alpha * (model - slow), then the model is there, too; both in place."""
    for name, parameter in model.named_parameters():
        fast = parameter.detach()
        fast.copy_(slow[name].lerp_(fast, alpha))
