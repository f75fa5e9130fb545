"""The rule: what stands where a part was is the neutral element of how the part's output is used.

    zero      a summand beside another path from the same input, where the part holds every convolution and product of
              its own path; a member of a concatenation; an added constant
    one       a factor of such a path
    identity  in series, where one of its inputs has its output's shape
    none      refused, with the reason

Pure: a trace in, a decision out. Sums and products are seen where they are operations between values; norms,
activations, dropout and scales may stand between a part and its sum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from ablate.text import joined, listed, many
from ablate.training.trace import Call, Shape, Trace, numbers_of

Neutral = Literal["identity", "zero", "one"]


@dataclass(frozen=True)
class Decision:
    """What taking one part away would put in its place. off: None where it is refused; reason: of either.

    path: its first one; places: all of them. kind: its class, or "Parameter". input: which of the values that it is
    called with (flattened, from 0) identity hands on. output: which of its flattened results is used. copies: whether
    later code writes into what would be shared. given, made: shapes. fits: what `instead` would do where it is refused.
    why: one word for the kind of refusal.
    """

    path: str
    kind: str
    off: Neutral | None
    reason: str
    why: str = ""
    places: tuple[str, ...] = ()
    input: int = 0
    output: int = 0
    copies: bool = False
    given: tuple[Shape, ...] = ()
    made: Shape = ()
    fits: tuple[str, ...] = ()
    calls: tuple[Call, ...] = field(default=(), repr=False)


def decide(trace: Trace, path: str) -> Decision:
    """What the rule says of the module or parameter at a path, which must be one of the network's."""
    if path not in trace.decided:
        trace.decided[path] = _decide(trace, path)
    decision: Decision = trace.decided[path]
    return decision


def _decide(trace: Trace, path: str) -> Decision:
    first = next((name for name, places in trace.places.items() if path in places), None)
    if first is None:
        return _of_parameter(trace, path)
    decision = Decision(first, trace.kinds[first], None, "", places=trace.places[first])
    calls = trace.calls_of.get(first, [])
    if not calls:
        why, reason = _uncalled(trace, first)
        return replace(decision, why=why, reason=reason)
    judged = [_of_call(trace, calls, call, decision) for call in calls]
    last = judged[-1]
    refused = next((one for one in judged if one.off is None), None)
    if refused is None and len({one.off for one in judged}) > 1:
        roles = listed(f"{one.off} ({one.reason})" for one in judged)
        return replace(
            last, off=None, why="roles", reason=f"it is used {len(calls)} times in different roles: {roles}."
        )
    whole = replace(refused or last, copies=written_later(trace, first), calls=tuple(calls))
    if whole.off is not None:
        used = _used_past_its_call(trace, whole)
        return replace(whole, off=None, why="past its call", reason=used) if used else whole
    return replace(whole, reason=f"{whole.reason}{_inner(trace, whole)}") if whole.why == "shape" else whole


def _uncalled(trace: Trace, path: str) -> tuple[str, str]:
    """Why a module is never called: the kind of refusal and its words."""
    members = [name for name in trace.kinds if name.startswith(f"{path}.") and trace.calls_of.get(name)]
    if members:
        # Of a list only its direct members are what one would name.
        direct = [name for name in members if name.count(".") == path.count(".") + 1] or members
        return "list", f"it is only iterated, never called; name its members: {listed(direct, most=4)}."
    used = _uses(trace, path, 0)
    if used:
        return "past its call", f"it is never called: its parameter {used} is used by its parent."
    return "uncalled", "it is never called."


def _uses(trace: Trace, path: str, inside: int) -> str:
    """The first of a module's parameters that lives outside of `inside` and of every other module that owns it."""
    for number, value in enumerate(trace.values):
        own = [name for name in value.names if name.startswith(f"{path}.")]
        if not own or not trace.alive >> number & 1:
            continue
        others = {name.rpartition(".")[0] for name in value.names if name not in own}
        for consumer in (number, *trace.consumers[number]):
            if value.op == "parameter" and consumer == number:
                continue
            holder = trace.values[consumer].call
            if not inside >> consumer & 1 and not _within(trace, holder, others):
                return own[0].removeprefix(f"{path}.")
    return ""


def _within(trace: Trace, call: int, owners: set[str]) -> bool:
    while call >= 0:
        if trace.calls[call].path in owners:
            return True
        call = trace.calls[call].parent
    return False


def _used_past_its_call(trace: Trace, decision: Decision) -> str:
    name = _uses(trace, decision.path, trace.inside(decision.calls))
    return f"its parameter {name} is used past its call, by a module around it." if name else ""


