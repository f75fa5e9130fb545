"""One forward pass on tensors without storage: which value came from which, and who was called with what.

The pass runs through a copy of the network whose parameters and buffers are fake, in training mode and with attention
written out as plain products; it computes nothing, draws nothing and leaves the network as it was. Symbolic tracing
fails on networks with branches in their code; this follows whatever the code does for one example.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.flop_counter import flop_registry

from ablate.text import one_line
from ablate.training.parts import SurgeryError

Shape = tuple[int, ...]

# Values whose numbers come from their shape alone: nothing flows through them.
_SHAPED = ("_like", "new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided")


@dataclass(frozen=True)
class Value:
    """A tensor at one moment; writing into it makes another value. Values are numbered in the order of their making.

    op: the operation's name, or "input", "parameter", "constant". inputs: the values that it was made from. call: the
    innermost call that made it, -1 for none. names: of the parameter. storage: equal for tensors that share memory.
    flops: multiplications and additions of a product, counted as torch does. settings: the operation's arguments, None
    for tensors. held: the names of the buffer that a constant is.
    """

    op: str
    inputs: tuple[int, ...]
    shape: Shape
    dtype: torch.dtype
    call: int
    storage: int
    names: tuple[str, ...] = ()
    flops: int = 0
    settings: tuple[Any, ...] = ()
    held: tuple[str, ...] = ()


@dataclass
class Call:
    """One call of a module. given, made: the values of the tensors among its arguments and results, flattened.

    start, end: the values that came to be inside are start to end - 1. parent: the call around it, -1 for none.
    structure: how the result is built from `made` (None where a leaf is no tensor). arguments: (position or name,
    index among the flattened leaves of that argument) of each of `given`.
    """

    path: str
    module: int
    parent: int
    start: int
    given: tuple[int, ...]
    arguments: tuple[tuple[int | str, int], ...]
    end: int = -1
    made: tuple[int | None, ...] = ()
    leaves: tuple[Any, ...] = ()
    structure: Any = None


@dataclass(frozen=True)
class Trace:
    """What a network did with one example. inputs, outputs: values. places: every path of each module, by its
    first. parameters: shapes, each once, by the first name.

    writes: (value, storage) of every write in place. The masks below are integers with a bit for each value.
    """

    values: Sequence[Value]
    calls: Sequence[Call]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    places: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, str]
    parameters: Mapping[str, Shape]
    writes: Sequence[tuple[int, int]] = ()
    decided: dict[str, Any] = field(default_factory=dict, repr=False)
    """What the rule found, by path: parts ask for one another."""

    @cached_property
    def ancestors(self) -> list[int]:
        """For each value the mask of those that it was made from, itself included."""
        masks: list[int] = []
        for number, value in enumerate(self.values):
            mask = 1 << number
            for source in value.inputs:
                mask |= masks[source]
            masks.append(mask)
        return masks

    @cached_property
    def consumers(self) -> list[list[int]]:
        consumers: list[list[int]] = [[] for _ in self.values]
        for number, value in enumerate(self.values):
            for source in dict.fromkeys(value.inputs):
                consumers[source].append(number)
        return consumers

    @cached_property
    def alive(self) -> int:
        """The values that reach an output."""
        mask = 0
        for output in self.outputs:
            mask |= self.ancestors[output]
        return mask

    @cached_property
    def data(self) -> int:
        """The values that are made from the network's inputs."""
        return self.made_from(mask_of(self.inputs))

    @cached_property
    def products(self) -> int:
        """Convolutions, matrix products and look-ups."""
        return mask_of(number for number, value in enumerate(self.values) if is_product(value.op))

    def made_from(self, sources: int) -> int:
        """The values with an ancestor in `sources`, those included."""
        return mask_of(number for number, mask in enumerate(self.ancestors) if mask & sources)

    @cached_property
    def calls_of(self) -> dict[str, list[Call]]:
        """The calls of each module, by its first path."""
        calls: dict[str, list[Call]] = {}
        for call in self.calls:
            calls.setdefault(call.path, []).append(call)
        return calls

    def parameter_behind(self, number: int) -> str:
        """The first name of the parameter that a value is, or is a view of; empty where it is none."""
        while self.values[number].op != "parameter" and len(self.values[number].inputs) == 1:
            number = self.values[number].inputs[0]
        return self.values[number].names[0] if self.values[number].op == "parameter" else ""

    def inside(self, calls: Iterable[Call]) -> int:
        """The values that came to be in calls."""
        mask = 0
        for call in calls:
            mask |= (1 << call.end) - (1 << call.start)
        return mask


