"""One part and what comes in its place: asked for, found to fit, put there. Tried is it by surgery.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import torch
from torch import Tensor, nn

from ablate.records import Json
from ablate.text import did_you_mean, listed, one_of
from ablate.training.initial import initialise
from ablate.training.layers import activation
from ablate.training.model import Activation
from ablate.training.parts import SurgeryError
from ablate.training.rule import Decision
from ablate.training.standins import Constant, Input, Instead, StandIn, hold_constant, projection, take_heads
from ablate.training.trace import Trace, is_product

InPlace = str | Mapping[str, int] | nn.Module
"""What stands there instead: "identity", "zero", "one", "linear", an activation's name, {"input": 1}, or a module."""

ACTIVATIONS: tuple[str, ...] = get_args(Activation)
MEAN = "mean"
"""What only a study's trained weights take: the mean of a part's output over training images."""

WORDS = ("identity", "zero", "one", "linear", *ACTIVATIONS)
_COUNTS = ("num_heads", "n_heads", "heads", "num_attention_heads", "n_head", "nhead")


@dataclass(frozen=True)
class Cut:
    """One part, and what comes in its place. layer: of the user's. heads: only these of `count`, counted from 0. held:
    the mean that stands there, once it is known; ones until then, for a trial. written: of a replacement, as a key has
    it.
    """

    decision: Decision
    off: str
    layer: nn.Module | None = None
    heads: tuple[int, ...] = ()
    count: int = 0
    held: Tensor | None = None
    written: Json = None

    @property
    def said(self) -> str:
        """What stands there, in a word."""
        return f"replacement {self.written['use']}" if self.written else self.off


def cut_of(decision: Decision, instead: InPlace | None) -> Cut:
    """What stands there instead of a part, by the rule or as asked. SurgeryError where it cannot."""
    if instead is None:
        if decision.off is None:
            raise SurgeryError(f"{decision.path} ({decision.kind}): {decision.reason}")
        return _callable(Cut(decision, decision.off))
    if isinstance(instead, Mapping):
        return _of_input(decision, dict(instead))
    if isinstance(instead, str) and instead not in (*WORDS, MEAN):
        raise SurgeryError(f"instead is {instead!r}; it may be {one_of(WORDS)}.{did_you_mean(instead, WORDS)}")
    if decision.off is None and decision.why in ("list", "uncalled", "unused", "past its call", "outputs", "roles"):
        raise SurgeryError(f"{decision.path} ({decision.kind}): {decision.reason}")
    if isinstance(instead, nn.Module):
        return _callable(Cut(decision, "instead", instead))
    if decision.kind == "Parameter" and instead not in ("zero", "one"):
        raise SurgeryError(f"{decision.path} is a parameter: instead may be zero or one, not {instead}.")
    if instead == MEAN and len(decision.calls) > 1:
        raise SurgeryError(
            f"{decision.path} ({decision.kind}): it is called {len(decision.calls)} times, so has no mean."
        )
    if instead == "identity" and decision.why == "inputs":
        raise SurgeryError(f"{decision.path} ({decision.kind}): {decision.reason}")
    if instead in ("identity", "linear", *ACTIVATIONS) and not decision.given:
        raise SurgeryError(f"{decision.path} ({decision.kind}) gets no tensor that {instead} could use.")
    if instead == "linear" and projection(_given(decision), decision.made, torch.empty(0)) is None:
        shapes = f"{tuple(_given(decision))} to {decision.made}"
        raise SurgeryError(f"{decision.path} ({decision.kind}): no linear map of the channels leads from {shapes}.")
    return _callable(Cut(decision, instead))


def _of_input(decision: Decision, instead: dict[str, Any]) -> Cut:
    number = instead.get("input")
    if list(instead) != ["input"] or not isinstance(number, int) or not 0 <= number < len(decision.given):
        places = (
            f"{{input: N}} with N from 0 to {len(decision.given) - 1}" if decision.given else "nothing of that kind"
        )
        raise SurgeryError(f"{decision.path} ({decision.kind}): instead is {instead}; it may be {places}.")
    return _callable(Cut(replace(decision, input=number), "identity"))


def _callable(cut: Cut) -> Cut:
    """SurgeryError where two calls of a part give its input in two ways, so that one stand-in cannot find it."""
    decision = cut.decision
    ways = {call.arguments[decision.input] for call in decision.calls if call.arguments}
    if len(ways) > 1:
        raise SurgeryError(
            f"{decision.path} ({decision.kind}): it is called in different ways: {sorted(map(str, ways))}."
        )
    return cut


def _given(decision: Decision) -> tuple[int, ...]:
    return decision.given[decision.input]