def _inner(trace: Trace, decision: Decision) -> str:
    """Which parts inside of a refused one can go: its own branches, the outermost ones."""
    inside: list[str] = []
    for path in trace.kinds:
        if path.startswith(f"{decision.path}.") and not any(path.startswith(f"{name}.") for name in inside):
            inner = decide(trace, path)
            if inner.off == "zero" and inner.made == decision.made and trace.products & trace.inside(inner.calls):
                inside.append(path)
    return f" Its own {joined(inside[:3])} can be taken away." if inside else ""


# ---------------------------------------------------------------------------------------------------------- one call


def _of_call(trace: Trace, calls: list[Call], call: Call, blank: Decision) -> Decision:
    """The rule for one call. `calls`: all of this module, for products of any of them are the part's own."""
    inner = trace.inside([call])
    shapes = tuple(trace.values[number].shape for number in call.given)
    decision = replace(blank, given=shapes, calls=(call,))
    used = [place for place, number in enumerate(call.made) if number is not None and _reaches(trace, number, inner)]
    if not used:
        reason = "nothing that it returns reaches the network's output."
        return replace(decision, why="unused", reason=reason)
    if len({call.made[place] for place in used}) > 1:
        made = listed(str(trace.values[call.made[place] or 0].shape) for place in used)
        return replace(decision, why="outputs", reason=f"several of its outputs are used: {made}.")
    output = call.made[used[0]]
    assert output is not None, "only tensors are used"
    value = trace.values[output]
    decision = replace(decision, output=used[0], made=value.shape)
    role = _role(trace, output, trace.inside(calls))
    if role is not None:
        return replace(decision, off=role[0], reason=role[1])
    return _in_series(trace, call, output, decision)


def written_later(trace: Trace, path: str) -> bool:
    """Whether code behind a part writes into the memory of what it was given or made."""
    for call in trace.calls_of.get(path, []):
        values = (*call.given, *(number for number in call.made if number is not None))
        storages = {trace.values[number].storage for number in values}
        if any(at >= call.end and storage in storages for at, storage in trace.writes):
            return True
    return False


def _reaches(trace: Trace, number: int, inner: int) -> bool:
    """Whether a value is an output of the network, or somebody outside of the call makes something of it that lives."""
    outside = [c for c in trace.consumers[number] if not inner >> c & 1 and trace.alive >> c & 1]
    return bool(outside) or number in trace.outputs


def _in_series(trace: Trace, call: Call, output: int, decision: Decision) -> Decision:
    value = trace.values[output]
    fitting = {
        _origin(trace, number): place
        for place, number in reversed(list(enumerate(call.given)))
        if trace.values[number].shape == value.shape
        and trace.values[number].dtype.is_floating_point == value.dtype.is_floating_point
        and trace.data >> number & 1
    }
    gives = "it gives the network's output, and " if output in trace.outputs else ""
    if not fitting:
        given = listed((_shape(shape) for shape in dict.fromkeys(decision.given)), most=3) or "nothing"
        fits = ("linear",) if any(_linear_fits(shape, value.shape) for shape in decision.given) else ()
        would = " `instead: linear` would fit." if fits else ""
        reason = f"{gives}it makes {_shape(value.shape)} of {given}.{would}"
        return replace(decision, why="output" if gives else "shape", reason=reason, fits=fits)
    if len(fitting) > 1:
        places = listed(sorted(fitting.values()), " or ")
        reason = f"{many(len(fitting), 'input')} of its output's shape differ; `instead: {{input: {places}}}` decides."
        return replace(decision, why="inputs", reason=reason)
    (origin, place), *_ = fitting.items()
    decision = replace(decision, input=place)
    if _origin(trace, output) == origin:
        return replace(decision, why="nothing", reason="it does nothing as built.")
    return replace(decision, off="identity", reason="it stands in series")


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"


