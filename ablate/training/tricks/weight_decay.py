"""Weight decay: every step pulls the weights towards 0, in proportion to their size; norms and biases can be left out.

When: nearly always with SGD; before a norm it mostly sets the effective learning rate. The base should have none:
`optimizer: {weight_decay: 0}`. AdamW decays the weights themselves, with the others it is added to the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ablate.errors import ConfigError
from ablate.registry import NonNegative
from ablate.training.trick import Facts, Trick

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from ablate.training.recipe import Recipe


@dataclass(frozen=True)
class WeightDecay(Trick):
    """decay: null leaves the optimizer's as it is. norm_and_bias: whether norms, biases and scales decay, too."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = "Krogh & Hertz 1991, A simple weight decay; He et al. 2018, Bag of tricks, arXiv:1812.01187"
    label: ClassVar[str] = "weight decay"
    category: ClassVar[str] = "regularization"
    neutral: ClassVar[dict[str, object]] = {"decay": None, "norm_and_bias": True}
    tried_on: ClassVar[dict[str, object]] = {"optimizer": {"weight_decay": 0.0}}

    decay: NonNegative | None = 5e-4
    norm_and_bias: bool = True

    def recipe(self, recipe: Recipe) -> Recipe:
        if self.decay is None:
            return recipe
        if self.norm_and_bias and recipe.optimizer.weight_decay == self.decay:
            message = f"changes nothing: optimizer.weight_decay is {self.decay} already. Set it to 0 in the base."
            raise ConfigError([("", message)])
        return replace(recipe, optimizer=replace(recipe.optimizer, weight_decay=self.decay))

    def optimizer(self, optimizer: Optimizer, model: nn.Module, facts: Facts) -> Optimizer:
        return optimizer if self.norm_and_bias else spared(optimizer)


def spared(optimizer: Optimizer) -> Optimizer:
    """The optimizer, in place; parameters that are one number per channel are in groups without weight decay."""
    for group in list(optimizer.param_groups):
        small = [parameter for parameter in group["params"] if is_per_channel(parameter)]
        if small and group["weight_decay"]:
            group["params"] = [parameter for parameter in group["params"] if not is_per_channel(parameter)]
            optimizer.add_param_group({**group, "params": small, "weight_decay": 0.0})
    return optimizer


def is_per_channel(parameter: Tensor) -> bool:
    """Norms, biases, layer scales: not the weight of a convolution or of a linear layer."""
    return parameter.dim() < 2 or parameter.numel() == parameter.shape[0]