def operate(model: nn.Module, cuts: Sequence[Cut], seed: int) -> None:
    """Put the stand-ins in. A layer put instead is drawn from the names of its parameters, as every other one is, but
    for a module that the caller made."""
    own = [cut.layer for cut in cuts if cut.layer is not None and cut.written is None]
    done = {id(parameter): parameter for module in (model, *own) for parameter in module.parameters()}
    like = next(model.parameters(), torch.empty(0))
    for cut in cuts:
        stand_in: StandIn | None = None
        for place in cut.decision.places:
            above, _, name = place.rpartition(".")
            owner = model.get_submodule(above)
            if cut.heads:
                layer = owner.get_submodule(name)
                take_heads(layer, cut.heads, cut.count, _columns(layer))
            elif cut.decision.kind == "Parameter":
                hold_constant(owner, name, float(cut.off == "one"))
            else:
                original = owner.get_submodule(name)
                stand_in = stand_in or _stand_in(cut, original, like).train(original.training)
                # Into the dictionary, where it keeps its place in the order of the parts.
                owner._modules[name] = stand_in
            _take_the_long_way(model, place)
    if any(cut.off == "linear" or cut.written is not None for cut in cuts):
        initialise(model, seed, done)


def _stand_in(cut: Cut, original: nn.Module, like: Tensor) -> StandIn:
    """like: a tensor of the network, for parts without any of their own."""
    decision, like = cut.decision, next(original.parameters(), like)
    if cut.off == "identity":
        return Input(decision, original)
    if cut.off in ("zero", "one", MEAN):
        return Constant(decision, original, cut.held if cut.held is not None else float(cut.off != "zero"), like)
    if cut.layer is not None and cut.written is not None:
        cut.layer.to(like.device)
    layer = cut.layer or (
        projection(_given(decision), decision.made, like) if cut.off == "linear" else activation(cut.off)  # type: ignore[arg-type]
    )
    assert layer is not None, "that it fits was asked before"
    return Instead(decision, original, layer)


def _take_the_long_way(model: nn.Module, place: str) -> None:
    """torch's fused encoder layer reads its children's weights in evaluation and calls none; here it must call them.

    Not by a hook, which also would: this is what the layer itself looks at.
    """
    names = place.split(".")
    for depth in range(len(names)):
        around = model.get_submodule(".".join(names[:depth]))
        if isinstance(around, nn.TransformerEncoderLayer):
            around.activation_relu_or_gelu = 0
        elif isinstance(around, nn.TransformerEncoder):
            around.enable_nested_tensor = around.use_nested_tensor = False


# --------------------------------------------------------------------------------------------------------------- heads


def _projection_of(trace: Trace, decision: Decision) -> tuple[str, int]:
    """The path of the last layer whose weight makes an attention's output, and how many columns it has."""
    for call in decision.calls:
        output = call.made[decision.output]
        for number in range(call.end - 1, call.start - 1, -1):
            value = trace.values[number]
            if not is_product(value.op) or output is None or not trace.ancestors[output] >> number & 1:
                continue
            for source in value.inputs:
                while trace.values[source].op != "parameter" and len(trace.values[source].inputs) == 1:
                    source = trace.values[source].inputs[0]
                weight = trace.values[source]
                if weight.op == "parameter" and len(weight.shape) > 1 and weight.names[0].endswith(".weight"):
                    return weight.names[0].removesuffix(".weight"), weight.shape[1]
    return "", 0


def head_count(module: nn.Module) -> int:
    counts = (getattr(module, name, None) for name in _COUNTS)
    return next((count for count in counts if isinstance(count, int)), 0)


def _columns(layer: nn.Module) -> int:
    weight = layer._parameters["weight"]
    assert weight is not None, "it was found by its weight"
    return weight.shape[1]


def heads_of(trace: Trace, decision: Decision, heads: Sequence[int], count: int, inside: Sequence[str]) -> Cut:
    """Some heads of an attention. count: how many it has, 0 where it does not say; inside: what in it says so."""
    path, columns = _projection_of(trace, decision)
    if not path or not count or columns % count:
        lacking = f"no output projection of {count} equal heads was found" if count else "it has no num_heads"
        name = f" Name the attention in it: {listed(inside, most=4)}." if inside and not count else ""
        raise SurgeryError(f"{decision.path} ({decision.kind}): its heads cannot be told apart, for {lacking}.{name}")
    wrong = [head for head in heads if not 0 <= head < count]
    if wrong or len(set(heads)) == count:
        problem = f"there is no head {wrong[0]}; they are 0 to {count - 1}" if wrong else "these are all its heads"
        raise SurgeryError(f"{decision.path} ({decision.kind}): {problem}.")
    return Cut(replace(decision, places=(path,)), "heads", heads=tuple(sorted(set(heads))), count=count)
