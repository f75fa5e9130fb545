"""What training images tell of a trained network: the means of its parts, and its batch norms' statistics anew.

Each is one pass over the training images in their order, in evaluation mode; dev images are never among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from ablate.training.cuts import MEAN, Cut

Batches = Callable[[], Iterator[Tensor]]
"""All training images, normalised, batch by batch."""


def averaged(network: nn.Module, cuts: Sequence[Cut], batches: Batches) -> list[Cut]:
    """The cuts, those by the mean with it: of what their parts make, over images. The network is in evaluation mode."""
    sums: dict[str, Tensor] = {}
    hooks = [
        network.get_submodule(cut.decision.path).register_forward_hook(_adding(sums, cut))
        for cut in cuts
        if cut.off == MEAN
    ]
    if not hooks:
        return list(cuts)
    seen = 0
    try:
        for batch in batches():
            network(batch)
            seen += len(batch)
    finally:
        for hook in hooks:
            hook.remove()
    of = {path: (total / seen).float() for path, total in sums.items()}
    return [replace(cut, held=of.get(cut.decision.path)) for cut in cuts]


def _adding(sums: dict[str, Tensor], cut: Cut) -> Callable[[nn.Module, object, object], None]:
    def add(_module: nn.Module, _given: object, made: object) -> None:
        output = tree_flatten(made)[0][cut.decision.output].double().sum(0)
        sums[cut.decision.path] = sums.get(cut.decision.path, 0) + output

    return add


def norms(network: nn.Module) -> dict[str, nn.modules.batchnorm._NormBase]:
    """The batch norms that keep statistics for evaluation, by path."""
    return {
        path: module
        for path, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None
    }


def renewed(network: nn.Module, batches: Batches) -> None:
    """Take the statistics of all batch norms anew, in place: means over batches, each weighted by its images.

    Batch norms alone are in training mode: dropout stays off, as it is when the network is measured. As in Izmailov
    et al. 2018 (Averaging weights leads to wider optima), whose `update_bn` weights every batch alike.
    """
    found = norms(network).values()
    momenta = [module.momentum for module in found]
    network.eval()
    for module in found:
        module.reset_running_stats()
        module.train()
    seen = 0
    for batch in batches():
        seen += len(batch)
        for module in found:
            module.momentum = len(batch) / seen
        network(batch)
    for module, momentum in zip(found, momenta, strict=True):
        module.momentum = momentum
    network.eval()
