"""Muon: the step of every convolution is its momentum made orthogonal, so that no direction is favoured.

When: short trainings; each step costs more (five rounds of matrix products per layer) and does more. Norms, biases and
linear layers stay with the base's optimizer, which must be SGD, as in airbench. Weight decay acts on the weights
themselves there. A schedule moves its learning rate, not its momentum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.errors import ConfigError
from ablate.registry import Count, Positive, ShareBelowOne
from ablate.training.recipe import SGD
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class Muon(Trick):
    """lr, momentum: of the convolutions. rounds: of the Newton-Schulz iteration."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Jordan et al. 2024, Muon, kellerjordan.github.io; Liu et al. 2025, arXiv:2502.16982"
    label: ClassVar[str] = "Muon"
    category: ClassVar[str] = "optimization"
    order: ClassVar[int] = 60

    lr: Positive = 0.02
    momentum: ShareBelowOne = 0.95
    rounds: Count = 5

    def recipe(self, recipe: Recipe) -> Recipe:
        if not isinstance(recipe.optimizer, SGD):
            name = type(recipe.optimizer).__name__.lower()
            raise ConfigError([("", f"needs the optimizer sgd for what is no convolution; it is {name}.")])
        if recipe.loop.amp == "float16":
            raise ConfigError([("", "does not go with amp float16, which scales gradients; use bfloat16 or none.")])
        return recipe

    def optimizer(self, optimizer: Optimizer, model: nn.Module, facts: Facts) -> Optimizer:
        return with_muon(optimizer, model, self.lr, self.momentum, self.rounds)


def with_muon(optimizer: Optimizer, model: nn.Module, lr: float, momentum: float, rounds: int = 5) -> Optimizer:
    """torch's SGD, in place; the convolutions get groups of their own, without SGD's momentum.

    Before each step their gradients become the orthogonalised Nesterov momentum, by which plain SGD then steps.
    """
    from torch import nn

    filters = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == 1}
    for group in list(optimizer.param_groups):
        chosen = [parameter for parameter in group["params"] if id(parameter) in filters]
        if chosen:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in filters]
            own = {"lr": lr, "momentum": 0.0, "nesterov": False, "dampening": 0, "muon": True}
            usual = {key: value for key, value in group.items() if key != "initial_lr"}
            optimizer.add_param_group({**usual, **own, "params": chosen})
    if not any("muon" in group for group in optimizer.param_groups):
        raise ConfigError([("", "muon needs a model with convolutions that learn, and this one has none.")])
    optimizer.register_step_pre_hook(partial(_orthogonalise, momentum=momentum, rounds=rounds))
    return optimizer


def _orthogonalise(optimizer: Any, args: Any, kwargs: Any, *, momentum: float, rounds: int) -> None:  # noqa: ARG001
    import torch

    for group in optimizer.param_groups:
        for parameter in group["params"] if "muon" in group else ():
            if parameter.grad is None:
                continue
            state = optimizer.state[parameter]
            if "muon" not in state:
                state["muon"] = torch.zeros_like(parameter.grad)
            velocity = state["muon"].mul_(momentum).add_(parameter.grad)
            ahead = parameter.grad.add(velocity, alpha=momentum).flatten(1)
            scale = max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
            parameter.grad.copy_(orthogonalised(ahead, rounds).mul_(scale).view_as(parameter.grad))


def orthogonalised(matrix: Tensor, rounds: int = 5) -> Tensor:
    """About U V^T, where U S V^T is the matrix (rows, columns): singular values come to lie between 0.7 and 1.2.

    A Newton-Schulz iteration with Jordan's quintic coefficients, which are steep at 0 and do not settle at 1.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x: Tensor = wide / (wide.norm() + 1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T