def mask_of(numbers: Iterable[int]) -> int:
    mask = 0
    for number in numbers:
        mask |= 1 << number
    return mask


def numbers_of(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


_PRODUCTS = ("conv", "mm", "matmul", "bmm", "addmv", "mv", "dot", "embedding", "attention", "rnn", "lstm", "gru")


def is_product(op: str) -> bool:
    name = op.split(".")[0].strip("_")
    return any(name == product or name.endswith(product) or name.startswith(product) for product in _PRODUCTS)


Example = Tensor | Sequence[Any] | Mapping[str, Any]
"""What a network is called with: one tensor, positional arguments, or arguments by name."""


def arguments_of(example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Tensor):
        return (example,), {}
    return ((), dict(example)) if isinstance(example, Mapping) else (tuple(example), {})


def hollow(model: nn.Module, mode: FakeTensorMode) -> nn.Module:
    """A copy of a network without storage. SurgeryError where something in it cannot be copied."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None and id(tensor) not in memo:
                fake = mode.from_tensor(tensor.detach())
                is_parameter = isinstance(tensor, nn.Parameter)
                memo[id(tensor)] = nn.Parameter(fake, tensor.requires_grad) if is_parameter else fake
    return copied(model, memo)


def copied(model: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    try:
        return copy.deepcopy(model, memo)
    except (RuntimeError, TypeError, AttributeError) as error:
        kind = type(model).__name__
        raise SurgeryError(f"a {kind} cannot be copied, and so not be tried: {one_line(str(error))}") from None


def trace(model: nn.Module, example: Example) -> Trace:
    """Follow one forward pass in training mode, without computing it. Errors of the network's own code pass through."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    network = hollow(model, mode)
    args, kwargs = tree_map(lambda leaf: fake_of(mode, leaf), arguments_of(example))
    with mode:
        return follow(network.train(), args, kwargs)


def follow(network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    """Follow one forward pass of a network that is the caller's own: it gets hooks. In the mode that it is in."""
    # Attention as plain products, which the counters and the rule can see into.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        return _Recorder(network).run(args, kwargs)


def fake_of(mode: FakeTensorMode, leaf: Any) -> Any:
    return mode.from_tensor(leaf.detach()) if isinstance(leaf, Tensor) else leaf


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of a network, and by hooks every call of its modules."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.network = network
        self.values: list[Value] = []
        self.calls: list[Call] = []
        self.stack: list[int] = []
        self.writes: list[tuple[int, int]] = []
        self.number: dict[int, int] = {}  # of a tensor, by its id
        self.written: dict[int, int] = {}  # the last write into each storage
        self.kept: list[Any] = []  # so that no id is given twice
        self.names: dict[int, tuple[str, ...]] = {}
        for name, parameter in network.named_parameters(remove_duplicate=False):
            self.names[id(parameter)] = (*self.names.get(id(parameter), ()), name)
        self.held: dict[int, tuple[str, ...]] = {}
        for name, buffer in network.named_buffers(remove_duplicate=False):
            self.held[id(buffer)] = (*self.held.get(id(buffer), ()), name)
        places: dict[int, list[str]] = {}
        for path, module in network.named_modules(remove_duplicate=False):
            places.setdefault(id(module), []).append(path)
        self.places = {paths[0]: tuple(paths) for paths in places.values()}
        self.kinds = {path: type(module).__name__ for path, module in network.named_modules()}

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
        inputs = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
        numbers = tuple(self._new(tensor, "input", ()) for tensor in inputs)
        for path, module in self.network.named_modules():
            module.register_forward_pre_hook(self._enter(path), prepend=True, with_kwargs=True)
            module.register_forward_hook(self._leave, with_kwargs=True)
        with self:
            result = self.network(*args, **kwargs)
        outputs = tuple(self._read(leaf) for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor))
        shapes = {name: tuple(parameter.shape) for name, parameter in self.network.named_parameters()}
        return Trace(self.values, self.calls, numbers, outputs, self.places, self.kinds, shapes, self.writes)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = tuple(self._read(leaf) for leaf in _tensors((args, kwargs)))
        result = func(*args, **kwargs)
        name = str(func).removeprefix("aten.")
        sources = () if name.split(".")[0].endswith(_SHAPED) else given
        count = flop_registry.get(func.overloadpacket) if isinstance(func, torch._ops.OpOverload) else None
        flops = int(count(*args, **kwargs, out_val=result)) if count else 0
        settings = tuple(None if _tensors(given) else given for given in args)
        for leaf in _tensors(result):
            self._new(leaf, name, sources, flops, settings)
            flops = 0  # a product with several results counts once
        for leaf in _written(func, args, kwargs):
            storage = _storage(leaf)
            number = self._new(leaf, name, sources, 0, settings)
            self.written[storage] = number
            self.writes.append((number, storage))
        return result

    def _new(
        self, tensor: Tensor, op: str, inputs: tuple[int, ...], flops: int = 0, settings: tuple[Any, ...] = ()
    ) -> int:
        call = self.stack[-1] if self.stack else -1
        names = self.names.get(id(tensor), ()) if op == "parameter" else ()
        held = self.held.get(id(tensor), ()) if op == "constant" else ()
        shape, storage = tuple(tensor.shape), _storage(tensor)
        self.values.append(Value(op, inputs, shape, tensor.dtype, call, storage, names, flops, settings, held))
        self.kept.append(tensor)
        self.number[id(tensor)] = len(self.values) - 1
        return len(self.values) - 1

    def _read(self, tensor: Tensor) -> int:
        """The value that a tensor has now; a write through another view of its memory made it a new one."""
        number = self.number.get(id(tensor))
        if number is None:
            return self._new(tensor, "parameter" if id(tensor) in self.names else "constant", ())
        write = self.written.get(self.values[number].storage, -1)
        return self._new(tensor, "alias", (number, write)) if write > number else number

    def _enter(self, path: str) -> Any:
        def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given: list[int] = []
            arguments: list[tuple[int | str, int]] = []
            keyed: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
            for key, argument in keyed:
                for place, leaf in enumerate(tree_flatten(argument)[0]):
                    if isinstance(leaf, Tensor):
                        given.append(self._read(leaf))
                        arguments.append((key, place))
            parent = self.stack[-1] if self.stack else -1
            start = len(self.values)
            self.stack.append(len(self.calls))
            self.calls.append(Call(path, id(module), parent, start, tuple(given), tuple(arguments)))

        return enter

    def _leave(self, _module: nn.Module, _args: Any, _kwargs: Any, result: Any) -> Any:
        call = self.calls[self.stack.pop()]
        leaves, structure = tree_flatten(result)
        same = set(call.given)
        made: list[Any] = []
        for leaf in leaves:
            # What a module hands on as it is gets a value of its own, so that its use can be told from its input's.
            passed = isinstance(leaf, Tensor) and self._read(leaf) in same
            made.append(torch.ops.aten.alias.default(leaf) if passed else leaf)
        call.end = len(self.values)
        call.made = tuple(self._read(leaf) if isinstance(leaf, Tensor) else None for leaf in made)
        call.leaves = tuple(None if isinstance(leaf, Tensor) else leaf for leaf in made)
        call.structure = structure
        return torch.utils._pytree.tree_unflatten(made, structure)


def _tensors(nested: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(nested)[0] if isinstance(leaf, Tensor)]


def _written(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes into, as its schema says."""
    found = []
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[place] if place < len(args) else kwargs.get(argument.name)
            found += _tensors(given)
    return found


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
