"""SWA: the network that is evaluated has the mean of the weights of the last part of the training.

When: a learning rate that stays high in that part; where it ends near 0 the weights hardly differ. Until that part
begins, the trained net is evaluated. Batch norm's statistics are averaged as well, where the authors compute them anew.
Excludes ema and lookahead, which also say what is evaluated. The trial of two steps before a study cannot tell a net
with it from one without.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ablate.registry import Share
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SWA(Trick):
    """start: the share of the training before the first weights that count. every: each step, or epoch (the paper)."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Izmailov et al. 2018, Averaging weights leads to wider optima, arXiv:1803.05407"
    label: ClassVar[str] = "SWA"
    category: ClassVar[str] = "optimization"
    neutral: ClassVar[dict[str, object]] = {"start": 1.0}

    start: Share = 0.75
    every: Literal["step", "epoch"] = "step"

    def after_step(self, memory: Any, model: nn.Module, step: Step) -> Any:
        done, steps = step.number + 1, step.facts.steps
        per_epoch = steps // step.facts.epochs
        if done < self.start * steps or (self.every == "epoch" and done % per_epoch):
            return memory
        count, means = (0, {}) if memory is None else memory
        take_in(means, model, count)
        return count + 1, means

    def eval_model(self, model: nn.Module, memory: Any) -> nn.Module:
        if memory is None:
            return model
        averaged = copy.deepcopy(model)
        averaged.load_state_dict(memory[1])
        return averaged


def take_in(means: dict[str, Tensor], model: nn.Module, count: int) -> None:
    """Means over `count` models become means over one more, in place; integer counts are the latest."""
    for name, value in model.state_dict().items():
        if count == 0:
            means[name] = value.detach().clone()
        elif value.is_floating_point():
            means[name].lerp_(value.detach(), 1 / (count + 1))
        else:
            means[name].copy_(value)