def _linear_fits(given: Shape, made: Shape) -> bool:
    """Whether a projection of the channels, by a stride where pixels get fewer, makes one shape of the other."""
    if len(given) != len(made) or len(made) < 2 or given[0] != made[0]:
        return False
    if len(made) == 4:
        strides = {-(-a // b) for a, b in zip(given[2:], made[2:], strict=True)}
        return len(strides) == 1 and all(-(-a // max(strides)) == b for a, b in zip(given[2:], made[2:], strict=True))
    return given[:-1] == made[:-1]


def _origin(trace: Trace, number: int) -> int:
    """The value that another is by nothing but aliases; not what it was before a write in place."""
    while trace.values[number].op.startswith("alias") and len(trace.values[number].inputs) == 1:
        number = trace.values[number].inputs[0]
    return number


# --------------------------------------------------------------------------------------------------------------- roles


@dataclass(frozen=True)
class _Junction:
    """Where a part's output meets another path. side: the value that arrives from the part. beside: the others."""

    kind: Neutral
    what: str
    side: int
    beside: tuple[int, ...]


def _role(trace: Trace, output: int, own: int) -> tuple[Neutral, str] | None:
    """Zero or one, and why, where every use of a value is a sum (a factor) beside another path; None for a series."""
    junctions = list(_junctions(trace, output))
    if not junctions or len({junction.kind for junction in junctions}) > 1:
        return None
    constant = not trace.data >> output & 1
    if all(_beside(trace, junction, output, own, constant) for junction in junctions):
        added = f"a constant that is {junctions[0].what}" if constant else junctions[0].what
        return junctions[0].kind, f"it is {added}"
    return None


def _junctions(trace: Trace, output: int) -> Iterator[_Junction]:
    """Every operation at which a value, through operations that are no products, meets another path;
    of kind identity where it meets none."""
    region, pending = {output}, [output]
    while pending:
        side = pending.pop()
        if side in trace.outputs:
            yield _Junction("identity", "the network's output", side, ())
        for consumer in trace.consumers[side]:
            if not trace.alive >> consumer & 1 or consumer in region:
                continue
            junction = _met(trace, output, side, consumer)
            if junction is not None:
                yield junction
            elif trace.products >> consumer & 1:
                yield _Junction("identity", "a product's operand", side, ())
            else:
                region.add(consumer)
                pending.append(consumer)


_ADDING = ("addmm", "baddbmm", "addbmm", "addmv")
"""Products with a sum: what comes first is added."""


def _met(trace: Trace, output: int, side: int, consumer: int) -> _Junction | None:
    value = trace.values[consumer]
    name = value.op.split(".")[0].rstrip("_")
    others = tuple(number for number in value.inputs if number != side and not trace.ancestors[number] >> output & 1)
    if name in ("add", "sub") and others and (name == "add" or value.inputs[-1] == side):
        return _Junction("zero", "a summand beside another path", side, others)
    if name in _ADDING and others and value.inputs[0] == side:
        return _Junction("zero", "a summand beside another path", side, others)
    if name in ("cat", "stack") and others:
        return _Junction("zero", "a member of a concatenation", side, others)
    if name == "mul" and others and _directly(trace, output, side):
        living = tuple(number for number in others if trace.data >> number & 1)
        return _Junction("one", "a factor of another path", side, living) if living else None
    return None


def _directly(trace: Trace, output: int, side: int) -> bool:
    """Whether a value is another one, seen through views only."""
    views = ("view", "alias", "expand", "unsqueeze", "permute", "transpose", "t", "reshape", "unsafe_view", "slice")
    while side > output and trace.values[side].op.split(".")[0].strip("_") in (*views, "to_copy"):
        side = trace.values[side].inputs[0]
    return side == output


def _beside(trace: Trace, junction: _Junction, output: int, own: int, constant: bool) -> bool:
    """Whether another path from the same input arrives, and the part holds every product of its own path."""
    side, foreign = trace.ancestors[junction.side], trace.products & ~own
    for other in junction.beside:
        there = trace.ancestors[other]
        if constant:
            products = numbers_of(side & foreign)
            if trace.data >> other & 1 and not any(trace.ancestors[n] >> output & 1 for n in products):
                return True
            continue
        common = side & there & trace.data
        if trace.ancestors[output] & common and not any(
            trace.ancestors[number] & common for number in numbers_of(side & ~there & foreign)
        ):
            return True
    return False


# ---------------------------------------------------------------------------------------------------------- parameters


def _of_parameter(trace: Trace, path: str) -> Decision:
    blank = Decision(path, "Parameter", None, "", places=(path,))
    numbers = [n for n, value in enumerate(trace.values) if value.op == "parameter" and path in value.names]
    if not numbers:
        return replace(blank, why="unused", reason="it is never used.")
    blank = replace(blank, made=trace.values[numbers[0]].shape, places=trace.values[numbers[0]].names)
    role = _role_of_parameter(trace, numbers[0])
    if role is None:
        reason = "it is no constant that is added to or multiplied with something; name the module that holds it."
        return replace(blank, why="shape", reason=reason)
    return replace(blank, off=role[0], reason=role[1])


_NORMS = ("batch_norm", "layer_norm", "group_norm", "rms_norm")


def _role_of_parameter(trace: Trace, number: int) -> tuple[Neutral, str] | None:
    """Weights and biases of torch's own operations have their role by their place; the others by the rule."""
    uses = [consumer for consumer in trace.consumers[number] if trace.alive >> consumer & 1]
    inside = [(trace.values[use].op.split(".")[0], trace.values[use].inputs) for use in uses]
    if inside and all(any(norm in op for norm in _NORMS) for op, _ in inside):
        weight = all(inputs.index(number) == 1 for _, inputs in inside)
        return ("one", "the scale of a norm") if weight else ("zero", "the shift of a norm")
    if inside and all(op == "addmm" and inputs[0] == number for op, inputs in inside):
        return "zero", "a bias"
    if inside and all(op == "convolution" and inputs.index(number) == 2 for op, inputs in inside):
        return "zero", "a bias"
    return _role(trace, number, 0)
