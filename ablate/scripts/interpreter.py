"""A program followed from its first line as far as it declares options; of what it would train nothing is executed.

Both branches of a condition that only running would decide are followed. Of the program's functions those are entered
that declare options, or whose value an option asks for; modules of the user's are read when a name of theirs is asked.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ablate.scripts.expressions import READERS, bind
from ablate.scripts.modules import Modules, TooMuchError
from ablate.scripts.operations import unknown_within
from ablate.scripts.slices import bindings, marked
from ablate.scripts.values import (
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
    stands,
    unknown,
)  # fmt: skip

STEPS = 40_000
"""Expressions that are read of one program; about 0.2 CPU s."""

DEPTH = 40
"""Calls within calls that are followed."""


class Program(Modules):
    """A script that is followed."""

    readers = READERS

    def __init__(self, path: Path, text: str, tree: ast.Module, folders: Sequence[Path], words: Sequence[str]) -> None:
        super().__init__(path, text, tree, folders, words)
        self._steps = 0
        self._within: list[int] = []
        self._entered: set[int] = set()
        self._marked: dict[tuple[int, bool, frozenset[str]], dict[int, bool]] = {}

    def follow(self) -> None:
        """Read the script from its first line to its last, then what nobody called that declares options."""
        assert self.script.tree is not None
        try:
            self.find_relevant(self.script)
            if not self.script.relevant:  # then perhaps modules of its modules declare them
                self.look_further()
                self.find_relevant(self.script)
            if not self.script.relevant:
                return
            self.script.frame.marked = marked(self.script.tree.body, self.script.matters, outermost=True)
            self.block(self.script.tree.body, self.script.frame)
            for function in self._left_out():
                if id(function.node) not in self._entered:
                    self.enter(function, [], {}, Call([], {}, function.node, self.script, unknown=True))
        except (TooMuchError, RecursionError):
            self.unread.append(f"{self.path.name}: it is too long to be read whole")

    def _left_out(self) -> list[Function]:
        """Functions of the script that declare options and were not called: somebody else calls them."""
        own = [v for v in self.script.frame.names.values() if isinstance(v, Function | Class)]
        own = [v for v in own if v.frame.space is self.script]
        found = [v for v in own if isinstance(v, Function)]
        for cls in [v for v in own if isinstance(v, Class) and self.script.matters(v.node)]:
            found += [v for v in self.body(cls).names.values() if isinstance(v, Function)]
        found = [f for f in found if id(f.node) not in self._entered and self.declares(f)]
        lines = self.script.text.splitlines()  # ast.get_source_segment splits the file anew each time, letter by letter
        return sorted(
            found, key=lambda f: all("Parser(" not in line for line in lines[f.node.lineno - 1 : f.node.end_lineno])
        )

    def declares(self, function: Function) -> bool:
        return function.frame.space.matters(function.node)

    # ------------------------------------------------------------------------------------------------------ statements

    def step(self) -> None:
        self._steps += 1
        if self._steps > STEPS:
            raise TooMuchError

    def block(self, statements: Sequence[ast.stmt], frame: Frame) -> str:
        """Follow statements; how they end: "", return, break, continue or raise."""
        for statement in statements:
            if frame.marked is not None and id(statement) not in frame.marked and not isinstance(statement, _CHEAP):
                continue
            follower = _FOLLOWERS.get(type(statement))
            if follower is None:
                continue
            depended_on = frame.marked is not None and frame.marked.get(id(statement), False)
            if frame.marked is not None and frame is frame.space.frame:
                frame.space.followed.add(id(statement))
            self.asked += depended_on
            end = follower(self, statement, frame)
            self.asked -= depended_on
            if end:
                return end
        return ""

    def either(self, branches: Sequence[Sequence[ast.stmt]], frame: Frame) -> str:
        """Follow each of several blocks of which only running would tell which is taken. Names that they leave with
        different values are unknown."""
        before = dict(frame.names)
        ends, after = [], []
        for statements in branches:
            frame.names = dict(before)
            if frame is frame.space.frame:
                frame.names |= {k: v for k, v in frame.space.demanded.items() if v is not None}
            self.unsure += 1
            ends.append(self.block(statements, frame))
            self.unsure -= 1
            after.append(frame.names)
        going_on = [names for names, end in zip(after, ends, strict=True) if end in ("", "continue", "break")]
        frame.names = _merged(going_on or after)
        if all(ends):
            return ends[0] if len(set(ends)) == 1 else "return" if "return" in ends else ends[0]
        return ""

    def _if(self, node: ast.If, frame: Frame) -> str:
        truth = self.truth(self.evaluate(node.test, frame))
        if truth is None:
            return self.either([node.body, node.orelse], frame)
        return self.block(node.body if truth else node.orelse, frame)

    def _for(self, node: ast.For | ast.AsyncFor, frame: Frame) -> str:
        items = self.items(self.evaluate(node.iter, frame))
        if items is None:
            bind(self, node.target, unknown(node.target), frame)
            self.either([node.body, []], frame)
            return self.block(node.orelse, frame)
        for item in items:
            bind(self, node.target, item, frame)
            end = self.block(node.body, frame)
            if end == "break":
                return ""
            if end in ("return", "raise"):
                return end
        return self.block(node.orelse, frame)

    def _while(self, node: ast.While, frame: Frame) -> str:
        truth = self.truth(self.evaluate(node.test, frame))
        if truth is not False:
            self.either([node.body, []], frame)
        return ""

    def _try(self, node: Any, frame: Frame) -> str:
        end = self.block(node.body, frame)
        handlers = [handler.body for handler in node.handlers]
        if end == "raise":
            end = self.either(handlers, frame) if handlers else end
        elif handlers and not end:
            end = self.block(node.orelse, frame)
            self.either([[], *handlers], frame)
        return self.block(node.finalbody, frame) or end

    def _with(self, node: ast.With | ast.AsyncWith, frame: Frame) -> str:
        for item in node.items:
            value = self.evaluate(item.context_expr, frame)
            if item.optional_vars is not None:
                bind(self, item.optional_vars, value if isinstance(value, Stand) else Unknown(), frame)
        return self.block(node.body, frame)

    def _match(self, node: ast.Match, frame: Frame) -> str:
        return self.either([*(case.body for case in node.cases), []], frame)

    def _assign(self, node: ast.Assign, frame: Frame) -> str:
        value = self.evaluate(node.value, frame)
        for target in node.targets:
            bind(self, target, value, frame)
        return ""

    def _annotated(self, node: ast.AnnAssign, frame: Frame) -> str:
        if node.value is not None:
            bind(self, node.target, self.evaluate(node.value, frame), frame)
        return ""

    def _augmented(self, node: ast.AugAssign, frame: Frame) -> str:
        load = copy.copy(node.target)
        load.ctx = ast.Load()
        value = self.evaluate(ast.BinOp(load, node.op, node.value), frame)
        bind(self, node.target, unknown(node.target) if isinstance(value, Unknown) else value, frame)
        return ""

    def _expression(self, node: ast.Expr, frame: Frame) -> str:
        if not isinstance(node.value, ast.Constant):
            value = node.value.value if isinstance(node.value, ast.Await | ast.YieldFrom) else node.value
            called = self.evaluate(value, frame)
            if isinstance(called, External) and called.name in _ENDING:
                return "raise"
        return ""

    def _return(self, node: ast.Return, frame: Frame) -> str:
        self.asked += frame.asked
        frame.returned.append(self.evaluate(node.value, frame) if node.value is not None else None)
        self.asked -= frame.asked
        return "return"

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame) -> str:
        owner = frame.names.get("class body")
        closure = owner.frame if isinstance(owner, Class) else frame
        value: Any = Function(node, closure, owner=owner if isinstance(owner, Class) else None)
        for decorator in reversed(node.decorator_list):
            value = self._decorated(decorator, value, frame)
        frame.names[node.name] = value
        return ""

    def _decorated(self, decorator: ast.expr, value: Any, frame: Frame) -> Any:
        """What a decorator of a library that is known makes of a function; any other is taken to change nothing."""
        if isinstance(decorator, ast.Name) and decorator.id in ("staticmethod", "classmethod", "property"):
            value.marks[decorator.id] = True
            return value
        wrapper = self.evaluate(decorator, frame)
        wrapper = self.resolved(wrapper) if isinstance(wrapper, Reference) else wrapper
        known = isinstance(wrapper, Stand) or (isinstance(wrapper, External) and wrapper.name in self.stand_ins)
        if not known:
            return value
        made = self.called(wrapper, Call([value], {}, decorator, frame.space))
        return made if isinstance(made, Stand | Function | Class) else value

    def _class(self, node: ast.ClassDef, frame: Frame) -> str:
        bases = tuple(self.evaluate(base, frame) for base in node.bases)
        bases = tuple(self.resolved(base) if isinstance(base, Reference) else base for base in bases)
        value: Any = Class(node, frame, bases)
        for decorator in reversed(node.decorator_list):
            value = self._decorated(decorator, value, frame)
        frame.names[node.name] = value
        return ""

    def _import(self, node: ast.Import, frame: Frame) -> str:
        for alias in node.names:
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            frame.names[alias.asname or module] = Reference(module)
        return ""

    def _import_from(self, node: ast.ImportFrom, frame: Frame) -> str:
        module = self.absolute(node, frame.space)
        for alias in node.names:
            if alias.name != "*":
                frame.names[alias.asname or alias.name] = Reference(module, alias.name)
            elif (space := self.space(module)) is not None and space.tree is not None:
                names = bindings(space.tree.body)
                frame.names |= {name: Reference(module, name) for name in names if not name.startswith("_")}
        return ""

    def _global(self, node: ast.Global, frame: Frame) -> str:
        frame.globals |= set(node.names)
        return ""

    def body(self, cls: Class) -> Frame:
        if cls.body is None:
            cls.body = Frame(cls.frame.space, cls.frame)
            cls.body.names["class body"] = cls
            self.block([s for s in cls.node.body if not isinstance(s, ast.Expr)], cls.body)
            del cls.body.names["class body"]
        return cls.body

    def enter(self, function: Function, args: list[Any], kwargs: dict[str, Any], call: Call) -> Any:
        wanted = self.asked or self.declares(function) or stands([*args, *kwargs.values()])
        if not wanted or len(self._within) >= DEPTH or id(function.node) in self._within:
            return Unknown()
        self._entered.add(id(function.node))
        frame = Frame(function.frame.space, function.frame)
        self._parameters(function, args, kwargs, call, frame)
        if function.owner is not None and function.first:
            frame.names["super()"] = (function.owner, function.first[0])
        if isinstance(function.node, ast.Lambda):
            return self.evaluate(function.node.body, frame)
        given = frozenset(name for name, value in frame.names.items() if stands([value]))
        key = (id(function.node), self.asked > 0, given)
        if key not in self._marked:
            matters = function.frame.space.matters
            self._marked[key] = marked(function.node.body, matters, returns=self.asked > 0, given=given)
        frame.marked = self._marked[key]
        frame.asked = self.asked > 0
        asked, self.asked = self.asked, 0
        self._within.append(id(function.node))
        try:
            self.block(function.node.body, frame)
        finally:
            self._within.pop()
            self.asked = asked
        values = [v for v in frame.returned if v is not None] if len(frame.returned) > 1 else frame.returned
        if not values:
            return None
        first = next((v for v in values if isinstance(v, Stand | Instance)), values[0])
        same = all(v is first or (not unknown_within([v, first]) and repr(v) == repr(first)) for v in values)
        return first if same or isinstance(first, Stand | Instance) else Unknown()

    def _parameters(
        self, function: Function, args: list[Any], kwargs: dict[str, Any], call: Call, frame: Frame
    ) -> None:
        """Bind the arguments of a call; what a call does not give has its default, or is unknown."""
        spec = function.node.args
        names = [a.arg for a in (*spec.posonlyargs, *spec.args)]
        frame.names |= dict(zip(names, args, strict=False))
        if spec.vararg is not None:
            rest = args[len(names) :]
            frame.names[spec.vararg.arg] = Unknown(spec.vararg.arg) if call.unknown else tuple(rest)
        every = {*names, *(a.arg for a in spec.kwonlyargs)}
        frame.names |= {name: value for name, value in kwargs.items() if name in every}
        if spec.kwarg is not None:
            more = {name: value for name, value in kwargs.items() if name not in every}
            frame.names[spec.kwarg.arg] = Unknown(spec.kwarg.arg) if call.unknown else more
        defaults = [*zip(names[len(names) - len(spec.defaults) :], spec.defaults, strict=True)]
        defaults += [(a.arg, d) for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if d is not None]
        for name, default in defaults:
            if name not in frame.names:
                frame.names[name] = Unknown(name) if call.unknown else self.evaluate(default, function.frame)
        for name in every:
            frame.names.setdefault(name, Unknown(name))

    def made(self, cls: Class, args: list[Any], kwargs: dict[str, Any], call: Call) -> Any:
        instance = Instance(cls)
        outside = cls.outside()
        if outside.startswith("enum."):
            members = self.items(cls) or []
            return next((m for m in members if args and m.value == args[0]), Unknown())
        wanted = self.asked or cls.frame.space.matters(cls.node) or stands([*args, *kwargs.values()])
        method = self.attribute(instance, "__init__") if wanted else None
        if isinstance(method, Function):
            self.enter(method, [*method.first, *args], kwargs, call)
        elif outside in self.stand_ins:
            made = self.outside(outside, call)
            instance.native = made if isinstance(made, Stand) else None
        elif wanted:
            self._fields(cls, instance, args, kwargs)
        return instance

    def _fields(self, cls: Class, instance: Instance, args: list[Any], kwargs: dict[str, Any]) -> None:
        """What a dataclass's own constructor does."""
        names = [s.target.id for each in reversed(cls.ancestry()) for s in each.node.body
                 if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]  # fmt: skip
        instance.attributes |= dict(zip(names, args, strict=False)) | kwargs

    def outside(self, name: str, call: Call) -> Any:
        if name in self.stand_ins:
            return self.stand_ins[name](call)
        if name in _ENDING:
            return External(name)
        given = stands([*call.args, *call.kwargs.values()])
        if given and not name.startswith(_HARMLESS):
            self.unread.append(f"{call.place}: {call.text}")
        return Unknown()


