"""Which channels of a network's tensors go together: the widths that can be made smaller, read from a trace.

Every index of every dimension of a parameter or buffer is a node; an operation ties those that must stay or go together
(a sum its summands' channels, a convolution its input's channels to its weight's). What an operation does that is not
known here keeps its channels for good. A width is a set of components that lie in the same tensors and that one layer
makes and another takes: channels of the images, of the classes and of attention are none. Pure: a trace in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ablate.training.trace import Shape, Trace, Value

Nodes = npt.NDArray[np.int64]
"""The nodes of one dimension, by index; NOTHING where none is."""

NOTHING, FOR_GOOD = -1, 0
"""No node (a batch, pixels, zeros that pad); the node of all that keeps its size."""


@dataclass(frozen=True)
class Width:
    """Channels that one layer makes and others take. name: the layer that makes them, the first one.

    units: how many can go one by one (a group norm's whole groups). channels: of each unit, in that layer. tied: for
    every tensor (its first name) and dimension the indices of each unit, an array (units, times).
    """

    name: str
    units: int
    channels: int
    tied: Mapping[tuple[str, int], npt.NDArray[np.int64]]


def widths(trace: Trace) -> list[Width]:
    """The widths of a network, in the order of its parameters."""
    return _Ties(trace).widths()


_SAME = (
    " relu gelu silu sigmoid tanh elu leaky_relu hardtanh hardswish hardsigmoid mish softplus threshold add sub mul "
    "div neg exp log pow rsqrt sqrt abs square clone detach alias to_copy native_dropout where maximum minimum clamp "
    "masked_fill copy softmax log_softmax safe_softmax rsub reciprocal erf sin cos contiguous lift_fresh bernoulli "
    "fill zero uniform normal lerp addcmul "
)
_REDUCED = " mean sum amax amin var std var_mean std_mean linalg_vector_norm norm max min "
_POOLED = ("max_pool", "avg_pool", "upsample", "adaptive_max_pool")
_MADE = " empty zeros ones full rand randn arange scalar_tensor eye new_zeros new_ones new_full "
"""Operations by what they do: number by number, with fewer dimensions, with fewer pixels, from nothing."""


class _Ties:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.count = 1  # FOR_GOOD is the first
        self.ties: list[tuple[Nodes, Nodes]] = []
        self.dims: list[list[Nodes]] = []  # of each value, by dimension
        self.held: dict[tuple[str, int], Nodes] = {}
        self.made: dict[str, Nodes] = {}  # what each weight makes and takes, by its name
        self.taken: list[Nodes] = []
        for value in trace.values:
            self.dims.append(self._dims(value))
        for number in trace.outputs:
            self._keep(self.dims[number])

    # --------------------------------------------------------------------------------------------------------- nodes

    def _new(self, name: str, shape: Shape) -> list[Nodes]:
        for place, size in enumerate(shape):
            if (name, place) not in self.held:
                self.held[name, place] = np.arange(self.count, self.count + size)
                self.count += size
        return [self.held[name, place] for place in range(len(shape))]

    def _keep(self, dims: Sequence[Nodes]) -> None:
        for nodes in dims:
            self._tie(nodes, np.full_like(nodes, FOR_GOOD))

    def _tie(self, one: Nodes, other: Nodes) -> Nodes:
        """Two dimensions that are one; where one of them has no node, the other's."""
        if one is other:
            return one
        both = (one != NOTHING) & (other != NOTHING)
        if both.any():
            self.ties.append((one[both], other[both]))
        return np.where(one == NOTHING, other, one)

    # ---------------------------------------------------------------------------------------------------- operations

    def _dims(self, value: Value) -> list[Nodes]:
        name = value.op.split(".")[0].strip("_")
        if value.op == "parameter" or value.held:
            return self._new((value.names or value.held)[0], value.shape)
        if value.op == "constant":  # a tensor of the code's own, whose size nobody could change
            return [np.full(size, FOR_GOOD if size > 1 else NOTHING) for size in value.shape]
        if value.op == "input" or f" {name} " in _MADE or name.endswith("_like"):
            return _none(value.shape)
        rule = _RULES.get(name)
        if rule is not None:
            made = rule(self, value)
        elif f" {name} " in _SAME:
            made = self._same(value)
        elif f" {name} " in _REDUCED:
            made = self._reduced(value)
        elif "batch_norm" in name:
            made = self._batch_norm(value)
        elif any(pool in name for pool in _POOLED):
            made = [*self._of(value)[:-2], *_none(value.shape[-2:])] if len(value.shape) > 2 else None
        else:
            made = None
        if made is None or [len(nodes) for nodes in made] != list(value.shape):
            return self._unknown(value)
        return made

    def _of(self, value: Value, place: int = 0) -> list[Nodes]:
        return self.dims[value.inputs[place]]

    def _unknown(self, value: Value) -> list[Nodes]:
        for number in value.inputs:
            self._keep(self.dims[number])
        return [np.full(size, FOR_GOOD if size > 1 else NOTHING) for size in value.shape]

    def _same(self, value: Value) -> list[Nodes] | None:
        """Number by number, smaller tensors seen everywhere."""
        made = _none(value.shape)
        for number in value.inputs:
            given = self.dims[number]
            if len(given) > len(made):
                return None
            for nodes, place in zip(reversed(given), range(len(made) - 1, -1, -1), strict=False):
                if len(nodes) == len(made[place]):
                    made[place] = self._tie(made[place], nodes)
                elif len(nodes) == 1:
                    self._keep([nodes])
                else:
                    return None
        return made

    def _reduced(self, value: Value) -> list[Nodes] | None:
        given = self._of(value)
        if len(given) == len(value.shape):
            return [g if len(g) == n else _none((n,))[0] for g, n in zip(given, value.shape, strict=True)]
        gone = value.settings[1] if len(value.settings) > 1 else None
        if gone is None:
            return _none(value.shape)
        places = {place % len(given) for place in (gone if isinstance(gone, list) else [gone])}
        return [nodes for place, nodes in enumerate(given) if place not in places]

    def _batch_norm(self, value: Value) -> list[Nodes]:
        given = self._of(value)
        for number in value.inputs[1:]:
            self._tie(given[1], self.dims[number][0])
        return given if len(value.shape) == len(given) else _none(value.shape)

    def _layer_norm(self, value: Value) -> list[Nodes] | None:
        given = self._of(value)
        if len(value.settings[1]) != 1:
            return None
        for number in value.inputs[1:]:
            self._tie(given[-1], self.dims[number][0])
        return given if value.shape[-1] == len(given[-1]) else _none(value.shape)

    def _group_norm(self, value: Value) -> list[Nodes]:
        """Whole groups only: a group's channels go together."""
        given, groups = self._of(value), int(value.settings[6])
        for number in value.inputs[1:]:
            self._tie(given[1], self.dims[number][0])
        if groups == 1:
            self._keep([given[1]])
        else:
            members = given[1].reshape(groups, -1)
            self._tie(members[:, 1:].ravel(), members[:, :-1].ravel())
        return given if len(value.shape) == len(given) else _none(value.shape)

    def _convolution(self, value: Value) -> list[Nodes] | None:
        given, weight = self._of(value), self._of(value, 1)
        if value.settings[6]:  # transposed
            return None
        if value.settings[8] == 1:
            self._tie(given[1], weight[1])
            self._product(value.inputs[1], weight[0], weight[1])
        elif value.settings[8] == len(weight[0]) == len(given[1]):
            self._tie(given[1], weight[0])
        else:
            return None
        for number in value.inputs[2:]:
            self._tie(weight[0], self.dims[number][0])
        self._keep([*given[2:], *weight[2:]])
        return [given[0], weight[0], *_none(value.shape[2:])]

    def _mm(self, value: Value) -> list[Nodes]:
        (rows, inner), (taken, columns) = self._of(value), self._of(value, 1)
        self._tie(inner, taken)
        self._product(value.inputs[1], columns, taken)
        return [rows, columns]

    def _addmm(self, value: Value) -> list[Nodes]:
        bias, (rows, inner), (taken, columns) = (self._of(value, place) for place in range(3))
        self._tie(inner, taken)
        self._product(value.inputs[2], columns, taken)
        if len(bias[-1]) == len(columns):
            self._tie(bias[-1], columns)
        else:
            self._keep(bias)
        return [rows, columns]

    def _bmm(self, value: Value) -> list[Nodes]:
        (batch, rows, inner), (other, taken, columns) = self._of(value), self._of(value, 1)
        self._tie(inner, taken)
        return [self._tie(batch, other), rows, columns]

    def _embedding(self, value: Value) -> list[Nodes]:
        weight = self._of(value)
        self._product(value.inputs[0], weight[1], weight[0])
        self._keep([weight[0]])
        return [*_none(value.shape[:-1]), weight[1]]

    def _product(self, number: int, made: Nodes, taken: Nodes) -> None:
        """What a layer makes and what it takes; a product of two activations makes and takes nothing."""
        name = self.trace.parameter_behind(number)
        if name:
            self.made.setdefault(name, made)
            self.taken.append(taken)

    def _permuted(self, value: Value) -> list[Nodes]:
        given, order = self._of(value), list(range(len(value.shape)))
        if value.op.startswith("permute"):
            return [given[place] for place in value.settings[1]]
        one, other = value.settings[1:3] if value.op.startswith("transpose") else (0, -1)
        order[one], order[other] = order[other], order[one]
        return [given[place] for place in order]

    def _unsqueeze(self, value: Value) -> list[Nodes]:
        place = value.settings[1] % len(value.shape)
        given = self._of(value)
        return [*given[:place], *_none((1,)), *given[place:]]

    def _squeeze(self, value: Value) -> list[Nodes] | None:
        wide = [nodes for nodes in self._of(value) if len(nodes) > 1]
        return wide if len(wide) == len(value.shape) else None

    def _select(self, value: Value) -> list[Nodes]:
        given = self._of(value)
        place = value.settings[1] % len(given)
        self._keep([given[place]])
        return [*given[:place], *given[place + 1 :]]

    def _slice(self, value: Value) -> list[Nodes]:
        """A dimension that is cut keeps its size: where the cut lies is written in the code."""
        given = self._of(value)
        whole = [len(nodes) == size for nodes, size in zip(given, value.shape, strict=True)]
        self._keep([nodes for nodes, is_whole in zip(given, whole, strict=True) if not is_whole])
        none = _none(value.shape)
        return [nodes if is_whole else none[i] for i, (nodes, is_whole) in enumerate(zip(given, whole, strict=True))]

    def _cat(self, value: Value) -> list[Nodes] | None:
        place = (value.settings[1] if len(value.settings) > 1 else 0) % len(value.shape)
        parts = [self.dims[number] for number in value.inputs if len(self.dims[number]) == len(value.shape)]
        made = []
        for i in range(len(value.shape)):
            if i == place:
                made.append(np.concatenate([part[i] for part in parts]))
                continue
            nodes = parts[0][i]
            for part in parts[1:]:
                nodes = self._tie(nodes, part[i])
            made.append(nodes)
        return made

    def _padded(self, value: Value) -> list[Nodes] | None:
        """How many zeros there are is written in the code, so that what meets them keeps its size."""
        given, padding = self._of(value), value.settings[1]
        if min(padding) < 0:
            return None
        made = list(given)
        for i in range(len(padding) // 2):
            place = len(given) - 1 - i
            before, after = padding[2 * i : 2 * i + 2]
            filler = NOTHING if (given[place] == NOTHING).all() else FOR_GOOD
            made[place] = np.concatenate([np.full(before, filler), given[place], np.full(after, filler)])
        return made

    def _expanded(self, value: Value) -> list[Nodes]:
        given = [*_none((1,) * (len(value.shape) - len(self._of(value)))), *self._of(value)]
        none = _none(value.shape)
        return [g if len(g) == n else none[i] for i, (g, n) in enumerate(zip(given, value.shape, strict=True))]

    def _viewed(self, value: Value) -> list[Nodes] | None:
        """Dimensions that are joined or split. A split one keeps its size, for the code says how it is split."""
        given, made = self._of(value), _none(value.shape)
        before = [len(nodes) for nodes in given]
        for ins, outs in _joined(before, value.shape):
            inner = [place for place in ins if (given[place] != NOTHING).any()]
            wide_in, wide_out = [p for p in ins if before[p] > 1], [p for p in outs if value.shape[p] > 1]
            if not inner:
                continue
            if len(wide_out) == 1 and len(inner) == 1 and inner[0] in wide_in:
                shape = [before[place] for place in ins]
                spread = given[inner[0]].reshape([-1 if place == inner[0] else 1 for place in ins])
                made[wide_out[0]] = np.broadcast_to(spread, shape).ravel()
            else:
                self._keep([given[place] for place in inner])
                for place in wide_out:
                    made[place] = np.full(value.shape[place], FOR_GOOD)
        return made

    # --------------------------------------------------------------------------------------------------------- widths

    def widths(self) -> list[Width]:
        of = _components(self.count, self.ties)
        is_made, is_taken = np.zeros(self.count, bool), np.zeros(self.count, bool)
        for nodes in self.made.values():
            is_made[of[nodes[nodes > FOR_GOOD]]] = True
        for nodes in self.taken:
            is_taken[of[nodes[nodes > FOR_GOOD]]] = True
        hidden = is_made & is_taken
        hidden[of[FOR_GOOD]] = False
        places: dict[int, dict[tuple[str, int], list[int]]] = {}
        for key, nodes in self.held.items():
            for index in np.flatnonzero(hidden[of[nodes]]):
                places.setdefault(int(of[nodes[index]]), {}).setdefault(key, []).append(int(index))
        alike: dict[tuple[tuple[tuple[str, int], int], ...], list[dict[tuple[str, int], list[int]]]] = {}
        for component in places.values():
            form = tuple((key, len(indices)) for key, indices in component.items())
            alike.setdefault(form, []).append(component)
        found = []
        for units in alike.values():
            tied = {key: np.array([unit[key] for unit in units]) for key in units[0]}
            maker = next(name for name in self.made if any(key[0] == name for key in tied))
            dimension = next(key for key in tied if key[0] == maker)
            found.append(Width(maker.removesuffix(".weight"), len(units), tied[dimension].shape[1], tied))
        return [width for width in found if width.units > 1]


_RULES: Mapping[str, Callable[[_Ties, Value], list[Nodes] | None]] = {
    "convolution": _Ties._convolution, "mm": _Ties._mm, "addmm": _Ties._addmm, "bmm": _Ties._bmm,
    "embedding": _Ties._embedding, "native_layer_norm": _Ties._layer_norm, "native_group_norm": _Ties._group_norm,
    "t": _Ties._permuted, "transpose": _Ties._permuted, "permute": _Ties._permuted, "unsqueeze": _Ties._unsqueeze,
    "squeeze": _Ties._squeeze, "select": _Ties._select, "slice": _Ties._slice, "cat": _Ties._cat,
    "constant_pad_nd": _Ties._padded, "expand": _Ties._expanded, "view": _Ties._viewed, "unsafe_view": _Ties._viewed,
    "reshape": _Ties._viewed,
}  # fmt: skip


def _none(shape: Sequence[int]) -> list[Nodes]:
    return [np.full(size, NOTHING) for size in shape]


def _joined(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of dimensions, before and after a view, that hold the same numbers."""
    runs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        ins, outs = [i] if i < len(before) else [], [j] if j < len(after) else []
        i, j = i + 1, j + 1
        while (one := math.prod(before[p] for p in ins)) != (other := math.prod(after[p] for p in outs)):
            if one < other:
                ins.append(i)
                i += 1
            else:
                outs.append(j)
                j += 1
        runs.append((ins, outs))
    return runs


def _components(count: int, ties: Sequence[tuple[Nodes, Nodes]]) -> Nodes:
    """The smallest node of each node's component: neighbours are hooked to the smaller, then every path is halved."""
    of = np.arange(count)
    if not ties:
        return of
    one, other = (np.concatenate([tie[side] for tie in ties]) for side in (0, 1))
    while (of[one] != of[other]).any():
        a, b = of[one], of[other]
        np.minimum.at(of, a, b)
        np.minimum.at(of, b, a)
        while ((above := of[of]) != of).any():
            of = above
    return of
