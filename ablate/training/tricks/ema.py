"""EMA: the network that is evaluated has an exponential moving average of the weights, batch norm's statistics too.

When: high or constant learning rates, where weights jump about their mean; with a schedule that ends near 0 it gains
little. The training itself is not changed. Excludes swa and lookahead, which also say what is evaluated.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.registry import ShareBelowOne
from ablate.training.trick import Step, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class EMA(Trick):
    """decay: the average keeps this share of itself at a step; less at first: (1 + step) / (10 + step) at most."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Polyak & Juditsky 1992; Tarvainen & Valpola 2017, Mean teachers, arXiv:1703.01780"
    label: ClassVar[str] = "EMA"
    category: ClassVar[str] = "optimization"
    neutral: ClassVar[dict[str, object]] = {"decay": 0.0}

    decay: ShareBelowOne = 0.999

    def after_step(self, memory: Any, model: nn.Module, step: Step) -> Any:
        if memory is None:
            return {name: value.detach().clone() for name, value in model.state_dict().items()}
        average(memory, model, min(self.decay, (1 + step.number) / (10 + step.number)))
        return memory

    def eval_model(self, model: nn.Module, memory: Any) -> nn.Module:
        if memory is None:
            return model
        averaged = copy.deepcopy(model)
        averaged.load_state_dict(memory)
        return averaged


def average(averages: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """averages = decay * averages + (1 - decay) * the model's, in place; counts are copied."""
    for name, value in model.state_dict().items():
        if decay and value.is_floating_point():
            averages[name].lerp_(value.detach(), 1 - decay)
        else:
            averages[name].copy_(value)