_CHEAP = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global)
"""Statements that are always followed: they only bind a name."""
_ENDING = ("sys.exit", "os._exit", "os.abort")
_HARMLESS = (
    "argcomplete.",
    "logging.",
    "warnings.",
    "pprint.",
    "inspect.",
    "functools.",
    "typing.",
    "sys.",
    "?.append",
    "?.error",
    "?.exit",
)
"""Libraries that are given a parser and add nothing to it."""


def _merged(every: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The names after several branches, of which one was taken."""
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(name for names in every for name in names):
        values = [names[name] for names in every if name in names]
        first = values[0]
        if all(v is first for v in values[1:]):
            merged[name] = first
            continue
        plain = not any(isinstance(v, Value) for v in values) and len({repr(v) for v in values}) == 1
        merged[name] = first if plain else next((v for v in values if isinstance(v, Stand)), Unknown(name))
    return merged


_FOLLOWERS: dict[type[ast.stmt], Callable[[Any, Any, Frame], str]] = {
    ast.If: Program._if, ast.For: Program._for, ast.AsyncFor: Program._for, ast.While: Program._while,
    ast.Try: Program._try, ast.TryStar: Program._try, ast.With: Program._with, ast.AsyncWith: Program._with,
    ast.Match: Program._match, ast.Assign: Program._assign, ast.AnnAssign: Program._annotated,
    ast.AugAssign: Program._augmented, ast.Expr: Program._expression, ast.Return: Program._return,
    ast.FunctionDef: Program._function, ast.AsyncFunctionDef: Program._function, ast.ClassDef: Program._class,
    ast.Import: Program._import, ast.ImportFrom: Program._import_from, ast.Global: Program._global,
    ast.Raise: lambda machine, node, frame: "raise", ast.Break: lambda machine, node, frame: "break",
    ast.Continue: lambda machine, node, frame: "continue",
}  # fmt: skip
