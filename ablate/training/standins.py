"""What stands at a part's path when the part is gone: its input, zeros, ones, or another layer.

A stand-in is called as the part was and returns what the part's caller unpacks. It has no parameters but those of a
layer put in its place (`PATH.instead.weight`), takes any state that the part had, and what its parent reads of the part
(`batch_first`) comes from a copy without storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from ablate.training.model import Draws
from ablate.training.rule import Decision
from ablate.training.trace import Shape, copied


class StandIn(nn.Module):
    """The common part: which argument is meant, and what is returned. `value` is each kind's own."""

    _of: tuple[nn.Module]

    def __init__(self, decision: Decision, original: nn.Module) -> None:
        super().__init__()
        call = decision.calls[0]
        self._key, leaf = call.arguments[decision.input] if call.arguments else (0, 0)
        self._name = str(self._key)
        self._leaf = leaf  # of an argument that is a list, say
        self._copies = decision.copies
        self._returns = (
            (call.leaves, call.structure, decision.output)
            if len(call.leaves) > 1 or not call.structure.is_leaf()
            else None
        )
        # The usual form of several results, made ten times as fast as any other.
        is_tuple = call.structure == tree_flatten((0,) * len(call.leaves))[1]
        self._beside = (call.leaves[: decision.output], call.leaves[decision.output + 1 :]) if is_tuple else None
        # In a tuple, or it would be a child: its parameters are nobody's. Of a part that is away already, what it was.
        part = original._of[0] if isinstance(original, StandIn) else _without_storage(original)
        self._of = (part,)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("__") or "_of" not in self.__dict__:
                raise
        return getattr(self._of[0], name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        key = self._key
        given = args[key] if isinstance(key, int) and key < len(args) else kwargs.get(self._name)
        if not isinstance(given, Tensor) and given is not None:
            given = tree_flatten(given)[0][self._leaf]
        value = self.value(given, args, kwargs)
        return value if self._returns is None else self._whole(value)

    def value(self, given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        raise NotImplementedError

    def _whole(self, value: Tensor) -> Any:
        """The result in its caller's form; of the others, which nobody reads, tensors are None."""
        if self._beside is not None:
            before, after = self._beside
            return (*before, value, *after)
        assert self._returns is not None, "only results of several leaves have a form"
        leaves, structure, used = self._returns
        return tree_unflatten([value if i == used else leaf for i, leaf in enumerate(leaves)], structure)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        """Of the part's state nothing is missing and nothing is too much; a layer put in its place loads its own."""


class Input(StandIn):
    """Identity: hands one of its inputs on; a copy where later code writes into it."""

    def value(self, given: Tensor, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Tensor:
        return given.clone() if self._copies else given

    def extra_repr(self) -> str:
        return "identity"


class Constant(StandIn):
    """Zeros or ones in the shape that the part would have made, or the same for every image."""

    neutral: Tensor

    def __init__(self, decision: Decision, original: nn.Module, value: float | Tensor, like: Tensor) -> None:
        """like: a tensor of the kind and on the device that it has."""
        super().__init__(decision, original)
        self._said = "mean" if isinstance(value, Tensor) else f"{value:g}"
        if not isinstance(value, Tensor):
            value = like.new_full((), value, requires_grad=False)
        self.register_buffer("neutral", value, persistent=False)
        self._same = decision.input < len(decision.given) and decision.given[decision.input] == decision.made
        self._output = decision.output
        self._shapes: dict[Any, Shape] = {}
        self._last: tuple[Any, Any, Any, Any] = (None, None, None, None)

    def value(self, given: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        neutral = self._buffers["neutral"]  # not by the attribute, which costs a microsecond at every call
        assert neutral is not None, "it was put there"
        shape = given.shape if self._same else self._foretold(args, kwargs)
        if not self._copies and not torch.compiler.is_compiling():
            return self._spread(neutral, shape, given)
        if isinstance(given, Tensor) and given.dtype is not neutral.dtype and given.is_floating_point():
            neutral = neutral.to(given.dtype)
        # One number seen everywhere: nothing is filled, and a sum costs no memory for it.
        spread = neutral.expand(shape)
        return spread.clone() if self._copies else spread

    def _spread(self, neutral: Tensor, shape: Shape, given: Any) -> Tensor:
        """The last answer once more where nothing changed: to make a view costs more than all the rest of a call."""
        dtype = given.dtype if isinstance(given, Tensor) and given.is_floating_point() else neutral.dtype
        of, known, kind, last = self._last
        if of is not neutral or known != shape or kind is not dtype:
            last = neutral.to(dtype).expand(shape)
            self._last = (neutral, shape, dtype, last)
        answer: Tensor = last
        return answer

    def _foretold(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shape:
        """The shape of what the part would make of these, from its copy; remembered for each shape of the inputs."""
        if torch.compiler.is_compiling():  # the graph that is made is for these shapes
            return _shape_of(self._of[0], args, kwargs, self._output)
        if len(args) == 1 and not kwargs and isinstance(args[0], Tensor):
            shapes: Any = args[0].shape
        else:
            shapes = (*map(_form, args), *((name, _form(given)) for name, given in kwargs.items()))
        shape = self._shapes.get(shapes)
        if shape is None:
            shape = self._shapes[shapes] = _foretold_unseen(self._of[0], args, kwargs, self._output)
        return shape

    def extra_repr(self) -> str:
        return self._said


class Instead(StandIn):
    """Another layer, called with one of the part's inputs."""

    def __init__(self, decision: Decision, original: nn.Module, layer: nn.Module) -> None:
        super().__init__(decision, original)
        self.instead = layer

    def value(self, given: Tensor, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Tensor:
        value: Tensor = self.instead(given)
        return value


def projection(given: Shape, made: Shape, like: Tensor) -> nn.Module | None:
    """A linear map of the channels from one shape to another, by a stride where pixels get fewer; None: there is none.

    like: a tensor of the kind and on the device that its parameters get. They are not drawn yet.
    """
    if len(given) != len(made) or len(made) < 2:
        return None
    kind: dict[str, Any] = {"device": like.device, "dtype": like.dtype}
    with torch.random.fork_rng(devices=[]):  # torch draws what the caller draws again
        if len(made) == 4:
            down, across = (-(-a // max(b, 1)) for a, b in zip(given[2:], made[2:], strict=True))
            fits = given[0] == made[0] and (-(-given[2] // down), -(-given[3] // across)) == made[2:]
            return nn.Conv2d(given[1], made[1], 1, (down, across), **kind) if fits else None
        return nn.Linear(given[-1], made[-1], **kind) if given[:-1] == made[:-1] else None


class Headless:
    """A projection whose columns of some attention heads read as zero; mixed into the projection's own class.

    A property, so the parameter keeps its name and its bits; what is masked gets no gradient.
    """

    @property
    def weight(self) -> Tensor:
        module: Any = self
        return module._parameters["weight"].masked_fill(module.absent, 0)  # type: ignore[no-any-return]


_headless: dict[type, type] = {}


def take_heads(projection: nn.Module, heads: Sequence[int], count: int, places: int) -> None:
    """Make a projection's columns of these heads read as zero. places: how many columns it has."""
    absent = torch.zeros(places, dtype=torch.bool, device=next(projection.parameters()).device)
    for head in heads:
        absent[head * (places // count) : (head + 1) * (places // count)] = True
    kind = type(projection)
    _headless[kind] = _headless.get(kind) or type(f"Headless{kind.__name__}", (Headless, kind), {})
    projection.register_buffer("absent", absent, persistent=False)
    projection.__class__ = _headless[kind]


def hold_constant(owner: nn.Module, name: str, number: float) -> None:
    """Let a parameter read as zeros or ones, and be none: not trained, not counted, its old state taken and left."""
    parameter = owner._parameters.pop(name)
    assert parameter is not None, "it was used"
    owner.register_buffer(name, torch.full_like(parameter.detach(), number), persistent=False)

    def leave(_module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        state.pop(f"{prefix}{name}", None)

    owner.register_load_state_dict_pre_hook(leave)  # type: ignore[no-untyped-call]


def _without_storage(module: nn.Module) -> nn.Module:
    memo: dict[int, Any] = {}
    for part in module.modules():
        for tensor in (*part._parameters.values(), *part._buffers.values()):
            if tensor is not None and id(tensor) not in memo:
                empty = torch.empty_like(tensor, device="meta")
                memo[id(tensor)] = nn.Parameter(empty, False) if isinstance(tensor, nn.Parameter) else empty
    hollow = copied(module, memo)
    for part in hollow.modules():
        if isinstance(part, Draws):
            part.stream = None
    return hollow.eval()


def _form(given: Any) -> Any:
    """What a shape depends on of one argument: of a tensor its shape, of a list, say, all leaves."""
    if isinstance(given, Tensor):
        return given.shape
    return tuple(tuple(leaf.shape) if isinstance(leaf, Tensor) else leaf for leaf in tree_flatten(given)[0])


def _foretold_unseen(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: int) -> Shape:
    """`_shape_of`, hidden from whoever counts operations just now."""
    with torch.no_grad(), _disable_current_modes():
        return _shape_of(part, args, kwargs, output)


def _shape_of(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: int) -> Shape:
    given, named = tree_map(_on_meta, (args, kwargs))
    return tuple(tree_flatten(part(*given, **named))[0][output].shape)


def _on_meta(leaf: Any) -> Any:
    return torch.empty(leaf.shape, dtype=leaf.dtype, device="meta") if isinstance(leaf, Tensor) else leaf
