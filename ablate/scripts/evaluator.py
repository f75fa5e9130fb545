"""What values of a program are asked for: attributes, items, truth, calls. The statements are `interpreter.py`.

Calls of the program's functions are followed there, calls of libraries answered by the styles' stand-ins.
"""

from __future__ import annotations

import ast
import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from types import MethodType
from typing import Any, ClassVar

from ablate.scripts.operations import EXTERNAL_CALLS, MOST, PATH_PARTS, PURE, REFUSALS, any_unknown, external
from ablate.scripts.values import (
    Above,
    Call,
    Class,
    External,
    Frame,
    Function,
    Instance,
    Member,
    Reference,
    Space,
    Stand,
    Unknown,
    Value,
    stands,
    unknown,
)  # fmt: skip


class Evaluator:
    """Evaluates. What a call of a program's function or of a library comes to is for the class that derives from it."""

    readers: ClassVar[Mapping[type[ast.AST], Callable[[Any, Any, Frame], Any]]] = {}
    """How each kind of expression is read (`expressions.py`)."""

    asked = 0
    """How many askers the value at this place has: what nobody asks for is not computed."""

    unsure = 0
    """How many of the branches around this place may not be taken."""

    @abstractmethod
    def enter(self, function: Function, args: list[Any], kwargs: dict[str, Any], call: Call) -> Any:
        """The value that a function of the program returns."""

    @abstractmethod
    def made(self, cls: Class, args: list[Any], kwargs: dict[str, Any], call: Call) -> Any:
        """An object of a class of the program."""

    @abstractmethod
    def body(self, cls: Class) -> Frame:
        """The names in a class's body."""

    @abstractmethod
    def resolved(self, reference: Reference) -> Any:
        """What an import names."""

    @abstractmethod
    def names_of(self, module: Reference) -> Any:
        """The names at the top level of a module of the user's."""

    @abstractmethod
    def below(self, reference: Reference, name: str) -> Any:
        """An attribute of a module that an import names, not asked for yet; None where it names no module."""

    @abstractmethod
    def top_level(self, space: Space, name: str) -> Any:
        """The value of a name at a module's top level; None where it has none."""

    @abstractmethod
    def outside(self, name: str, call: Call) -> Any:
        """The value of a call of a library."""

    @abstractmethod
    def step(self) -> None:
        """Count what was read, and stop where it is too much."""

    def evaluate(self, node: ast.expr, frame: Frame) -> Any:
        self.step()
        reader = self.readers.get(type(node))
        if reader is None:
            return unknown(node)
        try:
            return reader(self, node, frame)
        except REFUSALS:
            return unknown(node)

    def truth(self, value: Any) -> bool | None:
        """Whether a value is true; None where that is unknown."""
        if isinstance(value, Reference):
            value = self.resolved(value)
        if isinstance(value, Unknown | External):
            return None
        if isinstance(value, Value):
            return True
        if value is NotImplemented:
            return None
        return bool(value)

    def items(self, value: Any) -> list[Any] | None:
        """What iterating over a value gives; None where that is unknown."""
        if isinstance(value, Reference):
            value = self.resolved(value)
        if isinstance(value, Class) and value.outside().startswith("enum."):
            return [
                v for v in (self.attribute(value, name) for name in self.body(value).names) if isinstance(v, Member)
            ]
        if isinstance(value, Value) or not isinstance(value, Iterable):
            return None
        found: list[Any] = []
        for item in value:
            found.append(item)
            if len(found) > MOST:
                return None
        return found

    def settled(self, value: Any) -> Any:
        """A value, or what it refers to."""
        if isinstance(value, list | tuple) and any(isinstance(item, Reference) for item in value):
            return type(value)(map(self.settled, value))
        return self.resolved(value) if isinstance(value, Reference) else value

    def attribute(self, value: Any, name: str) -> Any:
        if isinstance(value, Reference):
            below = self.below(value, name)
            return below if below is not None else self.attribute(self.resolved(value), name)
        if isinstance(value, External):
            if name in ("__name__", "__module__"):
                return value.name.rpartition(".")[2 if name == "__name__" else 0]
            return external(f"{value.name}.{name}")
        if isinstance(value, Stand):
            return value.attribute(name)
        if isinstance(value, Instance):
            return self._of_instance(value, name)
        if isinstance(value, Class):
            return self._of_class(value, name)
        if isinstance(value, Above):
            return self._above(value, name)
        if isinstance(value, Member):
            return value.value if name == "value" else value.name if name == "name" else Unknown(name)
        if isinstance(value, Function):
            return _of_function(value, name)
        if isinstance(value, PurePath) and name in PATH_PARTS:
            return getattr(value, name)
        return Unknown(name)

    def _of_class(self, cls: Class, name: str) -> Any:
        if name == "__name__":
            return cls.name
        for each in cls.ancestry():
            names = self.body(each).names
            if name in names:
                value = names[name]
                if cls.outside().startswith("enum.") and not isinstance(value, Function):
                    return Member(cls.name, name, value)
                if isinstance(value, Function) and "classmethod" in value.marks:
                    return Function(value.node, value.frame, (cls,), each, value.marks)
                return value
        return External(f"{cls.outside()}.{name}") if cls.outside() else Unknown(name)

    def _of_instance(self, instance: Instance, name: str) -> Any:
        if name in instance.attributes:
            return instance.attributes[name]
        if name == "__class__":
            return instance.cls
        for each in instance.cls.ancestry():
            value = self.body(each).names.get(name)
            if isinstance(value, Function):
                if "staticmethod" in value.marks:
                    return value
                first = instance.cls if "classmethod" in value.marks else instance
                bound = Function(value.node, value.frame, (first,), each, value.marks)
                return (
                    self.called(bound, Call([], {}, value.node, value.frame.space))
                    if "property" in value.marks
                    else bound
                )
            if name in self.body(each).names:
                return value
        if instance.native is not None:
            return instance.native.attribute(name)
        return Unknown(name)

    def _above(self, value: Above, name: str) -> Any:
        instance = value.instance
        for each in value.cls.ancestry()[1:]:
            found = self.body(each).names.get(name)
            if isinstance(found, Function):
                return Function(found.node, found.frame, (instance,), each, found.marks)
        if isinstance(instance, Instance):
            if name == "__init__" and instance.native is None:
                return _Making(self, instance)
            if instance.native is not None:
                return instance.native.attribute(name)
        return Unknown(name)

    def called(self, function: Any, call: Call) -> Any:
        """The value of a call."""
        if isinstance(function, Reference):
            given = stands([*call.args, *call.kwargs.values()])
            self.asked += given
            function = self.resolved(function)
            self.asked -= given
        if isinstance(function, Stand | External | MethodType):
            self.asked += 1
            call.args = [self.settled(arg) for arg in call.args]
            call.kwargs = {name: self.settled(arg) for name, arg in call.kwargs.items()}
            try:
                return self._outsider(function, call)
            finally:
                self.asked -= 1
        if isinstance(function, Function):
            return self.enter(function, [*function.first, *call.args], call.kwargs, call)
        if isinstance(function, Class):
            return self.made(function, call.args, call.kwargs, call)
        if isinstance(function, Instance):
            method = self.attribute(function, "__call__")
            return self.called(method, call) if isinstance(method, Function) else self.outside("", call)
        if function in PURE:
            return self._pure(function, call)
        return self.outside("", call)

    def _outsider(self, function: Any, call: Call) -> Any:
        """A call of a library's."""
        if isinstance(function, Stand):
            return function.call(call)
        if isinstance(function, External):
            if function.name in EXTERNAL_CALLS and not any_unknown([*call.args, *call.kwargs.values()]):
                return EXTERNAL_CALLS[function.name](*call.args, **call.kwargs)
            if function.name in ("os.getenv", "os.environ.get"):
                return _variable(call)
            if function.name == "typing.cast":
                return call.args[1]
            if function.name == "inspect.isfunction" and not isinstance(call.args[0], Unknown | External):
                return isinstance(call.args[0], Function)
            if function.name.endswith("getfullargspec") and isinstance(call.args[0], Function):
                return _argspec(self, call.args[0])
            return self.outside(function.name, call)
        return function(call) if isinstance(function.__self__, Stand) else self.outside("", call)

    def _pure(self, function: Any, call: Call) -> Any:
        args = [self.resolved(arg) if isinstance(arg, Reference) else arg for arg in call.args]
        if function in (list, tuple, set, sorted, enumerate, len) and args and isinstance(args[0], Class):
            args[0] = self.items(args[0])
        if function is dict and call.unknown:
            return unknown(call.node)
        top = (
            args
            if function not in (list, tuple, dict, enumerate, zip, len, set)
            else [a for a in args if isinstance(a, Value)]
        )
        if any_unknown(top) or (function is str and isinstance(args[0] if args else "", Value)):
            return unknown(call.node)
        value = function(*args, **call.kwargs)
        return self.items(value) if isinstance(value, Iterator) else value


