"""Freeze: the pretrained layers stay as they are, and only the head learns; for good, or for the first epochs.

When: few images and a net that starts from weights of a similar task (`init:`); unfreezing after some epochs lets the
new head settle before its gradients reach what was learned. Batch norm in a frozen layer keeps its statistics too, and
normalises with them in training as in evaluation: were they updated, the frozen layers' outputs would go on moving.
Dropout goes on. Without `init:` everything but the head is frozen, as it was drawn: a net of random features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.registry import Size
from ablate.training.trick import Facts, Step, Trick

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn
    from torch.optim import Optimizer


@dataclass(frozen=True)
class Freeze(Trick):
    """unfreeze_at: epochs after which all learn; null for never. layers: freeze only these, names or patterns such as
    `stage1_*`; all pretrained ones if empty."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = (
        "Yosinski et al. 2014, How transferable are features in deep neural networks?, arXiv:1411.1792"
    )
    label: ClassVar[str] = "frozen backbone"
    category: ClassVar[str] = "transfer"
    order: ClassVar[int] = 70
    neutral: ClassVar[dict[str, object]] = {"unfreeze_at": 0}

    unfreeze_at: Size | None = None
    layers: tuple[str, ...] = ()

    def optimizer(self, optimizer: Optimizer, model: nn.Module, facts: Facts) -> Optimizer:
        from ablate.training.transfer import backbone, regroup

        frozen = backbone(model, facts.loaded, self.layers).values()
        regroup(optimizer, frozen)  # fused SGD wants all of a group's momenta to begin at one step
        if self.unfreeze_at != 0:
            freeze(model, frozen)
        return optimizer

    def after_step(self, memory: Any, model: nn.Module, step: Step) -> Any:
        """The last step of epoch `unfreeze_at` ends it. memory: nothing is remembered."""
        from ablate.training.transfer import backbone

        if self.unfreeze_at and (step.number + 1) * step.facts.epochs == self.unfreeze_at * step.facts.steps:
            unfreeze(model, backbone(model, step.facts.loaded, self.layers).values())
        return memory


def freeze(model: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
    """Give these parameters no gradient, so an optimizer leaves them alone, weight decay included; their batch norms
    use the statistics that they have."""
    from torch import nn

    for parameter in parameters:
        parameter.requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(_as_in_evaluation)


def unfreeze(model: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
    """Let these parameters learn, and with them their batch norms."""
    for parameter in parameters:
        parameter.requires_grad_(True)
    model.train()


def _as_in_evaluation(module: nn.Module, _: Any) -> None:
    """Before a frozen batch norm runs; `model.train()` after every evaluation would have undone it."""
    own = list(module.parameters(recurse=False))
    if own and not any(parameter.requires_grad for parameter in own):
        module.eval()
