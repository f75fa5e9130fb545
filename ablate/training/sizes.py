"""How large the parts of a network are, and how much goes with one that is taken away.

FLOPs are torch's count, two for a multiplication with its addition, of one forward pass in training mode with attention
as plain products: in evaluation its counter takes fused attention for nothing (a third of ViT-B/16 at 224 pixels).
Normalisation, activations and sums count nothing. Pure: a trace in, numbers out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from ablate.training.cuts import MEAN, Cut
from ablate.training.task import PartSize
from ablate.training.trace import Trace, mask_of, numbers_of, trace


@dataclass(frozen=True)
class Taken:
    """What goes with parts. flops, parameters: of `of_flops` and `of_parameters`, the whole network's.

    dead: how many of these parameters are left in the network but reach the output no more: they get no gradient.
    """

    parameters: int
    of_parameters: int
    flops: int
    of_flops: int
    dead: int

    def __str__(self) -> str:
        shares = f"{_percent(self.parameters, self.of_parameters)} of the parameters"
        dead = f" ({self.dead:,} of them stay, unused)" if self.dead else ""
        return f"{shares}{dead}, {_percent(self.flops, self.of_flops)} of the FLOPs"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g} %" if whole else "none"


def sizes(trace: Trace) -> Iterator[PartSize]:
    """Every module in the order of the network, the whole of it first."""
    for path, kind in trace.kinds.items():
        calls = trace.calls_of.get(path, [])
        last = next((number for call in calls[:1] for number in call.made if number is not None), None)
        made = trace.values[last].shape if last is not None else ()
        flops = sum(trace.values[number].flops for number in numbers_of(trace.inside(calls)))
        own = [name for name in trace.parameters if not path or name.startswith(f"{path}.")]
        yield PartSize(path, kind, made, _count(trace, own), flops)


def _count(trace: Trace, names: Iterable[str]) -> int:
    return sum(math.prod(trace.parameters[name]) for name in names)


def taken(trace: Trace, cuts: Sequence[Cut]) -> Taken:
    """What goes with parts, from the trace of the whole network.

    Parameters that no longer reach an output are counted as taken, their products are not: they are still computed. A
    layer that is put in a part's place is counted against it.
    """
    before, after = reaching(trace, ()), reaching(trace, cuts)
    gone = _named(trace, before) - _named(trace, after)
    places = [f"{place}." for cut in cuts if not cut.heads for place in cut.decision.places]
    away = {name for name in gone if any(f"{name}.".startswith(place) for place in places)}
    added = [_put(trace, cut) for cut in cuts if cut.off in ("linear", "instead")]
    parameters = sum(math.prod(trace.parameters[name]) for name in gone) - sum(own for own, _ in added)
    parameters += sum(_of_heads(trace, cut) for cut in cuts if cut.heads)
    inside = trace.inside(call for cut in cuts if not cut.heads for call in cut.decision.calls)
    flops = sum(trace.values[number].flops for number in numbers_of(inside)) - sum(own for _, own in added)
    return Taken(
        parameters=parameters,
        of_parameters=_count(trace, _named(trace, before)),
        flops=flops,
        of_flops=sum(value.flops for value in trace.values),
        dead=_count(trace, gone - away),
    )


def reaching(trace: Trace, cuts: Sequence[Cut]) -> int:
    """The values that reach an output when identity leads past a part and zeros and ones come from nowhere."""
    past: dict[int, tuple[int, ...]] = {}
    gone: set[str] = set()
    for cut in cuts:
        if cut.heads:
            continue
        if cut.decision.kind == "Parameter":
            gone.update(cut.decision.places)
        for call in cut.decision.calls:
            made = call.made[cut.decision.output]
            if made is not None:
                past[made] = (
                    () if cut.off in ("zero", "one", MEAN) or not call.given else (call.given[cut.decision.input],)
                )
    mask, waiting = 0, list(trace.outputs)
    while waiting:
        number = waiting.pop()
        value = trace.values[number]
        if mask >> number & 1 or (value.op == "parameter" and gone & set(value.names)):
            continue
        mask |= 1 << number
        waiting += past.get(number, value.inputs)
    return mask & ~mask_of(past)  # what stands for a part's output is not made any more


def _named(trace: Trace, mask: int) -> set[str]:
    """The parameters among values, each by its first name."""
    return {value.names[0] for n in numbers_of(mask) if (value := trace.values[n]).op == "parameter" and value.names}


def _put(of: Trace, cut: Cut) -> tuple[int, int]:
    """Parameters and FLOPs of the layer that stands for a part."""
    if cut.layer is not None:
        given = of.values[cut.decision.calls[0].given[cut.decision.input]]
        whole = next(sizes(trace(cut.layer, torch.zeros(given.shape, dtype=given.dtype))))
        return whole.parameters, len(cut.decision.calls) * whole.flops
    shape, made = cut.decision.given[cut.decision.input], cut.decision.made
    inputs, outputs = (shape[1], made[1]) if len(made) == 4 else (shape[-1], made[-1])
    return inputs * outputs + outputs, len(cut.decision.calls) * 2 * inputs * math.prod(made)


def _of_heads(trace: Trace, cut: Cut) -> int:
    """The columns of the output projection that read as zero."""
    weight = trace.parameters[f"{cut.decision.places[0]}.weight"]
    return math.prod(weight) * len(cut.heads) // cut.count