def _of_function(function: Function, name: str) -> Any:
    match name:
        case "__name__":
            return function.name
        case "__module__":
            return function.frame.space.name
        case "__doc__" if not isinstance(function.node, ast.Lambda):
            return ast.get_docstring(function.node, clean=False)
    return function.marks.get(name, Unknown(name))


def _argspec(machine: Evaluator, function: Function) -> tuple[Any, ...]:
    """What `inspect.getfullargspec` says of a function: some programs make options of parameters."""
    spec = function.node.args
    names = [a.arg for a in (*spec.posonlyargs, *spec.args)]
    defaults = tuple(machine.evaluate(d, function.frame) for d in spec.defaults) or None
    only = {
        a.arg: machine.evaluate(d, function.frame)
        for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
        if d is not None
    }
    return (names, spec.vararg and spec.vararg.arg, spec.kwarg and spec.kwarg.arg, defaults,
            [a.arg for a in spec.kwonlyargs], only or None, {})  # fmt: skip


def _variable(call: Call) -> Any:
    """A variable of the environment: a run has those that there are now. Of one that is set the value is not read."""
    name = call.argument(0, "key")
    if not isinstance(name, str) or name in os.environ:
        return unknown(call.node)
    return call.argument(1, "default")


class _Making(Stand):
    """`super().__init__` of a class that derives from a library's: makes the library's object."""

    def __init__(self, machine: Evaluator, instance: Instance) -> None:
        self.machine = machine
        self.instance = instance

    def call(self, call: Call) -> Any:
        native = self.machine.outside(self.instance.cls.outside(), call)
        self.instance.native = native if isinstance(native, Stand) else None
        return None
