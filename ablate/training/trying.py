"""A network tried without touching it: generators go back, copies count the calls of what stands in them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from ablate.training.parts import SurgeryError
from ablate.training.standins import StandIn
from ablate.training.trace import Example, arguments_of

Counts = Mapping[str, list[int]]
"""How often what stands at each path was called."""


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Every generator goes back to where it was; AssertionError where a check wrote into the network itself."""
    state = (random.getstate(), np.random.get_state())
    written = [tensor._version for tensor in (*model.parameters(), *model.buffers())]
    # CUDA's generators are read only where CUDA runs already: a check starts no device.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            random.setstate(state[0])
            np.random.set_state(state[1])
    after = [tensor._version for tensor in (*model.parameters(), *model.buffers())]
    assert written == after, "a check wrote into the network that it was to leave alone"


@torch.no_grad()
def wake(network: nn.Module) -> None:
    """Draw what starts at or near zero (heads, layer scales): behind it nothing would tell two inputs apart."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if parameter.is_floating_point() and parameter.numel() and float(parameter.abs().max()) < 1e-3:
            drawn = torch.empty(parameter.shape).normal_(0, 0.1, generator=generator)
            parameter.copy_(drawn)


def two(example: Example) -> tuple[Any, Any]:
    """Two inputs of at most two examples each: the given ones, and others like them."""
    given = arguments_of(example)
    batch = next((len(tensor) for tensor in tensors(given) if tensor.dim()), 0)
    few = tree_map(lambda leaf: leaf[:2].detach() if _is_of(leaf, batch) else leaf, given)
    generator = torch.Generator().manual_seed(0)

    def other(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or leaf.dtype == torch.bool or not leaf.numel():
            return leaf
        if leaf.is_floating_point():
            noise = torch.empty(leaf.shape).normal_(generator=generator).to(leaf)
            return leaf + noise * max(float(leaf.float().std(unbiased=False)), 1e-3)
        highest = max(int(leaf.max()), 1)
        return torch.randint(0, highest + 1, leaf.shape, generator=generator).to(leaf)

    return few, tree_map(other, few)


def _is_of(leaf: Any, batch: int) -> bool:
    return isinstance(leaf, Tensor) and leaf.dim() > 0 and len(leaf) == batch


def tensors(nested: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(nested)[0] if isinstance(leaf, Tensor)]


def counted(network: nn.Module) -> Counts:
    """Count the calls of every stand-in. Not by hooks: torch's fused layers look for them and take another way."""
    counts: dict[str, list[int]] = {}
    for path, module in network.named_modules():
        if isinstance(module, StandIn):
            counts[path] = [0]
            module.forward = _counting(module.forward, counts[path])  # type: ignore[method-assign]
    return counts


def _counting(forward: Any, count: list[int]) -> Any:
    def counting(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        return forward(*args, **kwargs)

    return counting


def passed(counts: Counts, mode: Literal["training", "evaluation"]) -> None:
    for path, count in counts.items():
        if not count[0]:
            raise SurgeryError(f"in {mode} the network goes past {path} without calling it, so it would not be gone.")
        count[0] = 0
