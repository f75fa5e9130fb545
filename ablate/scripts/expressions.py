"""What each kind of expression of a program comes to, as far as that can be read: a value, or Unknown."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from ablate.scripts.evaluator import Evaluator
from ablate.scripts.operations import (
    BUILTINS,
    CHANGING,
    HARMLESS_PATH,
    MOST,
    OPERATORS,
    PLAIN,
    SAME,
    any_unknown,
    sized,
    too_large,
)  # fmt: skip
from ablate.scripts.values import (
    Above,
    Call,
    Class,
    External,
    Frame,
    Function,
    Instance,
    Reference,
    Stand,
    Unknown,
    Value,
    unknown,
)  # fmt: skip


def _constant(machine: Evaluator, node: ast.Constant, frame: Frame) -> Any:
    return node.value


def _name(machine: Evaluator, node: ast.Name, frame: Frame) -> Any:
    name = node.id
    here: Frame | None = frame
    while here is not None:
        if name in here.names and name not in here.globals:
            return here.names[name]
        here = here.around
    value = machine.top_level(frame.space, name)
    if value is not None or name in frame.space.frame.names:
        return value
    if name == "__name__":
        return frame.space.name
    if name == "__file__":
        return str(frame.space.path)
    if name == "__doc__":
        return ast.get_docstring(frame.space.tree) if frame.space.tree else None
    return BUILTINS.get(name, Unknown(name))


def _attribute(machine: Evaluator, node: ast.Attribute, frame: Frame) -> Any:
    value = machine.evaluate(node.value, frame)
    found = machine.attribute(value, node.attr)
    return unknown(node) if isinstance(found, Unknown) else found


def _call(machine: Evaluator, node: ast.Call, frame: Frame) -> Any:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    doubtful = False
    for arg in node.args:
        if isinstance(arg, ast.Starred):
            items = machine.items(machine.evaluate(arg.value, frame))
            doubtful |= items is None
            args += items or []
        else:
            args.append(machine.evaluate(arg, frame))
    for keyword in node.keywords:
        value = machine.evaluate(keyword.value, frame)
        if keyword.arg is not None:
            kwargs[keyword.arg] = value
        elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
            kwargs |= value
        else:
            doubtful = True
    call = Call(args, kwargs, node, frame.space, doubtful, machine.unsure > 0)
    if isinstance(node.func, ast.Name) and node.func.id in _REFLECTION and node.func.id not in frame.names:
        return _REFLECTION[node.func.id](machine, frame, args)
    if isinstance(node.func, ast.Attribute):
        receiver = machine.evaluate(node.func.value, frame)
        if isinstance(receiver, PLAIN):
            return _method(machine, receiver, node.func, call, frame)
        if isinstance(receiver, Unknown):
            return machine.outside(f"?.{node.func.attr}", call)
        return _known(machine.called(machine.attribute(receiver, node.func.attr), call), node)
    return _known(machine.called(machine.evaluate(node.func, frame), call), node)


def _known(value: Any, node: ast.expr) -> Any:
    return unknown(node) if isinstance(value, Unknown) and not value.text else value


def _getattr(machine: Evaluator, frame: Frame, args: list[Any]) -> Any:
    return machine.attribute(args[0], args[1]) if len(args) > 1 and isinstance(args[1], str) else Unknown()


def _dir(machine: Evaluator, frame: Frame, args: list[Any]) -> Any:
    return machine.names_of(args[0]) if args and isinstance(args[0], Reference) else Unknown()


def _super(machine: Evaluator, frame: Frame, args: list[Any]) -> Any:
    here: Frame | None = frame
    while here is not None and "super()" not in here.names:
        here = here.around
    if here is None:
        return Unknown("super()")
    cls, instance = here.names["super()"]
    return Above(args[0] if args and isinstance(args[0], Class) else cls, instance)


def _method(machine: Evaluator, value: Any, func: ast.Attribute, call: Call, frame: Frame) -> Any:
    """A method of a plain value. One that changes it where that is not sure makes it unknown."""
    name = func.attr
    if isinstance(value, PurePath) and name not in HARMLESS_PATH:
        return Unknown("")
    if name in CHANGING and isinstance(value, list | dict | set):
        if call.unknown or (machine.unsure and isinstance(func.value, ast.Name)):
            if isinstance(func.value, ast.Name):
                frame.names[func.value.id] = Unknown(func.value.id)
            return Unknown("")
    elif isinstance(value, dict | list | tuple | set):
        call.args = [machine.resolved(a) if isinstance(a, Reference) else a for a in call.args]
    elif any_unknown([*call.args, *call.kwargs.values()]) or call.unknown:
        return Unknown("")
    made = getattr(value, name)(*call.args, **call.kwargs)
    return machine.items(made) if isinstance(made, Iterator) else sized(made)


def _binary(machine: Evaluator, node: ast.BinOp, frame: Frame) -> Any:
    left, right = machine.evaluate(node.left, frame), machine.evaluate(node.right, frame)
    if isinstance(node.op, ast.Add) and isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return operator.add(left, right) if type(left) is type(right) else unknown(node)
    if any_unknown([left, right]) or too_large(node.op, left, right):
        return unknown(node)
    return sized(OPERATORS[type(node.op)](left, right))


def _unary(machine: Evaluator, node: ast.UnaryOp, frame: Frame) -> Any:
    value = machine.evaluate(node.operand, frame)
    if isinstance(node.op, ast.Not):
        truth = machine.truth(value)
        return unknown(node) if truth is None else not truth
    return unknown(node) if isinstance(value, Value) else OPERATORS[type(node.op)](value)


def _boolean(machine: Evaluator, node: ast.BoolOp, frame: Frame) -> Any:
    stop = isinstance(node.op, ast.Or)
    doubtful = False
    value: Any = None
    for each in node.values:
        value = machine.evaluate(each, frame)
        truth = machine.truth(value)
        if truth is None:
            doubtful = True
        elif truth is stop:
            return unknown(node) if doubtful and not isinstance(value, bool) else value
    return unknown(node) if doubtful else value


def _compare(machine: Evaluator, node: ast.Compare, frame: Frame) -> Any:
    left = machine.evaluate(node.left, frame)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        left, right = machine.settled(left), machine.settled(machine.evaluate(right_node, frame))
        if isinstance(op, ast.Is | ast.IsNot) and (left is None or right is None):
            if isinstance(left, Unknown | External | Reference) or isinstance(right, Unknown | External | Reference):
                return unknown(node)
        elif any_unknown([left, right], SAME):
            return unknown(node)
        if not OPERATORS[type(op)](left, right):
            return False
        left = right
    return True


def _conditional(machine: Evaluator, node: ast.IfExp, frame: Frame) -> Any:
    truth = machine.truth(machine.evaluate(node.test, frame))
    if truth is None:
        either = [machine.evaluate(each, frame) for each in (node.body, node.orelse)]
        return either[0] if not any_unknown(either) and repr(either[0]) == repr(either[1]) else unknown(node)
    return machine.evaluate(node.body if truth else node.orelse, frame)


def _sequence(machine: Evaluator, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Any:
    found: list[Any] = []
    for each in node.elts:
        if isinstance(each, ast.Starred):
            items = machine.items(machine.evaluate(each.value, frame))
            if items is None:
                return unknown(node)
            found += items
        else:
            found.append(machine.evaluate(each, frame))
    return found if isinstance(node, ast.List) else tuple(found) if isinstance(node, ast.Tuple) else set(found)


def _dictionary(machine: Evaluator, node: ast.Dict, frame: Frame) -> Any:
    found: dict[Any, Any] = {}
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        value = machine.evaluate(value_node, frame)
        if key_node is not None:
            key = machine.settled(machine.evaluate(key_node, frame))
            if isinstance(key, Unknown):
                return unknown(node)
            found[key] = value
        elif isinstance(value, dict):
            found |= value
        else:
            return unknown(node)
    return found


def _subscript(machine: Evaluator, node: ast.Subscript, frame: Frame) -> Any:
    value = machine.settled(machine.evaluate(node.value, frame))
    if isinstance(node.slice, ast.Slice):
        bounds = [
            machine.evaluate(b, frame) if b else None for b in (node.slice.lower, node.slice.upper, node.slice.step)
        ]
        key: Any = Unknown("") if any_unknown(bounds) else slice(*bounds)
    else:
        key = machine.evaluate(node.slice, frame)
    if isinstance(value, Class) and value.outside().startswith("enum.") and isinstance(key, str):
        return machine.attribute(value, key)
    if isinstance(value, Value) or isinstance(key, Unknown):
        return unknown(node)
    return value[machine.settled(key)]


_CONVERSIONS: dict[int, Callable[[Any], str]] = {ord("s"): str, ord("r"): repr, ord("a"): ascii}


def _joined(machine: Evaluator, node: ast.JoinedStr, frame: Frame) -> Any:
    parts: list[str] = []
    for each in node.values:
        if isinstance(each, ast.Constant):
            parts.append(str(each.value))
            continue
        assert isinstance(each, ast.FormattedValue)
        value = machine.evaluate(each.value, frame)
        form = machine.evaluate(each.format_spec, frame) if each.format_spec is not None else ""
        if any_unknown([value, form]):
            return unknown(node)
        turned = _CONVERSIONS.get(each.conversion)
        parts.append(format(turned(value) if turned else value, form))
    return "".join(parts)


def _lambda(machine: Evaluator, node: ast.Lambda, frame: Frame) -> Any:
    return Function(node, frame)


def _comprehension(machine: Evaluator, node: Any, frame: Frame) -> Any:
    inner = Frame(frame.space, frame)
    inner.names = dict(frame.names)
    found: list[Any] = []

    def follow(generators: list[ast.comprehension]) -> bool:
        if not generators:
            if isinstance(node, ast.DictComp):
                found.append((machine.evaluate(node.key, inner), machine.evaluate(node.value, inner)))
            else:
                found.append(machine.evaluate(node.elt, inner))
            return len(found) <= MOST
        items = machine.items(machine.evaluate(generators[0].iter, inner))
        if items is None:
            return False
        for item in items:
            bind(machine, generators[0].target, item, inner)
            truths = [machine.truth(machine.evaluate(test, inner)) for test in generators[0].ifs]
            if None in truths:
                return False
            if all(truths) and not follow(generators[1:]):
                return False
        return True

    if not follow(node.generators):
        return unknown(node)
    if isinstance(node, ast.DictComp):
        return dict(found)
    return list(dict.fromkeys(found)) if isinstance(node, ast.SetComp) else found


def _walrus(machine: Evaluator, node: ast.NamedExpr, frame: Frame) -> Any:
    value = machine.evaluate(node.value, frame)
    bind(machine, node.target, value, frame)
    return value


def bind(machine: Evaluator, target: ast.expr, value: Any, frame: Frame) -> None:
    """Assign a value to a name, a tuple of names, an attribute or a place in a dictionary."""
    if isinstance(target, ast.Name):
        names = frame.space.frame.names if target.id in frame.globals else frame.names
        names[target.id] = value
    elif isinstance(target, ast.Tuple | ast.List):
        items = machine.items(value)
        starred = any(isinstance(each, ast.Starred) for each in target.elts)
        known = items is not None and not starred and len(items) == len(target.elts)
        for place, each in enumerate(target.elts):
            bind(machine, each, items[place] if known and items is not None else unknown(each), frame)
    elif isinstance(target, ast.Starred):
        bind(machine, target.value, value, frame)
    elif isinstance(target, ast.Attribute):
        owner = machine.evaluate(target.value, frame)
        if isinstance(owner, Instance):
            sure = not machine.unsure or isinstance(value, Stand | Instance)
            owner.attributes[target.attr] = value if sure else unknown(target)
        elif isinstance(owner, Stand):
            owner.set(target.attr, value)
        elif isinstance(owner, Class):
            machine.body(owner).names[target.attr] = value
    elif isinstance(target, ast.Subscript):
        owner = machine.evaluate(target.value, frame)
        key = machine.evaluate(target.slice, frame)
        if isinstance(owner, dict) and not isinstance(key, Unknown):
            owner[key] = unknown(target) if machine.unsure else value
        elif isinstance(owner, dict | list) and isinstance(target.value, ast.Name):
            frame.names[target.value.id] = Unknown(target.value.id)


_REFLECTION = {"super": _super, "getattr": _getattr, "dir": _dir}
READERS: Mapping[type[ast.AST], Callable[[Any, Any, Frame], Any]] = {
    ast.Constant: _constant, ast.Name: _name, ast.Attribute: _attribute, ast.Call: _call, ast.BinOp: _binary,
    ast.UnaryOp: _unary, ast.BoolOp: _boolean, ast.Compare: _compare, ast.IfExp: _conditional, ast.List: _sequence,
    ast.Tuple: _sequence, ast.Set: _sequence, ast.Dict: _dictionary, ast.Subscript: _subscript, ast.JoinedStr: _joined,
    ast.Lambda: _lambda, ast.ListComp: _comprehension, ast.SetComp: _comprehension, ast.GeneratorExp: _comprehension,
    ast.DictComp: _comprehension, ast.NamedExpr: _walrus,
}  # fmt: skip
