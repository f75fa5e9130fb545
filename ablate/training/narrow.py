"""The control of a part: a network that lost as many parameters (FLOPs) elsewhere, from the widths of its other parts.

One share off every width, then single channels until the number fits. Whoever is left keeps its bits and every name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ablate.text import many
from ablate.training.parts import SurgeryError
from ablate.training.trace import Trace, numbers_of
from ablate.training.widths import Width

Measure = Literal["parameters", "flops"]

SMALLEST = 0.005
"""The share of a network below which a part has no control: the network as it is would be as good a one."""

_NEAR = 0.05
"""How far from the amount a control may be, as a share of it."""

_SEARCHED = 40
"""Up to so many widths, channels are also moved from one to another; beyond, each is changed by itself."""


@dataclass(frozen=True)
class Narrowed:
    """A control: how many units each width keeps. goes: what widths lose of `measure`; amount: what they were to."""

    kept: Mapping[str, int]
    goes: int
    amount: int
    whole: int
    measure: Measure

    def __str__(self) -> str:
        what, share = _WORDS[self.measure], 100 * self.goes / self.whole
        return (
            f"{self.goes:,} {what} ({share:.3g} %) go from {many(len(self.kept), 'width')} of other parts; it holds "
            f"{self.amount:,}"
        )


_WORDS: Mapping[Measure, str] = {"parameters": "parameters", "flops": "FLOPs"}


class Narrowing:
    """What a network weighs with some of its widths smaller. free: these widths; the others stay."""

    def __init__(self, trace: Trace, measure: Measure, reaching: int, free: Sequence[Width]) -> None:
        self.free = list(free)
        names = list(trace.parameters)
        row = {name: i for i, name in enumerate(names)}
        rank = max((len(shape) for shape in trace.parameters.values()), default=0)
        self.full = np.ones((len(names), rank))
        for name, shape in trace.parameters.items():
            self.full[row[name], : len(shape)] = shape
        self.per = np.zeros(len(names))  # what one number of each parameter counts
        for number in numbers_of(reaching):
            value = trace.values[number]
            if measure == "parameters" and value.op == "parameter" and value.names:
                self.per[row[value.names[0]]] = 1
            elif measure == "flops" and value.flops:
                # A product with a weight takes FLOPs in proportion to the numbers of the weight.
                behind = map(trace.parameter_behind, value.inputs)
                weight = next((name for name in behind if len(trace.parameters.get(name, ())) > 1), "")
                if weight:
                    self.per[row[weight]] += value.flops / math.prod(trace.parameters[weight])
        self.loss = np.zeros((len(self.free), len(names), rank))  # of each dimension, for a unit of each width
        for i, width in enumerate(self.free):
            for (name, place), indices in width.tied.items():
                if name in row:
                    self.loss[i, row[name], place] = indices.shape[1]
        self.units = np.array([width.units for width in self.free])

    def goes(self, gone: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """What is lost when each width loses so many units. gone: (..., widths)."""
        left = self.full - np.tensordot(gone.astype(float), self.loss, 1)
        lost: npt.NDArray[np.float64] = (self.full.prod(-1) - left.prod(-1)) @ self.per
        return lost

    def nearest(self, amount: int) -> npt.NDArray[np.int64]:
        """How many units each width loses, so that together nearly `amount` goes: one share, then single ones."""
        shares = np.linspace(0, 1, 201)[:, None]
        starts = np.minimum(np.rint(shares * self.units), self.units - 1).astype(int)
        gone: npt.NDArray[np.int64] = starts[np.abs(self.goes(starts) - amount).argmin()]
        moves = np.concatenate([np.eye(len(gone), dtype=int), -np.eye(len(gone), dtype=int)])
        if len(gone) <= _SEARCHED:
            pairs = [one + other for one in moves for other in moves if (one + other).any()]
            moves = np.unique(np.concatenate([moves, np.array(pairs)]), axis=0)
        gap = abs(float(self.goes(gone)) - amount)
        while gap:
            tried = gone + moves
            tried = tried[((tried >= 0) & (tried < self.units)).all(1)]
            gaps = np.abs(self.goes(tried) - amount)
            if gaps.min() >= gap:
                break
            gap, gone = float(gaps.min()), tried[gaps.argmin()]
        return gone


def control_of(
    trace: Trace,
    every: Sequence[Width],
    parts: Collection[str],
    amount: int,
    whole: int,
    measure: Measure,
    reaching: int,
    runs: Callable[[Mapping[str, int]], bool],
) -> Narrowed:
    """The control of parts that hold `amount` of `whole`. SurgeryError, with what can be had, where there is none.

    every: the network's widths. parts: their paths; the widths that they lie in stay. reaching: the values that reach
    an output. runs: whether the network runs with some widths smaller (units kept, by name); asked of each where all at
    once do not.
    """
    what = _WORDS[measure]
    if amount < 0:
        raise SurgeryError(f"what stands in its place holds {-amount:,} {what} more than it does.")
    if amount < SMALLEST * whole:
        share = f"{100 * amount / whole:.2g} %" if whole else "none"
        raise SurgeryError(
            f"it holds {share} of the {what}, and below {100 * SMALLEST:g} % the network as it is would do as control."
        )
    free = [width for width in every if not any(_lies_in(name, parts) for name, _ in width.tied)]
    if free and not runs({width.name: 1 for width in free}):
        # The code of some has its size written in it: an attention that checks its width, say.
        free = [width for width in free if runs({width.name: width.units - 1})]
    narrowing = Narrowing(trace, measure, reaching, free)
    most = int(narrowing.goes(narrowing.units - 1)) if free else 0
    if most < amount * (1 - _NEAR):
        raise SurgeryError(
            f"it holds {amount:,} {what}, and {many(len(free), 'width')} of other parts can give {most:,}."
        )
    gone = narrowing.nearest(amount)
    goes = round(float(narrowing.goes(gone)))
    if abs(goes - amount) > _NEAR * amount:
        raise SurgeryError(f"it holds {amount:,} {what}, and the nearest that whole channels come to is {goes:,}.")
    kept = {width.name: int(width.units - lost) for width, lost in zip(free, gone, strict=True) if lost}
    return Narrowed(kept, goes, amount, whole, measure)


def _lies_in(name: str, parts: Collection[str]) -> bool:
    return any(f"{name}.".startswith(f"{part}.") for part in parts)


# ------------------------------------------------------------------------------------------------------------ narrowing


@torch.no_grad()
def narrow(model: nn.Module, every: Sequence[Width], kept: Mapping[str, int]) -> None:
    """Make widths smaller, in place: the first units of each stay, and so do all names. kept: units, by the width."""
    gone: dict[tuple[str, int], list[int]] = {}
    for width in every:
        if width.name in kept:
            for key, indices in width.tied.items():
                gone.setdefault(key, []).extend(indices[kept[width.name] :].ravel().tolist())
    places = _places(model)
    changed: dict[str, torch.Tensor] = {}
    for (name, dimension), lost in gone.items():
        tensor = changed.get(name, places[name][0][0])
        left = np.setdiff1d(np.arange(tensor.shape[dimension]), lost)
        changed[name] = tensor.index_select(dimension, torch.from_numpy(left).to(tensor.device))
    for name, tensor in changed.items():
        old, owners = places[name][0][0], [(owner, own) for _, owner, own in places[name]]
        parameter = nn.Parameter(tensor, old.requires_grad) if isinstance(old, nn.Parameter) else None
        for owner, own in owners:
            if parameter is not None:
                owner._parameters[own] = parameter
            else:
                owner._buffers[own] = tensor
            _resized(owner)


_Place = tuple[torch.Tensor, nn.Module, str]


def _places(model: nn.Module) -> dict[str, list[_Place]]:
    """Every parameter and buffer by its first name: itself, and each module that has it, under which name."""
    firsts: dict[int, str] = {}
    places: dict[str, list[_Place]] = {}
    for path, module in model.named_modules():
        for own, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                first = firsts.setdefault(id(tensor), f"{path}.{own}" if path else own)
                places.setdefault(first, []).append((tensor, module, own))
    return places


def _resized(module: nn.Module) -> None:
    """What a layer of torch's says of its own size, after its weight was made smaller."""
    weight = module._parameters.get("weight")
    if weight is None:
        return
    if isinstance(module, nn.modules.conv._ConvNd):
        if module.groups > 1:  # of those only the ones of one channel each are made smaller
            module.groups = module.in_channels = len(weight)
        else:
            module.in_channels = weight.shape[1]
        module.out_channels = len(weight)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = weight.shape[1]
    elif isinstance(module, nn.GroupNorm):
        module.num_groups = module.num_groups * len(weight) // module.num_channels
        module.num_channels = len(weight)
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.modules.batchnorm._NormBase):
        module.num_features = len(weight)
